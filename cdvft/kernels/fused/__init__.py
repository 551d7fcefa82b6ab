"""The update as one fused Triton kernel, on CUDA devices with tensor cores: compute capability 8.0 on.

    plan       how a width becomes products of matrices; which widths there are
    tables     the DFT matrices
    dft        transforms of tiles, in Triton
    device     the kernels
    operators  their launches, and the operators of torch

Triton is optional (`pip install "cdvft[gpu]"`; torch for CUDA on Linux brings it along): nothing here imports
it before `supports` has found it.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.utils._python_dispatch import is_in_torch_dispatch_mode

from cdvft.circulant import Factors
from cdvft.kernels.fused.plan import plan_for

OLDEST_TRITON = (3, 7)
"""That of torch 2.12."""
DTYPES = (torch.float32, torch.bfloat16, torch.float16)


def supports(x: Tensor, circulants: Sequence[Tensor]) -> bool:
    """Whether the kernel can take them."""
    return obstacle(x, circulants) is None


def obstacle(x: Tensor, circulants: Sequence[Tensor]) -> str | None:
    """Why the kernel cannot take them; None where it can.

    It takes one square circulant whose width has a plan, on a CUDA device with tensor cores.
    """
    if x.device.type != "cuda":
        return "it runs on CUDA devices alone"
    if not supports_shapes(circulants, x.shape[-1]):
        return "it takes one square circulant of a width that has a plan"
    if x.dtype not in DTYPES or circulants[0].dtype != torch.float32:
        return "it takes float32, bfloat16 and float16 alone"
    if not AVAILABLE:
        return "Triton 3.7 or later is not installed"
    return None if _has_tensor_cores(x.device) else "the device's compute capability is below 8.0"


def supports_shapes(circulants: Sequence[Tensor], d_in: int) -> bool:
    """Whether the adapter is one circulant of a width that has a plan, whatever the device."""
    return len(circulants) == 1 and circulants[0].shape == (1, 1, d_in) and plan_for(d_in) is not None


def _is_available() -> bool:
    """Whether Triton is installed, in a version that the kernels were compiled with."""
    try:
        found = importlib.metadata.version("triton")
    except importlib.metadata.PackageNotFoundError:
        return False
    major, minor = found.split(".")[:2]
    return (int(major), int(minor)) >= OLDEST_TRITON


AVAILABLE = _is_available()
"""Found once: torch.compile does not read what looks for packages."""


def _has_tensor_cores(device: torch.device) -> bool:
    return torch.cuda.get_device_properties(device).major >= 8


def forward_(y: Tensor, x: Tensor, factors: Factors) -> None:
    """y += alpha dW x in place; x (tokens, d), y (tokens, d) contiguous."""
    from cdvft.kernels.fused import operators

    if _is_watched():
        y += update(x, factors)
    else:
        operators.update(x.contiguous(), *_vectors(factors), factors.alpha, out=y)


def update(x: Tensor, factors: Factors) -> Tensor:
    """alpha dW x in the dtype of x: (tokens, d)."""
    from cdvft.kernels.fused import operators

    run = operators.update_operator if _is_watched() else operators.update
    return run(x.contiguous(), *_vectors(factors), factors.alpha)


def backward(
    x: Tensor, grad: Tensor, factors: Factors, grad_x: Tensor | None
) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
    """Gradients by diagonals and circulants, given that by alpha dW x; adds that by x to `grad_x`, if any."""
    if not _is_watched():
        return _gradients(x, grad, factors, grad_x, needs_x=grad_x is not None)[1]
    by_x, found = gradients(x, grad, factors, needs_x=True)
    if grad_x is not None:
        assert by_x is not None
        grad_x += by_x
    return found


def gradients(
    x: Tensor, grad: Tensor, factors: Factors, needs_x: bool
) -> tuple[Tensor | None, tuple[list[Tensor], list[Tensor]]]:
    """Gradients by x, in its dtype, or None if not needed; by diagonals and circulants."""
    from cdvft.kernels.fused import operators

    if not _is_watched():
        return _gradients(x, grad, factors, None, needs_x)
    by_x, first, last, c = operators.gradients_operator(
        x.contiguous(), grad.contiguous(), *_vectors(factors), factors.alpha
    )
    return by_x, ([first, last], [c.view(1, 1, -1)])


def _gradients(
    x: Tensor, grad: Tensor, factors: Factors, grad_x: Tensor | None, needs_x: bool
) -> tuple[Tensor | None, tuple[list[Tensor], list[Tensor]]]:
    from cdvft.kernels.fused import operators

    by_x, first, last, c = operators.gradients(
        x.contiguous(), grad.contiguous(), *_vectors(factors), factors.alpha, grad_x, needs_x
    )
    return by_x, ([first, last], [c.view(1, 1, -1)])


def _is_watched() -> bool:
    """Whether a compiler, FLOP counter or fake tensors watch, which see registered operators alone."""
    return torch.compiler.is_compiling() or is_in_torch_dispatch_mode()


def _vectors(factors: Factors) -> tuple[Tensor, Tensor, Tensor]:
    (first, last), (c,) = factors.diagonals, factors.circulants
    return first.contiguous(), c.reshape(-1), last.contiguous()
