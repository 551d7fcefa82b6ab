"""The PEFT tuner: finds the layers to adapt, wraps them, and routes mixed batches."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import peft
from peft.tuners.lora import LoraModel
from peft.tuners.tuners_utils import BaseTuner
from peft.utils import get_quantization_kwargs
from peft.utils.error import NoMatchingPeftModuleError
from torch import nn

from cdvft.conv2d import CDVFTConv2d
from cdvft.experts import ParamWrapper
from cdvft.layer import CDVFTLayer, CDVFTLinear
from cdvft.mixed_batches import (
    check_adapter_names,
    route_adapter_names,
)
from cdvft.quantized import warn_merge_errors
from cdvft.registration import PREFIX
from cdvft.targets import (
    DEFAULT_TARGETS,
    check_expressions,
    check_matched,
    check_parameters,
    check_supported,
    layer_config,
    suggest_targets,
    warn_of_unmatched_keys,
)


class CDVFTModel(BaseTuner):
    """A model with CDVFT adapters, as `peft.get_peft_model(model, CDVFTConfig(...))` makes it.

    Source: Ding, Chen, Liao, Wang, "Parameter-Efficient Fine-Tuning with Circulant and Diagonal Vectors",
    IJCAI 2025 (arXiv 2505.00580).
    """

    prefix = PREFIX
    tuner_layer_cls = CDVFTLayer
    target_module_mapping = DEFAULT_TARGETS

    def inject_adapter(self, model: nn.Module, adapter_name: str, *args: Any, **kwargs: Any) -> None:
        """Wrap the targets of an adapter; errors suggest what could be targeted.

        Raises:
            ValueError: if a name matches no layer, or one that matches is unsupported or of unsuitable size.
        """
        config: Any = self.peft_config[adapter_name]
        check_expressions(config, [name for name, _ in model.named_modules()])
        named = config.target_modules
        # PEFT writes the default, of which some names may match nothing, into the configuration.
        default = DEFAULT_TARGETS.get(getattr(getattr(model, "config", None), "model_type", ""), ())
        chosen = isinstance(named, (list, set)) and set(named) != set(default)
        if chosen and kwargs.get("state_dict") is None:
            check_matched(named, model)
        check_parameters(self.peft_config, adapter_name, model)
        try:
            super().inject_adapter(model, adapter_name, *args, **kwargs)
        except NoMatchingPeftModuleError as error:
            raise NoMatchingPeftModuleError(f"{error} {suggest_targets(model)}") from None
        warn_of_unmatched_keys(config, {*self.targeted_module_names, *self.targeted_parameter_names})

    def _prepare_adapter_config(self, peft_config: peft.PeftConfig, model_config: dict) -> peft.PeftConfig:
        try:
            return super()._prepare_adapter_config(peft_config, model_config)
        except ValueError as error:
            if getattr(peft_config, "target_parameters", None):
                return peft_config  # parameters alone
            kind = model_config.get("model_type")
            raise ValueError(
                f"{error}: there is no default for model type {kind!r}. {suggest_targets(self.model)}"
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
        own = layer_config(peft_config, current_key)
        try:
            if parameter_name is not None and parameter_name != getattr(target, "parameter_name", None):
                wrapped: nn.Module = ParamWrapper(target, adapter_name, parameter_name, own)
            elif isinstance(target, CDVFTLayer):
                target.update_layer(adapter_name, own)
                return
            else:
                check_supported(target, peft_config)
                wrapper = CDVFTConv2d if isinstance(target, nn.Conv2d) else CDVFTLinear
                wrapped = wrapper(target, adapter_name, own, **get_quantization_kwargs(self.model))
        except ValueError as error:
            raise ValueError(f"Layer {current_key!r}: {error}") from None
        if adapter_name not in self.active_adapters:
            wrapped.requires_grad_(False)
        self._replace_module(parent, target_name, wrapped, target)

    def _replace_module(self, parent: nn.Module, child_name: str, new_module: Any, child: Any) -> None:
        """Wrap a layer as PEFT does; unwrap it unchanged.

        PEFT's own copies weight and bias when it unwraps, which a trained head of several layers does not
        have. In evaluation nn.TransformerEncoderLayer gives its layers' weights to a kernel and calls none
        of them, unless it has a hook: adapted ones get it one for as long as they are wrapped.
        """
        if isinstance(new_module, CDVFTLayer):
            super()._replace_module(parent, child_name, new_module, child)
            if isinstance(parent, nn.TransformerEncoderLayer):
                new_module.hook_of_parent = parent.register_forward_pre_hook(_call_layers)
        else:
            setattr(parent, child_name, new_module)
            if hook := getattr(child, "hook_of_parent", None):
                hook.remove()

    def _cast_adapter_dtype(self, adapter_name: str, autocast_adapter_dtype: bool = True) -> None:
        """As PEFT, with a warning where the base's dtype is asked for: the vectors stay float32."""
        super()._cast_adapter_dtype(adapter_name, autocast_adapter_dtype)
        dtypes = {
            str(layer.get_base_weight().dtype).removeprefix("torch.")
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
        """As PEFT; also tells adapted layers whether their weight is shared, as tied embeddings' is."""
        super()._check_merge_allowed()
        owners = Counter(id(p) for module in self.model.modules() for p in module.parameters(recurse=False))
        for module in self.model.modules():
            if isinstance(module, CDVFTLayer) and module.quantization_backend is None:
                dense: Any = module.get_base_layer()
                module.weight_is_shared = owners[id(getattr(dense, module.parameter_name))] > 1

    def _add_modules_to_save_to_tie(self, peft_config: Any, tied_weight_keys: list[str]) -> None:
        """As LoRA: the input embedding is trained, and layers tied to it share the trained weight."""
        lora: Any = LoraModel
        lora._add_modules_to_save_to_tie(self, peft_config, tied_weight_keys)

    def _add_targets_to_tie(self, peft_config: Any, tied_weight_keys: list[str]) -> None:
        raise ValueError(
            f"ensure_weight_tying is True and target_modules names an embedding or a layer tied to it "
            f"({sorted(tied_weight_keys)}), but CDVFT adapts no embeddings. Train them by modules_to_save or "
            "trainable_token_indices, or leave ensure_weight_tying out."
        )

    def merge_adapter(self, adapter_names: list[str] | None = None, safe_merge: bool = False) -> None:
        """As PEFT; warns of how much of the update rounding to quantized weights loses."""
        super().merge_adapter(adapter_names, safe_merge)
        warn_merge_errors(self._adapted_layers())

    def _unload_and_optionally_merge(
        self,
        merge: bool = True,
        progressbar: bool = False,
        safe_merge: bool = False,
        adapter_names: list[str] | None = None,
    ) -> Any:
        """As PEFT; warns of how much of the update rounding to quantized weights loses."""
        layers = self._adapted_layers()
        unloaded: Any = super()._unload_and_optionally_merge(merge, progressbar, safe_merge, adapter_names)
        warn_merge_errors(layers)
        return unloaded

    def _adapted_layers(self) -> dict[str, CDVFTLayer]:
        return {name: layer for name, layer in self.model.named_modules() if isinstance(layer, CDVFTLayer)}

    @contextmanager
    def _enable_peft_forward_hooks(self, *args: Any, **kwargs: Any) -> Iterator[None]:
        """Pass `adapter_names` to every adapted layer and trained head during one call."""
        names = kwargs.get("adapter_names")
        if names is None:
            yield
            return
        check_adapter_names(self, names)
        with route_adapter_names(self, names):
            yield


def _call_layers(module: nn.Module, inputs: Any) -> None:
    """A hook that changes nothing: with any hook a TransformerEncoderLayer calls its layers."""
