"""Compiles the fused kernels for GPUs without having one, and records registers, spills and shared memory.

    python -m benchmarks.compile_fused [--cases 768 "768 -> 3072"] [--targets 90] [--to FOLDER]

Triton compiles for any device, and its wheel brings ptxas and cuobjdump. Nothing here runs on a GPU, and
nothing is timed. Writes benchmarks/results/fused_kernels.json and .md.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import re
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor

from benchmarks.machine import write_record
from benchmarks.tables import table
from cdvft.circulant import Factors
from cdvft.kernels import fused
from cdvft.kernels.fused.plan import KernelPlan, plan_for

RESULTS = Path(__file__).parent / "results"
TARGETS = {80: "A100", 89: "L4, RTX 4090", 90: "H100"}
FLOAT32 = 90
"""float32 is compiled for one device alone: three products for one take several times as long."""
DTYPES = {"bf16": torch.bfloat16, "fp32": torch.float32}


@dataclass(frozen=True)
class Case:
    """A layer and its circulant: d_out x d_in in blocks of p."""

    d_out: int
    d_in: int
    p: int

    @property
    def title(self) -> str:
        """The name in the record."""
        shape = str(self.d_in) if self.d_in == self.d_out else f"{self.d_in} -> {self.d_out}"
        return f"{shape}, blocks of {self.p}" if self.p < min(self.d_in, self.d_out) else shape


WIDTHS = (256, 384, 512, 640, 768, 1000, 1024, 1536, 2048, 3072, 4096)
CASES = {
    case.title: case
    for case in (
        *(Case(width, width, width) for width in WIDTHS),
        *(Case(768, 768, 256), Case(3072, 768, 768)),
    )
}
TRANSFORMS = ("update", "gradients by x and first", "gradient by last", "gradient by c")
DENSE = ("weight and update", "partial sums of the gradients", "gradients from their partial sums")
MATRICES = {case.title: case for case in (Case(768, 768, 768), Case(3072, 768, 768), Case(768, 768, 4))}
"""Layers whose dense update's kernels are recorded, which have no tiles of a width's."""

SOURCES = ("transform_kernels", "dense_kernels", "plan")


def digest() -> str:
    """A digest of the sources that are compiled, by which a record tells whether it is of these kernels."""
    files = (Path(fused.__file__).parent / f"{name}.py" for name in SOURCES)
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()[:16]


Launch = tuple[Any, int, dict[str, Any]]
"""Kernel, warps, and what it is given by name."""


def launches(case: Case, dtype: torch.dtype, dense: bool) -> dict[str, Launch]:
    """The kernels that a pass forward and backward launches, by name.

    In float32 updates and gradients are added to what the frozen layer gives, in half precision updates start
    the sum with the bias.
    """
    from cdvft.kernels.fused import dense as matrices
    from cdvft.kernels.fused import operators

    found: list[Launch] = []

    def keep(kernel: Any, grid: tuple[int, ...], warps: int, *args: Any, **constants: Any) -> None:
        found.append((kernel, warps, dict(zip(kernel.arg_names, args, strict=False)) | constants))

    def empty(*size: int, dtype: torch.dtype = torch.float32) -> Tensor:
        return torch.empty(*size, dtype=dtype, device="meta")

    first, last = empty(case.d_in), empty(case.d_out)
    c = empty(-(-case.d_out // case.p), -(-case.d_in // case.p), case.p)
    x, y = empty(16, case.d_in, dtype=dtype), empty(16, case.d_out, dtype=dtype)
    single, bias = dtype == torch.float32, empty(case.d_out, dtype=dtype)
    with mock.patch.object(operators, "launch", keep):
        if dense:
            weight, factors = empty(case.d_out, case.d_in, dtype=dtype), Factors([first, last], [c], 0.5)
            matrices.merged_weight(weight, factors, dtype)
            matrices.gradients(weight, factors)
        else:
            operators.update(x, first, c, last, 0.5, y if single else None, None if single else bias)
            operators.gradients(x, y, first, c, last, 0.5, x if single else None)
    return dict(zip(DENSE if dense else TRANSFORMS, found, strict=True))


def compiled(kernel: Any, warps: int, given: dict[str, Any], target: int) -> dict[str, Any]:
    """The resources of a multiprocessor that one kernel takes, for one compute capability."""
    import triton
    from triton.backends.compiler import GPUTarget

    built = triton.compile(
        _source(kernel, given),
        target=GPUTarget("cuda", target, 32),
        options={"num_warps": warps, "num_stages": 1},
    )
    used = _resource_usage(built.asm["cubin"])
    return {
        "target": f"sm_{target}", "warps": warps,
        "registers": used["REG"], "stack_bytes": used["STACK"], "shared_bytes": built.metadata.shared,
    }  # fmt: skip


def _source(kernel: Any, given: dict[str, Any]) -> Any:
    """The launch as Triton compiles it: every whole number of 16 and every pointer is told to be one."""
    from triton.compiler import ASTSource

    names = kernel.arg_names
    free = {parameter.name for parameter in kernel.params if parameter.do_not_specialize}
    sizes = {name: value for name, value in given.items() if isinstance(value, (int, KernelPlan))}
    values = {name: v for name, v in sizes.items() if name.isupper() or (v == 1 and name not in free)}
    whole = {name for name in sizes.keys() - values.keys() - free if sizes[name] % 16 == 0}
    pointers = {name for name, value in given.items() if isinstance(value, Tensor)}
    return ASTSource(
        kernel,
        signature={name: "constexpr" if name in values else _type(given[name]) for name in names},
        constexprs={(names.index(name),): value for name, value in values.items()},
        attrs={(names.index(name),): [["tt.divisibility", 16]] for name in whole | pointers},
    )


def _type(value: Any) -> str:
    """Triton's name of the type."""
    if isinstance(value, Tensor):
        return f"*{next(name for name, dtype in DTYPES.items() if dtype == value.dtype)}"
    return "fp32" if isinstance(value, float) else "i32"


def _resource_usage(cubin: bytes) -> dict[str, int]:
    """What cuobjdump of Triton's wheel tells of the function; a stack is where registers spill to."""
    import triton

    tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        command = [str(tool), "--dump-resource-usage", file.name]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return {name: int(value) for name, value in re.findall(r"(\w+):(\d+)", said.strip().splitlines()[-1])}


def of_case(case: Case, dense: bool, targets: list[int], dtypes: list[str]) -> Iterator[dict[str, Any]]:
    """The kernels of a layer, compiled one by one."""
    plan = plan_for(case.p)
    for dtype in dtypes:
        for name, launch in launches(case, DTYPES[dtype], dense).items():
            for target in targets:
                if dtype == "bf16" or target == FLOAT32:
                    head = {
                        "kernel": name, "layer": case.title, "dtype": dtype,
                        "waste": 0.0 if dense or plan is None else plan.waste,
                    }  # fmt: skip
                    found = head | compiled(*launch, target)
                    print(*found.values(), flush=True)
                    yield found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", nargs="+", choices=tuple(CASES), help="layers by transforms; default: all")
    parser.add_argument("--targets", nargs="+", type=int, default=tuple(TARGETS), choices=tuple(TARGETS))
    parser.add_argument("--dtypes", nargs="+", default=tuple(DTYPES), choices=tuple(DTYPES))
    parser.add_argument("--to", type=Path, default=RESULTS)
    asked = parser.parse_args()
    asked.to.mkdir(exist_ok=True)
    layers = [(CASES[title], False) for title in asked.cases or CASES]
    layers += [] if asked.cases else [(case, True) for case in MATRICES.values()]
    record = {
        "sources": digest(),
        "triton": importlib.metadata.version("triton"),
        "kernels": [k for layer in layers for k in of_case(*layer, asked.targets, asked.dtypes)],
    }
    path = asked.to / "fused_kernels.json"
    write_record(path, record)
    path.with_suffix(".md").write_text(markdown(record))


def markdown(record: dict[str, Any]) -> str:
    found = record["kernels"]
    spills = [_spills([k for k in found if k["dtype"] == dtype]) for dtype in DTYPES]
    targets = (f"sm_{n} ({name})" for n, name in TARGETS.items())
    head = ["kernel", "layer", "masked", "input", "warps", *targets]
    rows: dict[tuple[Any, ...], dict[str, str]] = {}
    for k in found:
        said = f"{k['registers']} registers, {k['shared_bytes'] / 1024:.0f} KB"
        if k["stack_bytes"]:
            said += f", spills {k['stack_bytes']} bytes"
        row = (k["kernel"], k["layer"], f"{k['waste']:.0%}", k["dtype"], k["warps"])
        rows.setdefault(row, {})[k["target"]] = said
    lines = [
        "# The fused kernels, compiled without a GPU",
        "",
        f"By `python -m benchmarks.compile_fused` with Triton {record['triton']}: registers a thread and "
        "shared memory a program. No GPU has run or timed any of them.",
        "",
        f"For inputs of half precision, by products in fp16, {spills[0]}. For float32, by three products in "
        f"tf32 for one, {spills[1]}. The dense kernels multiply no matrices.",
        "",
        *table(head, [[*row, *(cells.get(f"sm_{n}", "") for n in TARGETS)] for row, cells in rows.items()]),
    ]
    return "\n".join(lines) + "\n"


def _spills(found: list[dict[str, Any]]) -> str:
    spilling = sum(k["stack_bytes"] > 0 for k in found)
    return f"{spilling or 'none'} of {len(found)} kernels spill registers"


if __name__ == "__main__":
    main()
