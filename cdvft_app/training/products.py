"""Float32 products by oneDNN on AMD processors with AVX-512, where PyTorch's own take twice as long.

PyTorch multiplies float32 matrices by MKL, which on an AMD EPYC (Zen 5) makes 210 GFLOP/s on two cores, and
convolutions by oneDNN, which makes 430. A linear layer is a convolution of width 1: W x + b of all tokens as
the pixels of one image that is one row high, laid out as they lie, so that nothing is copied. The same to
rounding; whole runs take a third less time or better (`python -m benchmarks.products`).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

FEWEST, MIN_OTHERWISE = 64, 256
"""Tokens, by a frozen weight of at most `LARGE` entries and by any other; for fewer, what oneDNN does
beforehand (it lays the weight out anew at each call) costs as much as it saves."""
LARGE = 1 << 23


def is_faster() -> bool:
    """Whether this processor is one of those; torch before 2.11 does not tell."""
    has: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    both = torch.backends.mkl.is_available() and torch.backends.mkldnn.is_available()
    return both and bool(has.get("avx512_f")) and "AMD" in has.get("cpu_name", "")


def by_onednn(model: nn.Module) -> None:
    """Where that is faster, linear layers of a model that is to be trained multiply by oneDNN from now on.

    Adapters come around them afterwards, so that no method of a race is faster for it than another.
    """
    if is_faster():
        for layer in model.modules():
            # Subclasses of layers and of tensors are other packages', with products of their own.
            if type(layer) is nn.Linear and type(layer.weight.data) is Tensor:
                layer.__class__ = ConvolvedLinear


class ConvolvedLinear(nn.Linear):
    """nn.Linear, and the same product as a convolution where tokens are many and float32 on a CPU."""

    def forward(self, input: Tensor) -> Tensor:
        """Of (..., d_in) (..., d_out)."""
        x, weight = input, self.weight
        is_frozen = not (weight.requires_grad and torch.is_grad_enabled())
        fewest = FEWEST if is_frozen and weight.numel() <= LARGE else MIN_OTHERWISE
        in_float32 = x.device.type == "cpu" and x.dtype == weight.dtype == torch.float32
        if not in_float32 or torch.is_autocast_enabled("cpu") or x.numel() < fewest * self.in_features:
            return super().forward(x)
        return Frozen.apply(x, weight, self.bias) if is_frozen else convolved(x, weight, self.bias)


def convolved(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """W x + b: x (..., d_in), W (d_out, d_in), b (d_out,); `F.linear` is its slow truth."""
    y = F.conv2d(_as_image(x), weight[:, :, None, None], bias).permute(0, 2, 3, 1).contiguous()
    # Not a view for autograd: adapters add to what a layer gives.
    return torch.ops.aten._unsafe_view(y, [*x.shape[:-1], len(weight)])


class Frozen(torch.autograd.Function):
    """`convolved` by a weight without gradient, which keeps nothing; a convolution would keep its input."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(weight)
        return convolved(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (weight,) = ctx.saved_tensors
        image = _as_image(grad)
        unread = grad.new_empty(1, 1, image.shape[-1], weight.shape[1]).permute(0, 3, 1, 2)
        by_x = torch.ops.aten.convolution_backward(
            image, unread, weight[:, :, None, None], None, [1, 1], [0, 0], [1, 1], False, [0, 0], 1,
            (True, False, False),
        )[0]  # fmt: skip
        return by_x.permute(0, 2, 3, 1).reshape(*grad.shape[:-1], weight.shape[1]), None, None


def _as_image(rows: Tensor) -> Tensor:
    """(..., d) as (1, d, 1, tokens), in memory "channels last"."""
    return rows.reshape(1, 1, -1, rows.shape[-1]).permute(0, 3, 1, 2)
