"""How the kernels are launched: some with a number of registers that ptxas would not give them by itself.

It makes room for more programs on a multiprocessor than are launched there, and spills registers for it: see
`plan.programs_per_multiprocessor`. Where that happens, it is told how many a thread may take.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

import torch
import triton
from torch import Tensor
from torch.library import wrap_triton

from cdvft.kernels.fused.watched import is_watched

REGISTERS = {"gradients_kernel": 255, "group_gradients_kernel": 255, "combine_kernel": 248}
"""The most a thread: so no kernel for half precision spills (`benchmarks/results/fused_kernels.md`)."""


F = TypeVar("F", bound=Callable[..., Any])


def on_its_device(function: F) -> F:
    """Triton launches on the current device: make that of the first argument current for the call."""

    @functools.wraps(function)
    def run(x: Tensor, *args: Any, **kwargs: Any) -> Any:
        with torch.cuda.device_of(x):
            return function(x, *args, **kwargs)

    return cast(F, run)


def launched(kernel: Any, warps: int) -> Any:
    """The kernel, by programs of so many warps: `launched(kernel, warps)[grid](...)`."""
    configured = _configured(kernel, warps)  # `wrap_triton` takes such options from configurations alone
    return wrap_triton(configured) if is_watched() else configured  # for nobody it would take 0.1 ms a launch


@functools.cache
def _configured(kernel: Any, warps: int) -> Any:
    registers = REGISTERS.get(kernel.fn.__name__)
    options = triton.Config({}, num_warps=warps, num_stages=1, maxnreg=registers)
    return triton.autotune([options], key=[])(kernel)
