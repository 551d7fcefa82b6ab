"""In which precision a language model's products are made, and its weights meanwhile.

In mixed precision torch.autocast rounds every float32 weight anew in every pass, once a token where an answer
is written. Weights that no method changes are rounded once instead: in training the products are the same to
the bit; while an answer is written, the sum of a rounded weight and its update is rounded again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor, nn


@dataclass(frozen=True)
class Precision:
    """Of a model's products.

    Attributes:
        autocast_dtype: they are made in, by autocast; None: in that of the weights.
        is_rounded: whether weights that were float32 are kept in that dtype.
    """

    autocast_dtype: torch.dtype | None = None
    is_rounded: bool = False


def round_frozen(model: nn.Module, autocast_dtype: torch.dtype | None) -> Precision:
    """Keep the frozen weights of linear layers in `autocast_dtype`, but those that embeddings share."""
    embedded = {id(one.weight) for one in model.modules() if isinstance(one, nn.Embedding)}
    frozen = [
        layer.weight
        for layer in _in_float32(model)
        if not layer.weight.requires_grad and id(layer.weight) not in embedded
    ]
    if autocast_dtype is not None:
        for weight in frozen:
            weight.data = weight.data.to(autocast_dtype)
    return Precision(autocast_dtype, is_rounded=autocast_dtype is not None and bool(frozen))


@contextmanager
def ready_to_write(model: nn.Module, precision: Precision) -> Iterator[None]:
    """A token meanwhile costs as little as it can, in the precision in which the model was trained."""
    with merged(model, precision), _rounded(model, precision.autocast_dtype):
        yield


@contextmanager
def merged(model: nn.Module, precision: Precision) -> Iterator[None]:
    """Adapters' updates stand in the weights meanwhile, so that a token costs what it costs without adapter.

    Afterwards the very same weights are back, not those from which the update was taken out again. Sums are
    float32. A model that came in less than float32 stays as it is: rounded, the sum would be another model.
    """
    layers: list[Any] = [one for one in model.modules() if isinstance(one, BaseTunerLayer) and not one.merged]
    weights = [layer.get_base_layer().weight for layer in layers]
    dtypes = {torch.float32, precision.autocast_dtype if precision.is_rounded else None}
    if any(weight.dtype not in dtypes or type(weight.data) is not Tensor for weight in weights):
        yield
        return
    kept = [weight.data for weight in weights]
    try:
        for layer, weight in zip(layers, weights, strict=True):
            weight.data = weight.data.to(torch.float32, copy=True)  # some methods add in place
            layer.merge()
        yield
    finally:
        for layer, data in zip(layers, kept, strict=True):
            layer.get_base_layer().weight.data = data
            layer.merged_adapters.clear()


@contextmanager
def _rounded(model: nn.Module, dtype: torch.dtype | None) -> Iterator[None]:
    """Autocast to `dtype`, with all weights of linear layers rounded beforehand; None changes nothing."""
    if dtype is None:
        yield
        return
    linear = _in_float32(model)
    kept = [layer.weight for layer in linear]
    try:
        for layer, weight in zip(linear, kept, strict=True):  # not in place: embeddings may share it
            layer.weight = nn.Parameter(weight.detach().to(dtype), requires_grad=False)
        with torch.autocast(next(model.parameters()).device.type, dtype):
            yield
    finally:
        for layer, weight in zip(linear, kept, strict=True):
            layer.weight = weight


def _in_float32(model: nn.Module) -> list[nn.Linear]:
    """Those whose weight is a plain tensor: other packages keep theirs in their own ways."""
    linear = [one for one in model.modules() if isinstance(one, nn.Linear)]
    return [one for one in linear if type(one.weight.data) is Tensor and one.weight.dtype == torch.float32]
