"""Traces the fused kernels as torch.compile does, and binds launches, for a GPU that is not there.

Says what it found.

To be run by itself: kernels that are interpreted cannot be traced.
"""

from __future__ import annotations

import json
from typing import Any
from unittest import mock

import torch
import triton
from functorch.compile import aot_function, min_cut_rematerialization_partition
from torch import Tensor
from triton.backends.compiler import GPUTarget

from cdvft.kernels.fused import cube_shape, group, launch, operators, tables
from cdvft.kernels.fused.plan import plan_for
from cdvft.kernels.fused.vectors import Vectors


class Driver:
    """Says which device kernels are compiled for: all that tracing and binding ask of one."""

    def get_current_target(self) -> GPUTarget:
        return GPUTarget("cuda", 90, 32)

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, device: int) -> int:
        return 0


class Traced(Exception):
    """The graphs are there; nothing could run them."""


def kernels_and_operators(c: Tensor, d_in: int, d_out: int) -> list[str]:
    """Of a pass forward and backward, in order: "kernel", or an operator of ours or that makes numbers."""
    found: list[str] = []

    def partition(joint: Any, *args: Any, **options: Any) -> Any:
        for node in joint.graph.nodes:
            name = str(node.target)
            if name.startswith(("cdvft", "aten.arange", "aten.cos")):
                found.append(name.removesuffix(".default"))
            elif "triton" in name:
                found.append("kernel")
        return min_cut_rematerialization_partition(joint, *args, **options)

    def stop(*_: Any) -> Any:
        raise Traced

    leaves = [torch.randn(*shape, requires_grad=True) for shape in ((8, d_in), (d_in,), c.shape, (d_out,))]
    run = aot_function(
        lambda x, first, circulant, last: operators.update_operator(x, first, circulant, last, 0.5),
        fw_compiler=stop, bw_compiler=stop, partition_fn=partition,
    )  # fmt: skip
    try:
        run(*leaves)
    except Traced:
        return found
    raise AssertionError("the graph was not handed to its compiler")


def bound() -> list[str]:
    """Kernels of several layers that Triton made of what they are launched with, up to the launch."""
    found: list[str] = []

    class Bound:
        def __init__(self, kernel: Any) -> None:
            self.kernel = kernel

        def __getitem__(self, grid: tuple[int, ...]) -> Any:
            def run(*args: Any, **constants: Any) -> None:
                (built,) = self.kernel.warmup(*args, grid=grid, **constants)
                found.append(built.name)

            return run

    with mock.patch.object(group, "launched", lambda *given: Bound(launch._configured(*given))):
        x = torch.zeros(8, 256, dtype=torch.bfloat16)
        vectors = Vectors(*(tuple(torch.zeros(256) for _ in range(3)) for _ in range(3)))
        group.update(x, vectors, 0.5, [torch.zeros(256, dtype=torch.bfloat16) for _ in range(3)])
        group.gradients(x, [x.clone() for _ in range(3)], vectors, 0.5, needs_x=True)
    return found


def kept() -> list[str]:
    """Of which kind the tables are that later calls are given."""
    cpu = torch.device("cpu")
    plan = plan_for(768)
    assert plan is not None
    return [type(one).__name__ for one in (tables.tables(plan, cpu), cube_shape.tables(cpu))]


if __name__ == "__main__":
    triton.runtime.driver.set_active(Driver())
    told: dict[str, Any] = {
        "768": kernels_and_operators(torch.empty(768), 768, 768),
        "4096": kernels_and_operators(torch.empty(4096), 4096, 4096),
        "3072 -> 768": kernels_and_operators(torch.empty(1, 4, 768), 3072, 768),
        "kept": kept(),
        "bound": bound(),
    }
    told["768 again"] = kernels_and_operators(torch.empty(768), 768, 768)
    print(json.dumps(told))
