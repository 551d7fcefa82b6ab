"""The PEFT tuner: finds the layers to adapt, wraps them, and routes mixed batches."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import peft
from peft.tuners.tuners_utils import BaseTuner, BaseTunerLayer
from peft.utils import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING, get_quantization_kwargs
from peft.utils.error import NoMatchingPeftModuleError
from peft.utils.other import get_pattern_key
from torch import nn
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear
from transformers.pytorch_utils import Conv1D

from cdvft.config import CDVFTConfig
from cdvft.layer import CDVFTLayer, CDVFTLinear
from cdvft.mixed_batches import check_adapter_names, check_known, handed_out, trainable
from cdvft.quantized import SUPPORTED, is_quantized_linear, quantization_of, tell_merge_errors
from cdvft.registration import PREFIX

# Query and value as transformers names them before and since version 5; absent names match nothing.
QUERY_AND_VALUE = ["query", "value", "q_proj", "v_proj"]
DEFAULT_TARGETS: dict[str, Any] = {
    **dict.fromkeys(
        ("beit", "clip", "deit", "dinov2", "siglip", "siglip2", "smollm3", "swin", "vit", "whisper"),
        QUERY_AND_VALUE,
    ),
    "phi3": ["qkv_proj"],
    "modernbert": ["Wqkv"],
    "convnext": ["pwconv1", "pwconv2"],
    "convnextv2": ["pwconv1", "pwconv2"],
    **TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING,
}
"""Layers adapted by default, by model type: those that PEFT gives LoRA, where it has any.

Elsewhere query and value, or the one layer that makes both; of ConvNeXt, which has neither, what is linear.
"""


class CDVFTModel(BaseTuner):
    """A model with CDVFT adapters, as `peft.get_peft_model(model, CDVFTConfig(...))` makes it.

    Source: Ding, Chen, Liao, Wang, "Parameter-Efficient Fine-Tuning with Circulant and Diagonal Vectors",
    IJCAI 2025 (arXiv 2505.00580).
    """

    prefix = PREFIX
    tuner_layer_cls = CDVFTLayer
    target_module_mapping = DEFAULT_TARGETS
    _trains_by_row = False

    def inject_adapter(self, model: nn.Module, adapter_name: str, *args: Any, **kwargs: Any) -> None:
        """Wrap the targets of an adapter; says what could be targeted where nothing was.

        Raises:
            ValueError: if no layer matches, or one that matches is unsupported or of unsuitable size.
        """
        try:
            super().inject_adapter(model, adapter_name, *args, **kwargs)
        except NoMatchingPeftModuleError as error:
            raise NoMatchingPeftModuleError(f"{error} {_advice(model)}") from None
        config: Any = self.peft_config[adapter_name]
        for name in ("m_pattern", "block_size_pattern"):  # PEFT itself does so for alpha_pattern
            unmatched = [
                pattern
                for pattern in getattr(config, name)
                if not any(re.match(rf"(.*\.)?({pattern})$", module) for module in self.targeted_module_names)
            ]
            if unmatched:
                warnings.warn(
                    f"The following {name} keys did not match any targeted module and were ignored: "
                    f"{unmatched}. Targeted are {sorted(self.targeted_module_names)}.",
                    RuntimeWarning,
                    stacklevel=2,
                )

    def _prepare_adapter_config(self, peft_config: peft.PeftConfig, model_config: dict) -> peft.PeftConfig:
        try:
            return super()._prepare_adapter_config(peft_config, model_config)
        except ValueError as error:
            kind = model_config.get("model_type")
            raise ValueError(
                f"{error}: there is no default for model type {kind!r}. {_advice(self.model)}"
            ) from None

    def _create_and_replace(  # noqa: PLR0917 - PEFT's signature
        self,
        peft_config: Any,
        adapter_name: str,
        target: nn.Module,
        target_name: str,
        parent: nn.Module,
        current_key: str,
        parameter_name: str | None = None,
    ) -> None:
        def setting(pattern: dict[str, Any], default: Any) -> Any:
            return pattern.get(get_pattern_key(list(pattern), current_key), default)

        own = replace(
            peft_config,
            m=setting(peft_config.m_pattern, peft_config.m),
            block_size=setting(peft_config.block_size_pattern, peft_config.block_size),
            alpha=setting(peft_config.alpha_pattern, peft_config.alpha),
        )
        try:
            if isinstance(target, CDVFTLayer):
                target.update_layer(adapter_name, own)
                return
            _check_supported(target, peft_config)
            wrapped = CDVFTLinear(target, adapter_name, own, **get_quantization_kwargs(self.model))
        except ValueError as error:
            raise ValueError(f"Layer {current_key!r}: {error}") from None
        if adapter_name not in self.active_adapters:
            wrapped.requires_grad_(False)
        self._replace_module(parent, target_name, wrapped, target)

    def _replace_module(self, parent: nn.Module, child_name: str, new_module: nn.Module, child: Any) -> None:
        """Wrap a layer as PEFT does; put it back as it is.

        PEFT's own copies weight and bias on the way back, which a trained head of several layers has not.
        """
        if isinstance(new_module, CDVFTLayer):
            super()._replace_module(parent, child_name, new_module, child)
        else:
            setattr(parent, child_name, new_module)

    def _cast_adapter_dtype(self, adapter_name: str, autocast_adapter_dtype: bool = True) -> None:
        """PEFT's, and a warning where the base's dtype is asked for: the vectors are float32 all the same."""
        super()._cast_adapter_dtype(adapter_name, autocast_adapter_dtype)
        dtypes = {
            str(layer.get_base_layer().weight.dtype).removeprefix("torch.")
            for layer in self.model.modules()
            if isinstance(layer, CDVFTLayer)
            and adapter_name in layer.cdvft_diagonals
            and layer.quantization_backend is None
        }
        half = dtypes & {"bfloat16", "float16"}
        if half and not autocast_adapter_dtype:
            warnings.warn(
                f"autocast_adapter_dtype=False asks for vectors in {' and '.join(sorted(half))}, but CDVFT "
                "keeps them in float32: there is no bfloat16 FFT, and rounding would lose small updates. "
                "Leave it out.",
                UserWarning,
                stacklevel=2,
            )

    def _check_merge_allowed(self) -> None:
        """Besides PEFT's warnings: give adapted layers a weight of their own where it is shared.

        A merge into the output embedding must not change the input embedding with it.
        """
        super()._check_merge_allowed()
        owners = Counter(id(p) for module in self.model.modules() for p in module.parameters(recurse=False))
        for module in self.model.modules():
            if isinstance(module, CDVFTLayer) and module.quantization_backend is None:
                dense: Any = module.get_base_layer()
                if owners[id(dense.weight)] > 1:
                    dense.weight = nn.Parameter(dense.weight.detach().clone(), dense.weight.requires_grad)

    def merge_adapter(self, adapter_names: list[str] | None = None, safe_merge: bool = False) -> None:
        """PEFT's; warns of what quantized base weights lose of the update."""
        super().merge_adapter(adapter_names, safe_merge)
        tell_merge_errors(self._adapted_layers())

    def _unload_and_optionally_merge(
        self,
        merge: bool = True,
        progressbar: bool = False,
        safe_merge: bool = False,
        adapter_names: list[str] | None = None,
    ) -> Any:
        """PEFT's; warns of what quantized base weights lose of the update."""
        layers = self._adapted_layers()
        unloaded: Any = super()._unload_and_optionally_merge(merge, progressbar, safe_merge, adapter_names)
        tell_merge_errors(layers)
        return unloaded

    def _adapted_layers(self) -> dict[str, CDVFTLayer]:
        return {name: layer for name, layer in self.model.named_modules() if isinstance(layer, CDVFTLayer)}

    @contextmanager
    def _enable_peft_forward_hooks(self, *args: Any, **kwargs: Any) -> Iterator[None]:
        """Hand `adapter_names` to every adapted layer and trained head for one forward or generate call."""
        names = kwargs.get("adapter_names")
        if names is None:
            yield
            return
        check_adapter_names(self, names, self._trains_by_row)
        with handed_out(self, names, kwargs.get("num_beams") or 1):
            yield

    @contextmanager
    def training_by_row(self, adapter_names: Sequence[str]) -> Iterator[None]:
        """Within it `adapter_names` is allowed in training too; the adapters named here train, nothing else.

            with model.base_model.training_by_row(["a", "b"]):
                model(**batch, adapter_names=["a", "b", "b", "a"]).loss.backward()

        Every adapter gets the gradients of its own rows, as if they were trained one after the other. PEFT
        has no name for this: its LoRA takes `adapter_names` in inference only.

        Raises:
            ValueError: if an adapter is unknown; in a forward pass, if gradient checkpointing is on.
        """
        check_known(self, adapter_names)
        self._trains_by_row = True
        try:
            with trainable(self, adapter_names):
                yield
        finally:
            self._trains_by_row = False


def _check_supported(target: nn.Module, config: CDVFTConfig) -> None:
    dense = target.get_base_layer() if isinstance(target, BaseTunerLayer) else target
    if quantization_of(dense) is not None:
        return
    # nn.MultiheadAttention reads its projection's weight and never calls it: an adapter would be ignored.
    if not isinstance(dense, (nn.Linear, Conv1D)) or isinstance(dense, NonDynamicallyQuantizableLinear):
        raise ValueError(
            f"Target module of type {type(dense).__name__} is not supported. CDVFT adapts nn.Linear "
            "and transformers' Conv1D, both outside nn.MultiheadAttention, and linear layers quantized by "
            f"{', '.join(SUPPORTED)}. Take it out of target_modules, or name it in exclude_modules."
        )
    if config.fan_in_fan_out is not None and config.fan_in_fan_out != isinstance(dense, Conv1D):
        warnings.warn(
            f"fan_in_fan_out is set to {config.fan_in_fan_out} but the target module is "
            f"`{type(dense).__name__}`. Setting fan_in_fan_out to {not config.fan_in_fan_out}.",
            stacklevel=2,
        )
        config.fan_in_fan_out = not config.fan_in_fan_out


def _advice(model: nn.Module) -> str:
    layers = (
        name
        for name, module in model.named_modules()
        if isinstance(module, (nn.Linear, Conv1D)) or is_quantized_linear(module)
    )
    names = sorted({name.rsplit(".", 1)[-1] for name in layers})
    return f"Linear layers of this model are named {names}: put some of them into target_modules."
