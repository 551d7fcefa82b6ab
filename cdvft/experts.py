"""Adapters for parameters that no linear layer owns, such as the experts of a mixture.

Experts multiply their tokens by slices of a parameter (E, d_out, d_in), so that there is no layer to wrap. As
in PEFT's LoRA, the module that owns the parameter is called with W + alpha dW instead: the updates are built
as matrices in every forward pass, which takes the time of a merge and the memory of W in float32.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from threading import RLock
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.func import functional_call

from cdvft.config import CDVFTConfig
from cdvft.layer import CDVFTLayer

_locks = WeakKeyDictionary[nn.Module, Any]()
"""One per module with adapted parameters: a call exchanges them in the module that all threads call."""


class ParamWrapper(nn.Module, CDVFTLayer):
    """A module with CDVFT adapters for one of its frozen parameters, (d_out, d_in) or (E, d_out, d_in).

    Modules that say `is_transposed` keep experts as (E, d_in, d_out). Every one of the E matrices has vectors
    of its own: diagonals are (E, d), circulants (E, q1, q2, p). For several parameters of a module, wrappers
    are nested. The class's name and the nesting are PEFT's, which looks for them.
    """

    def __init__(
        self, base_layer: nn.Module, adapter_name: str, parameter_name: str, config: CDVFTConfig
    ) -> None:
        super().__init__()
        self.parameter_name = parameter_name
        CDVFTLayer.__init__(self, base_layer)
        self._active_adapter = adapter_name
        self.update_layer(adapter_name, config)

    def update_layer(self, adapter_name: str, config: CDVFTConfig) -> None:
        """As `CDVFTLayer.update_layer`.

        Raises:
            ValueError: if the block size does not suit, or entries of x are to be dropped, which W + alpha dW
                has no place for.
        """
        if config.cdvft_dropout:
            raise ValueError(
                f"cdvft_dropout is {config.cdvft_dropout}, but parameters are adapted without their inputs. "
                "Leave it at 0.0 with target_parameters."
            )
        super().update_layer(adapter_name, config)

    def forward(self, *args: Any, adapter_names: list[str] | None = None, **kwargs: Any) -> Any:
        """Return what the module gives with W + the sum over active adapters of alpha dW for W.

        Raises:
            ValueError: if `adapter_names` names adapters by row.
        """
        if adapter_names is not None and not self.disable_adapters:
            raise ValueError(
                f"Parameter {self.parameter_name!r} is adapted as a whole, for all rows of a batch alike. "
                "Call the model without `adapter_names`, once for each adapter by model.set_adapter."
            )
        with self._one_call_at_a_time():
            shifted: dict[str, Tensor] = {}
            module: Any = self
            while isinstance(module, ParamWrapper):
                if module.disable_adapters and module.merged:
                    module.unmerge()
                if (weight := module._shifted_parameter()) is not None:
                    shifted[module.parameter_name] = weight
                module = module.base_layer
            return functional_call(module, shifted, args, kwargs) if shifted else module(*args, **kwargs)

    def get_base_weight(self) -> Tensor:
        """Return the parameter's values."""
        return self._parameter().data

    def set_base_weight(self, weight_data: Tensor) -> None:
        """Give the parameter other values."""
        self._parameter().data = weight_data

    def unload_and_optionally_merge_module(
        self, merge: bool, safe_merge: bool, adapter_names: list[str] | None
    ) -> nn.Module:
        """Return the module itself, with the adapters of all its wrappers merged or left out."""
        module: Any = self
        while isinstance(module, ParamWrapper):
            if merge:
                module.merge(safe_merge=safe_merge, adapter_names=adapter_names)
            module = module.base_layer
        return module

    def supports_lora_conversion(self, adapter_name: str = "default") -> bool:
        """No: PEFT converts linear layers only."""
        return False

    def __repr__(self) -> str:
        return "cdvft." + super().__repr__()

    def extra_repr(self) -> str:
        return f"parameter_name={self.parameter_name!r}"

    def _find_sizes(self) -> None:
        parameter = self._parameter()
        if parameter.dim() not in (2, 3) or not parameter.is_floating_point():
            raise ValueError(
                f"Parameter {self.parameter_name!r} is a {parameter.dtype} tensor of shape "
                f"{tuple(parameter.shape)}, but CDVFT adapts floating point ones of 2 or 3 dimensions. Take "
                "it out of target_parameters."
            )
        stacked = parameter.dim() == 3
        self.weight_is_transposed = stacked and getattr(self.get_base_layer(), "is_transposed", False)
        *self.batch_shape, rows, columns = parameter.shape
        sizes = (rows, columns) if self.weight_is_transposed else (columns, rows)
        self.in_features, self.out_features = sizes

    def _one_call_at_a_time(self) -> AbstractContextManager[object]:
        """Return the module's lock; torch.compile, which traces in one thread, would not trace it."""
        if torch.compiler.is_compiling():
            return nullcontext()
        return _locks.setdefault(self.get_base_layer(), RLock())

    def _device(self) -> torch.device:
        return self._parameter().device

    def _parameter(self) -> Tensor:
        return getattr(self.get_base_layer(), self.parameter_name)

    def _shifted_parameter(self) -> Tensor | None:
        """W + alpha dW, summed in float32 or wider and rounded once; None where no adapter is active."""
        active = self.applied_adapters()
        if not active:
            return None
        weight = self._parameter()
        return (weight + self._delta_weight(active)).to(weight.dtype)
