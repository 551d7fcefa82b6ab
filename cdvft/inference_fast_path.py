"""The fast path through an adapted layer for the few tokens of a decoding step, by the compiled kernel.

A decoding step multiplies one token by each weight. The checks, plans and the entry into autograd that
`kernels.linear.adapted_linear` needs once per layer would take several times as long as the update itself:
after a large matrix product little of Python's data is left in the processor's caches, and looking at one
more object takes microseconds. So what a forward pass checks is looked up once, with the containers in which
a change would show, and only compared afterwards. If anything differs, the layer takes the general path and
looks it up again. No values are stored: the kernel reads the vectors' memory at every call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers.pytorch_utils import Conv1D

from cdvft.circulant import Factors
from cdvft.kernels import native
from cdvft.private_names import has_hooks, hooks_of, is_transformed, is_watched, parameters_of

MAX_TOKENS = 16
"""With more tokens the checks are a small part of a call."""


class FastPath:
    """W x + b + alpha dW x for the only active adapter of a layer."""

    __slots__ = (
        "active", "adapter", "add_update", "addresses", "backend", "base", "bias", "checks", "hooks",
        "memory", "sizes", "vectors", "weight",
    )  # fmt: skip

    def __init__(
        self, layer: Any, adapter: str, add_update: Callable[[Tensor, Tensor, int, float], None]
    ) -> None:
        base: Any = layer.base_layer
        diagonals, circulants = layer.cdvft_diagonals, layer.cdvft_circulants
        lists: tuple[Any, Any] = diagonals[adapter], circulants[adapter]
        self.adapter, self.add_update = adapter, add_update
        self.base, self.weight, self.bias = base, base.weight, base.bias
        self.active = layer._active_adapter if isinstance(layer._active_adapter, str) else [adapter]
        self.backend = layer.cdvft_backend[adapter]
        self.sizes = layer.in_features, layer.out_features
        self.hooks = hooks_of(base)
        self.checks: list[tuple[Mapping[str, Any], str, object]] = [
            (vars(base), "forward", None),
            (parameters_of(base), "weight", self.weight),
            (parameters_of(base), "bias", self.bias),
            (layer._modules, "cdvft_diagonals", diagonals),
            (layer._modules, "cdvft_circulants", circulants),
            (diagonals._modules, adapter, lists[0]),
            (circulants._modules, adapter, lists[1]),
        ]
        self.vectors: tuple[Any, Any] = parameters_of(lists[0]), parameters_of(lists[1])
        # These keep the memory alive, so that no other tensor can get the vectors' addresses.
        self.memory = [v.detach() for vectors in self.vectors for v in vectors.values() if v is not None]
        self.addresses = [vector.data_ptr() for vector in self.memory]

    @classmethod
    def create(cls, layer: Any, x: Tensor, adapter: str) -> FastPath | None:
        """Return the fast path of an adapter, which is all that the layer currently adds to W x.

        None where the compiled kernel does not support it, or where a change would not be noticed.
        """
        base: Any = layer.base_layer
        if layer.active_adapters != [adapter] or adapter not in layer.cdvft_circulants:
            return None  # one of several active ones: another may be added to this layer
        if layer.weight_is_transposed or not isinstance(parameters_of(base).get("weight"), nn.Parameter):
            return None
        if layer.cdvft_backend[adapter] not in ("auto", "fft"):
            return None
        add_update = _prepare(x, layer.factors(adapter))
        return None if add_update is None else cls(layer, adapter, add_update)

    def __reduce__(self) -> Any:
        """None in a copy of the layer and in its pickle: the addresses are the original's."""
        return type(None), ()

    def forward(self, layer: Any, x: Tensor) -> Tensor | None:
        """(W + alpha dW) x + b where `supports_input` holds; None where the general path has to be taken."""
        if (
            layer._disable_adapters
            or layer.merged_adapters
            or layer.cdvft_backend.get(self.adapter) != self.backend
            or layer._active_adapter != self.active
            or layer._modules["base_layer"] is not self.base
            or (layer.training and layer.cdvft_dropout[self.adapter])
            or has_hooks(self.hooks)
        ):
            return None
        for container, key, expected in self.checks:
            if container.get(key) is not expected:
                return None
        diagonals, circulants = self.vectors
        if [vector.data_ptr() for vector in (*diagonals.values(), *circulants.values())] != self.addresses:
            return None
        d_in, d_out = self.sizes
        tokens = x.numel() // d_in
        y = F.linear(x, self.weight, self.bias)
        if y.numel() != tokens * d_out:  # a weight of another shape: the kernel would write past the end
            return None
        self.add_update(y, x, tokens, layer.cdvft_alpha[self.adapter])
        return y


def supports_input(x: Tensor, d_in: int) -> bool:
    """Whether the kernel may write into a result of x: few tokens, float32, CPU, no gradients or tracing.

    Transformations are checked first, so that torch.compile traces no further.
    """
    return (
        not is_transformed()
        and not torch.is_grad_enabled()
        and type(x) is Tensor
        and 0 < x.numel() <= MAX_TOKENS * d_in
        and x.dtype is torch.float32
        and x.is_cpu
        and x.is_contiguous()
        and not x.is_neg()
        and not is_watched()
        and not torch.is_autocast_enabled("cpu")
    )


def is_plain(base: nn.Module) -> bool:
    """Whether calling it computes W x + b and nothing else: no subclass, quantization, hook or patch."""
    return (
        type(base) in (nn.Linear, Conv1D)
        and type(base.weight) in (nn.Parameter, Tensor)
        and not has_hooks(hooks_of(base))
        and "forward" not in vars(base)
    )


def _prepare(x: Tensor, factors: Factors) -> Callable[[Tensor, Tensor, int, float], None] | None:
    """`native.prepared_forward`, which gets the vectors' addresses once and reads their values at every call.

    None where the kernel does not support them: see `native.supports`; vectors must be contiguous float32.
    """
    vectors = (*factors.diagonals, *factors.circulants)
    fit = all(v.device == x.device and v.dtype == torch.float32 and v.is_contiguous() for v in vectors)
    return native.prepared_forward(factors) if fit and native.supports(x, factors.circulants) else None
