"""Replaces a loaded adapter by a saved one: the same parameters with other values.

A model that torch.compile compiled is compiled again where alpha is another one than before: it is a number
in the graph, no tensor. PEFT's `peft.utils.hotswap` supports LoRA only.
"""

from __future__ import annotations

from typing import Any

import peft
from peft.utils import load_peft_weights

from cdvft.config import CDVFTConfig
from cdvft.experts import ParamWrapper
from cdvft.layer import CDVFTLayer
from cdvft.targets import check_expressions, layer_config
from cdvft.weighted_adapters import check_loadable


def hotswap_adapter(
    model: peft.PeftModel,
    model_name_or_path: str,
    adapter_name: str = "default",
    torch_device: str | None = None,
    **kwargs: Any,
) -> None:
    """Replace the values of a loaded adapter by those of a saved one, in place.

        cdvft.hotswap_adapter(model, "path/of/another", adapter_name="default")

    Args:
        model: with the loaded adapter
        model_name_or_path: folder or hub id of an adapter of the same layers, m and block sizes
        adapter_name: the loaded adapter, which keeps its name
        torch_device: where the file is read to; None for the vectors' device
        kwargs: what `PeftConfig.from_pretrained` and `load_peft_weights` take, such as `revision`

    Raises:
        ValueError: if there is no such adapter, it is a sum of others, the two do not fit, or the loaded one
            or a sum of it is merged; nothing is then changed.
    """
    if not isinstance(model, peft.PeftModel):
        raise ValueError(
            f"The model is a {type(model).__name__}, but adapters are swapped in a PeftModel. Make one by "
            "peft.PeftModel.from_pretrained(model, path)."
        )
    config = peft.PeftConfig.from_pretrained(model_name_or_path, **kwargs)
    if not isinstance(config, CDVFTConfig):
        raise ValueError(
            f"{model_name_or_path!r} is an adapter of type {config.peft_type.value}, but the loaded one is "
            "CDVFT's. Load it under a name of its own by model.load_adapter."
        )
    base: Any = model.base_model.model
    layers = {name: one for name, one in base.named_modules() if isinstance(one, CDVFTLayer)}
    check_expressions(config, layers)
    if not isinstance(model.peft_config.get(adapter_name), CDVFTConfig):
        there = sorted(name for name, one in model.peft_config.items() if isinstance(one, CDVFTConfig))
        raise ValueError(
            f"There is no adapter {adapter_name!r} of CDVFT to swap; loaded are {there}. Name one of those "
            "in adapter_name, or load the saved one by model.load_adapter."
        )
    check_loadable(base, adapter_name)
    vectors = (one.factors(adapter_name) for one in layers.values() if adapter_name in one.cdvft_circulants)
    device = torch_device or str(next(vectors).circulants[0].device)
    saved = load_peft_weights(model_name_or_path, device=device, **kwargs)
    loaded = peft.get_peft_model_state_dict(model, adapter_name=adapter_name)
    _check_alike(
        {name: tuple(value.shape) for name, value in saved.items()},
        {name: tuple(value.shape) for name, value in loaded.items()},
    )
    peft.set_peft_model_state_dict(model, saved, adapter_name=adapter_name)
    for name, layer in layers.items():
        if adapter_name in layer.cdvft_alpha:
            inner = f".{layer.parameter_name}" if isinstance(layer, ParamWrapper) else ""
            own = layer_config(config, f"{name.replace('.base_layer', '')}{inner}")
            layer.cdvft_alpha[adapter_name] = float(own.alpha)
            layer.cdvft_dropout[adapter_name] = own.cdvft_dropout
    held: Any = model.peft_config[adapter_name]
    held.alpha, held.alpha_pattern = config.alpha, config.alpha_pattern
    held.cdvft_dropout = config.cdvft_dropout


def _check_alike(saved: dict[str, tuple[int, ...]], loaded: dict[str, tuple[int, ...]]) -> None:
    if saved == loaded:
        return
    names = sorted(saved.keys() | loaded.keys())
    different = [name for name in names if saved.get(name) != loaded.get(name)]
    there, here = saved.get(different[0], "none"), loaded.get(different[0], "none")
    raise ValueError(
        f"The saved adapter does not fit in {len(different)} of {len(names)} tensors: {different[0]} has "
        f"shape {there} there and {here} here. Both need the same layers, m and block sizes. Load it under a "
        "name of its own by model.load_adapter."
    )
