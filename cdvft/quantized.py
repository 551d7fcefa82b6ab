"""Frozen layers with quantized weights: PEFT's backends for them, and the error of merging into them."""

from __future__ import annotations

import statistics
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch
from peft.utils import resolve_quantization_backend
from peft.utils.other import is_gptqmodel_awq_layer
from peft.utils.quantization_utils import QuantizationBackend
from torch import Tensor, nn

SUPPORTED = ("bnb 4bit", "bnb 8bit", "torchao", "hqq", "gptq", "awq")
"""PEFT's names of the backends whose layers can be adapted; all but the last two can be merged into."""


def quantization_of(
    dense: nn.Module, get_apply_tensor_subclass: Callable[[], Any] | None = None
) -> QuantizationBackend | None:
    """PEFT's backend for a layer with a quantized weight, None for others.

    Args:
        dense: the frozen layer
        get_apply_tensor_subclass: how torchao quantizes again, from transformers' TorchAoConfig; without it,
            as after `torchao.quantize_`, layers can be adapted and not merged into

    Raises:
        ValueError: if the backend is none of `SUPPORTED`.
    """
    known = get_apply_tensor_subclass or _unknown
    backend = resolve_quantization_backend(dense, get_apply_tensor_subclass=known)
    if backend is None:
        return None
    if is_gptqmodel_awq_layer(dense):  # PEFT 0.21 asks for GPTQ first, and AWQ's layers are a kind of GPTQ's
        backend.backend_name = "awq"
    if backend.backend_name not in SUPPORTED:
        raise ValueError(
            f"The weight is quantized by {backend.backend_name}, but CDVFT adapts layers quantized by "
            f"{', '.join(SUPPORTED)}. Load the base model with one of those, or unquantized."
        )
    if backend.backend_name == "torchao" and known is _unknown:
        backend.supports_merge = False
    return backend


def is_quantized_linear(module: nn.Module) -> bool:
    """Return whether a supported backend holds this module's weight."""
    try:
        return quantization_of(module) is not None
    except ValueError:
        return False


def device_of(dense: Any) -> torch.device:
    """Return the device of a layer's weight, under whatever name its backend stores it."""
    held = (getattr(dense, name, None) for name in ("weight", "qweight", "W_q"))
    return next(weight.device for weight in held if weight is not None)


def check_mergeable(backend: QuantizationBackend | None) -> None:
    """Check that a weight can be dequantized, changed and quantized again.

    Raises:
        ValueError: if it cannot.
    """
    if backend is not None and not backend.supports_merge:
        raise ValueError(
            f"The base weight is quantized by {backend.backend_name} in a way that cannot be done again. An "
            "adapter merges into bnb 4bit, bnb 8bit and hqq, and into torchao where transformers' "
            "TorchAoConfig loaded the model. Keep the adapter separate, or merge into an unquantized base."
        )


def undo_cpu_packing(dense: Any) -> None:
    """Undo how bitsandbytes packs 4 bit weights in its first forward pass of evaluation on some CPUs.

    That layout is for AVX-512, and its own dequantization does not support it: merging would read noise. Its
    `state_dict` restores the usual layout in place.
    """
    state = getattr(getattr(dense, "weight", None), "quant_state", None)
    if getattr(state, "packing_format_for_cpu", False):
        dense.state_dict()


def relative_error(stored: Tensor, wanted: Tensor, before: Tensor) -> float:
    """Return the error of a rounded update: |stored - wanted| / |wanted - before|, in the Frobenius norm.

    Infinite for an update of zeros, unless rounding changed nothing.
    """
    error, update = (stored - wanted).float().norm(), (wanted - before).float().norm()
    return (error / update).item() if error else 0.0


def warn_merge_errors(layers: Mapping[str, Any]) -> None:
    """Warn once of how much of the updates was lost where weights are quantized."""
    errors = {name: layer.merge_error for name, layer in layers.items() if layer.merge_error is not None}
    if not errors:
        return
    worst = max(errors, key=lambda name: errors[name])
    kinds = sorted({layers[name].quantization_backend.backend_name for name in errors})
    warnings.warn(
        f"Merged into weights quantized by {', '.join(kinds)}: rounding to their values changed the update "
        f"by {statistics.median(errors.values()):.1%} of its norm in the median layer and by "
        f"{errors[worst]:.1%} in {worst!r}. Unmerging rounds again. Keep the adapter separate where that is "
        "too much.",
        UserWarning,
        stacklevel=3,
    )


def _unknown() -> Any:
    raise ValueError("How this weight was quantized is not known.")
