"""The short way through an adapted layer for the few tokens of a decoding step.

After a large product Python finds little of its own in the processor's caches, where a look at one more
object takes microseconds. What the layer asks at every call is therefore noted once, with the containers in
which a change would show, and compared; where anything is different, the layer goes its general way, which is
the slow truth, and notes anew. No value is noted: the kernel reads vectors at every call, where they lie.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F
from transformers.pytorch_utils import Conv1D

from cdvft.kernels.decoding import MAX_TOKENS, prepare
from cdvft.private_names import has_hooks, hooks_of, parameters_of


class ShortWay:
    """W x + b + alpha dW x by the one active adapter of a layer."""

    __slots__ = (
        "active", "adapter", "add", "addresses", "base", "bias", "held", "hooks", "noted", "sizes", "vectors",
        "weight",
    )  # fmt: skip

    def __init__(self, layer: Any, adapter: str, add: Callable[[Tensor, Tensor, int, float], None]) -> None:
        base: Any = layer.base_layer
        diagonals, circulants = layer.cdvft_diagonals, layer.cdvft_circulants
        lists: tuple[Any, Any] = diagonals[adapter], circulants[adapter]
        self.adapter, self.add, self.base, self.weight, self.bias = adapter, add, base, base.weight, base.bias
        self.active = layer._active_adapter if isinstance(layer._active_adapter, str) else [adapter]
        self.sizes = layer.in_features, layer.out_features
        self.hooks = hooks_of(base)
        self.noted: list[tuple[Mapping[str, Any], str, object]] = [
            (vars(base), "forward", None),
            (parameters_of(base), "weight", self.weight),
            (parameters_of(base), "bias", self.bias),
            (diagonals._modules, adapter, lists[0]),
            (circulants._modules, adapter, lists[1]),
            (layer.cdvft_backend, adapter, layer.cdvft_backend[adapter]),
        ]
        self.vectors: tuple[Any, Any] = parameters_of(lists[0]), parameters_of(lists[1])
        # As long as these hold the memory, no other tensor can come to lie where the vectors lay.
        self.held = [one.detach() for held in self.vectors for one in held.values() if one is not None]
        self.addresses = [vector.data_ptr() for vector in self.held]

    @classmethod
    def through(cls, layer: Any, x: Tensor, adapter: str) -> ShortWay | None:
        """The way by an adapter, which the layer has found to be all that it now adds to W x + b.

        None where the compiled kernel does not take it, or where a change would not show.
        """
        base: Any = layer.base_layer
        if layer.active_adapters != [adapter] or adapter not in layer.cdvft_circulants:
            return None  # a sum of adapters, or one of several active ones: another may yet join it here
        if layer.weight_is_transposed or not isinstance(parameters_of(base).get("weight"), nn.Parameter):
            return None
        add = prepare(x, layer.factors(adapter)) if layer.cdvft_backend[adapter] in ("auto", "fft") else None
        return None if add is None else cls(layer, adapter, add)

    def __reduce__(self) -> Any:
        """None in a copy of the layer and in its pickle: the addresses are those of this one's vectors."""
        return type(None), ()

    def output(self, layer: Any, x: Tensor) -> Tensor | None:
        """(W + alpha dW) x + b where `can_decode` allows it; None where the general way is to be taken."""
        if (
            layer._disable_adapters
            or layer.merged_adapters
            or layer._active_adapter != self.active
            or layer._modules["base_layer"] is not self.base
            or (layer.training and layer.cdvft_dropout[self.adapter])
            or has_hooks(self.hooks)
        ):
            return None
        for container, key, noted in self.noted:
            if container.get(key) is not noted:
                return None
        diagonals, circulants = self.vectors
        if [vector.data_ptr() for vector in (*diagonals.values(), *circulants.values())] != self.addresses:
            return None
        d_in, d_out = self.sizes
        tokens = x.numel() // d_in
        if not 0 < tokens <= MAX_TOKENS:
            return None
        y = F.linear(x, self.weight, self.bias)
        if y.numel() != tokens * d_out:  # a weight of another shape: the kernel would write past the end
            return None
        self.add(y, x, tokens, layer.cdvft_alpha[self.adapter])
        return y


def is_plain(base: nn.Module) -> bool:
    """Whether calling the layer does nothing but W x + b: no subclass, quantized weight, hook or patch."""
    return (
        type(base) in (nn.Linear, Conv1D)
        and type(base.weight) in (nn.Parameter, Tensor)
        and not has_hooks(hooks_of(base))
        and "forward" not in vars(base)
    )
