"""The update as one fused Triton kernel, on CUDA devices with tensor cores: compute capability 8.0 or later.

    plan               how a transform becomes matrix products; supported widths; their tables
    transform_kernels  the kernels of the transforms
    operators          their launches, also as operators of torch

Triton is optional (`pip install "./cdvft[gpu]"` in a checkout; torch for CUDA on Linux brings it along):
nothing here imports it before `supports` has found it.
"""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Sequence

import torch
from torch import Tensor

from cdvft.circulant import Factors
from cdvft.kernels import self_test
from cdvft.kernels.fused.plan import plan_for
from cdvft.private_names import is_watched

OLDEST_TRITON = (3, 7)
"""The version that torch 2.12 brings."""
MAX_WASTE = 0.5
"""Masked part of the tiles where there are several blocks: with smaller blocks a dense update is faster."""
DTYPES = (torch.float32, torch.bfloat16, torch.float16)


def supports(x: Tensor, circulants: Sequence[Tensor]) -> bool:
    """Return whether the kernel supports circulants whose width has a plan, on this CUDA device."""
    if (
        x.device.type != "cuda"
        or not supports_shapes(circulants)
        or x.dtype not in DTYPES
        or circulants[0].dtype != torch.float32
        or not AVAILABLE
        or not has_tensor_cores(x.device)
    ):
        return False
    if is_watched() or torch.cuda.is_current_stream_capturing():
        return True  # no self-test while compiling, faking or capturing
    return self_test.is_correct(sys.modules[__name__], x.device)


def supports_shapes(circulants: Sequence[Tensor]) -> bool:
    """Return whether the adapter's circulants fill the tiles of a plan well enough, whatever the device."""
    return all(_fits(*c.shape) for c in circulants)


@torch.compiler.assume_constant_result  # torch.compile need not trace how a plan is found
def _fits(q1: int, q2: int, p: int) -> bool:
    plan = plan_for(p)
    return plan is not None and (q1 == q2 == 1 or plan.waste <= MAX_WASTE)


def _is_available() -> bool:
    """Return whether Triton is installed, in a version that the kernels were compiled with."""
    try:
        found = importlib.metadata.version("triton")
    except importlib.metadata.PackageNotFoundError:
        return False
    major, minor = found.split(".")[:2]
    return (int(major), int(minor)) >= OLDEST_TRITON


AVAILABLE = _is_available()
"""Determined once: torch.compile cannot trace a search for packages."""


@torch.compiler.assume_constant_result
def has_tensor_cores(device: torch.device) -> bool:
    """Return whether a CUDA device's compute capability is 8.0 or above."""
    return torch.cuda.get_device_properties(device).major >= 8


def forward_(y: Tensor, x: Tensor, factors: Factors) -> None:
    """y += alpha dW x in place; x (tokens, d_in), y (tokens, d_out) contiguous."""
    from cdvft.kernels.fused import operators

    if is_watched():
        y += update(x, factors)
    else:
        *earlier, last = stages(factors)
        operators.update(_inputs(x, earlier, factors)[-1], *last, out=y)


def update(x: Tensor, factors: Factors, bias: Tensor | None = None) -> Tensor:
    """alpha dW x, plus a bias, in the dtype of x: (tokens, d_out), a new tensor."""
    from cdvft.kernels.fused import operators

    bias = None if bias is None else bias.contiguous()
    *earlier, last = stages(factors)
    rows = _inputs(x, earlier, factors)[-1]
    if is_watched():
        y = operators.update_operator(rows, *last)
        return (y if bias is None else y + bias).to(x.dtype)
    return operators.update(rows, *last, bias=bias).to(x.dtype)


def backward(
    x: Tensor, grad: Tensor, factors: Factors, grad_x: Tensor | None
) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
    """Gradients by diagonals and circulants, given that by alpha dW x; adds that by x to `grad_x`, if any."""
    return _gradients(x, grad, factors, grad_x, needs_x=grad_x is not None)[1]


def gradients(
    x: Tensor, grad: Tensor, factors: Factors, needs_x: bool
) -> tuple[Tensor | None, tuple[list[Tensor], list[Tensor]]]:
    """Gradients by x, in its dtype, or None if not needed; by diagonals and circulants."""
    return _gradients(x, grad, factors, None, needs_x)


def _gradients(
    x: Tensor, grad: Tensor, factors: Factors, grad_x: Tensor | None, needs_x: bool
) -> tuple[Tensor | None, tuple[list[Tensor], list[Tensor]]]:
    """`gradients`, or with that by x added to `grad_x`: from the last circulant to the first.

    The inputs of the later circulants are computed again.
    """
    from cdvft.kernels.fused import operators

    steps = stages(factors)
    inputs = _inputs(x, steps[:-1], factors)
    diagonals: list[Tensor] = []
    circulants: list[Tensor] = []
    by_x: Tensor | None = grad.contiguous()
    for n in reversed(range(len(steps))):
        assert by_x is not None
        vectors = (inputs[n], by_x, *steps[n])
        if is_watched():
            by_x, by_first, by_last, by_c = operators.gradients_operator(*vectors)
            if n == 0 and grad_x is not None:
                grad_x += by_x
        elif n > 0:
            by_x, by_first, by_last, by_c = operators.gradients(*vectors, None)
        else:
            by_x, by_first, by_last, by_c = operators.gradients(*vectors, grad_x, needs_x)
        diagonals = [by_first, *(diagonals or [by_last])]
        circulants = [by_c, *circulants]
    return None if by_x is None else by_x.to(x.dtype), (diagonals, circulants)


Stage = tuple[Tensor, Tensor, Tensor, float]
"""first, c, last and alpha, as `operators.update` takes them."""


def stages(factors: Factors) -> list[Stage]:
    """Return an update for each circulant: only the last of them has the last diagonal, and the scale."""
    *before, last = (a.contiguous() for a in factors.diagonals)
    ones = torch.ones_like(last) if len(before) > 1 else last
    found = [(a, c.contiguous(), ones, 1.0) for a, c in zip(before, factors.circulants, strict=True)]
    return [*found[:-1], (*found[-1][:2], last, factors.alpha)]


def _inputs(x: Tensor, steps: Sequence[Stage], factors: Factors) -> list[Tensor]:
    """x, and what each stage makes of what was before; in float32 between circulants, to round once."""
    from cdvft.kernels.fused import operators

    run = operators.update_operator if is_watched() else operators.update
    found = [x.contiguous() if len(factors.circulants) == 1 else x.to(torch.float32).contiguous()]
    for stage in steps:
        found.append(run(found[-1], *stage))
    return found
