"""Merging updates into a frozen weight and unmerging them, quantized or not."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from peft.tuners.tuners_utils import BaseTunerLayer, check_adapters_to_merge
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from cdvft.quantized import check_mergeable, relative_error, undo_cpu_packing

DENSE_LAYERS = (nn.Linear, nn.Conv2d, Conv1D)


class MergeableLayer(BaseTunerLayer):
    """A layer whose adapters can be added to its base weight."""

    merge_error: float | None
    parameter_name = "weight"
    weight_is_shared = False
    """Whether other modules have the same weight: a merge gives this layer one of its own instead."""
    _shared_weight: tuple[nn.Parameter, ...] = ()
    """The shared weight while the layer has one of its own, in a tuple so that it is no parameter of it."""

    @abstractmethod
    def has_adapter(self, adapter: str) -> bool:
        """Return whether this layer has that adapter."""

    def get_base_weight(self) -> Tensor:
        """Return the base weight, dequantized where it is quantized."""
        undo_cpu_packing(self.get_base_layer())
        return super().get_base_weight()

    @abstractmethod
    def get_delta_weight(self, adapter: str) -> Tensor:
        """Return an adapter's update, laid out as the base weight."""

    def merge(self, safe_merge: bool = False, adapter_names: list[str] | None = None) -> None:
        """Add alpha dW of the named adapters (by default the active ones) to the base weight.

        The sum is taken in float32 or wider and rounded once, to the base's dtype or its quantized values.
        `merge_error` is then the norm of what quantization changed, relative to the update's norm.

        Warns:
            UserWarning: if the base layer's class computes by a `forward` of its own, which may be another
                function of the weight than W x + b.

        Raises:
            ValueError: if the base weight is quantized in a way that cannot be merged into or calculated from
                other tensors or, with `safe_merge`, if the sum is not finite. The base weight is then left as
                it was.
        """
        names = [n for n in check_adapters_to_merge(self, adapter_names) if self.has_adapter(n)]
        if not names:
            return
        if self.quantization_backend is None:
            self._check_base_layer()
        with self._weight_inference_mode():
            merged = self._shifted_base_weight(names, sign=1)
            if safe_merge and not torch.isfinite(merged).all():
                raise ValueError(
                    f"NaNs detected in the merged weights. The adapter {', '.join(names)} seems to be "
                    "broken: every entry must be finite. Train at a lower learning rate, or load a sound one."
                )
            before = None if self.quantization_backend is None else self.get_base_weight()
            if self.weight_is_shared:
                dense: Any = self.get_base_layer()
                shared = getattr(dense, self.parameter_name)
                setattr(dense, self.parameter_name, nn.Parameter(shared.detach(), shared.requires_grad))
                self._shared_weight, self.weight_is_shared = (shared,), False
            self.set_base_weight(merged)
        if before is not None:
            self.merge_error = relative_error(self.get_base_weight(), merged, before)
        self.merged_adapters.extend(names)

    def unmerge(self) -> None:
        """Take the merged adapters out of the base weight again.

        A shared weight is put back as it was. Others have been rounded to their dtype or quantized values by
        the merge and are rounded again, so that an update much larger than the weight leaves an error of the
        size of its own rounding.
        """
        if not self.merged:
            warnings.warn("Already unmerged. Nothing to do.", stacklevel=2)
            return
        if self._shared_weight:
            setattr(self.get_base_layer(), self.parameter_name, *self._shared_weight)
            self._shared_weight = ()
        else:
            with self._weight_inference_mode():
                self.set_base_weight(self._shifted_base_weight(self.merged_adapters, sign=-1))
        self.merged_adapters.clear()
        self.merge_error = None

    def _check_base_layer(self) -> None:
        base = self.get_base_layer()
        stored = {*dict(base.named_parameters(recurse=False)), *dict(base.named_buffers(recurse=False))}
        if self.parameter_name not in stored:
            raise ValueError(
                f"The {self.parameter_name} of a {type(base).__name__} is calculated from other tensors, as "
                "by weight_norm, parametrize or prune, so that what is merged into it would be lost. Make it "
                "a parameter first, such as by torch.nn.utils.parametrize.remove_parametrizations, or keep "
                "the adapter separate."
            )
        kinds = [kind for kind in DENSE_LAYERS if isinstance(base, kind)]
        if kinds and type(base).forward is not kinds[0].forward:
            warnings.warn(
                f"{type(base).__name__} computes by a forward of its own. If that is not W x + b, the merged "
                "layer differs from the one with a separate adapter: compare their outputs.",
                stacklevel=3,
            )

    def _weight_inference_mode(self) -> torch.inference_mode:
        """Return the inference mode in which the weight was created: its replacement must be as trainable."""
        weight = getattr(self.get_base_layer(), self.parameter_name, None)
        return torch.inference_mode(weight is not None and weight.is_inference())

    @torch.no_grad()
    def _shifted_base_weight(self, adapters: Sequence[str], sign: int) -> Tensor:
        check_mergeable(self.quantization_backend)
        try:
            weight = self.get_base_weight()
        except NotImplementedError as error:  # some of torchao's weights are for forward passes only
            raise ValueError(
                f"{error} Keep the adapter separate, or merge into an unquantized base."
            ) from None
        if not weight.dtype.is_floating_point or weight.dtype.itemsize < 2:
            raise ValueError(
                f"The base weight is stored as {weight.dtype}, but an adapter merges into float16, bfloat16, "
                "float32 or float64 only. Keep the adapter separate, or merge into an unquantized base model."
            )
        shifted = weight.to(torch.promote_types(weight.dtype, torch.float32), copy=True)
        for adapter in adapters:
            shifted += sign * self.get_delta_weight(adapter).to(shifted)
        return shifted.to(weight.dtype)
