"""Compiles the fused kernels for GPUs without having one, and records registers, spills and shared memory.

    python -m benchmarks.compile_fused [--parts blocks] [--widths 768 4096] [--targets 90] [--to FOLDER]

Triton compiles for any device, and its wheel brings ptxas and cuobjdump. Nothing here runs on a GPU, and
nothing is timed. Writes benchmarks/results/fused_kernels.json and .md, where other parts stay as they were.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.fused_parts import (
    ALL,
    DTYPES,
    KERNELS,
    SOURCES,
    Shape,
    digest,
    kernels,
    part_of,
    shape_of,
    source_of,
)
from benchmarks.tables import table

RESULTS = Path(__file__).parent / "results"
TARGETS = {80: "A100", 89: "L4, RTX 4090", 90: "H100"}
FLOAT32 = 90
"""float32 is compiled for one device alone: three products for one take several times as long."""


def compiled(kernel: str, shape: Shape, target: int, dtype: str) -> dict[str, Any]:
    """What one kernel takes of a multiprocessor, for one width, compute capability and dtype of the input."""
    import triton
    from triton.backends.compiler import GPUTarget

    from cdvft.kernels.fused.launch import REGISTERS

    built = triton.compile(
        source_of(kernel, shape, dtype),
        target=GPUTarget("cuda", target, 32),
        options={"num_warps": shape.warps, "num_stages": 1, "maxnreg": REGISTERS.get(KERNELS[kernel][0])},
    )
    used = _resource_usage(built.asm["cubin"])
    return {
        "kernel": kernel, "width": shape.width, "target": f"sm_{target}", "dtype": dtype,
        "warps": shape.warps, "waste": shape.waste,
        "registers": used["REG"], "stack_bytes": used["STACK"], "shared_bytes": built.metadata.shared,
        "spills_in_loop": _spills_in_loops(built.asm["cubin"]),
    }  # fmt: skip


def _tool(name: str, cubin: bytes, *options: str) -> str:
    """What one of the tools in Triton's wheel says of a compiled kernel."""
    import triton

    tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / name
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        command = [str(tool), *options, file.name]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _resource_usage(cubin: bytes) -> dict[str, int]:
    """What cuobjdump tells of the function; a stack is where registers spill to."""
    fields = _tool("cuobjdump", cubin, "--dump-resource-usage").strip().splitlines()[-1].split()
    return {
        name: int(value) for name, _, value in (field.partition(":") for field in fields) if value.isdigit()
    }


def _spills_in_loops(cubin: bytes) -> int:
    """Instructions on spilled registers between a label and a jump back to it: paid for each group of tokens.

    The others are paid once a program, before its loop or after it.
    """
    lines = _tool("nvdisasm", cubin, "-c").splitlines()
    labels = {line.strip().rstrip(":"): n for n, line in enumerate(lines) if re.match(r"\s*\.L_x_\d+:", line)}
    spilled = [n for n, line in enumerate(lines) if re.search(r"\b(STL|LDL)\b", line)]
    inside: set[int] = set()
    for n, line in enumerate(lines):
        jump = re.search(r"BRA `\((\.L_x_\d+)\)", line)
        if jump and labels[jump[1]] < n - 1:  # a kernel ends with a jump to itself
            inside |= {at for at in spilled if labels[jump[1]] <= at <= n}
    return len(inside)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", nargs="+", default=tuple(SOURCES), choices=tuple(SOURCES))
    parser.add_argument("--widths", nargs="+", type=int, help="of transforms; default: those of the record")
    parser.add_argument("--targets", nargs="+", type=int, default=tuple(TARGETS), choices=tuple(TARGETS))
    parser.add_argument("--dtypes", nargs="+", default=tuple(DTYPES), choices=tuple(DTYPES))
    parser.add_argument("--to", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    arguments.to.mkdir(exist_ok=True)
    path = arguments.to / "fused_kernels.json"
    record = json.loads(path.read_text()) if path.exists() else {"sources": {}, "kernels": []}
    kept = [k for k in record["kernels"] if part_of(k["kernel"]) not in arguments.parts]
    found = [
        kernel
        for part in arguments.parts
        for width in arguments.widths or ALL[part]
        for kernel in of_width(width, part, arguments.targets, arguments.dtypes)
    ]
    record = {
        "sources": record["sources"] | {part: digest(part) for part in arguments.parts},
        "triton": importlib.metadata.version("triton"),
        "kernels": sorted(kept + found, key=lambda k: list(SOURCES).index(part_of(k["kernel"]))),
    }
    path.write_text(json.dumps(record, indent=1) + "\n")
    path.with_suffix(".md").write_text(markdown(record))


def of_width(width: Any, part: str, targets: list[int], dtypes: list[str]) -> Iterator[dict[str, Any]]:
    """The kernels of a part for one width, compiled one by one."""
    shape = shape_of(width, part)
    for kernel in kernels(shape, part):
        for dtype in dtypes:
            for target in targets:
                if dtype == "bf16" or target == FLOAT32:
                    found = compiled(kernel, shape, target, dtype)
                    print(*found.values(), flush=True)
                    yield found


def markdown(record: dict[str, Any]) -> str:
    found = record["kernels"]
    spills = [_spills([k for k in found if k["dtype"] == dtype]) for dtype in DTYPES]
    head = [
        "kernel",
        "width",
        "masked",
        "input",
        "warps",
        *(f"sm_{n} ({name})" for n, name in TARGETS.items()),
    ]
    rows: dict[tuple[Any, ...], dict[str, str]] = {}
    for k in found:
        said = f"{k['registers']} registers, {k['shared_bytes'] / 1024:.0f} KB"
        if k["stack_bytes"]:
            said += f", spills {k['stack_bytes']} bytes, {k['spills_in_loop']} in the loop"
        row = (k["kernel"], k["width"], f"{k['waste']:.0%}", k["dtype"], k["warps"])
        rows.setdefault(row, {})[k["target"]] = said
    lines = [
        "# The fused kernels, compiled without a GPU",
        "",
        f"By `python -m benchmarks.compile_fused` with Triton {record['triton']}: registers a thread and "
        "shared memory a program. No GPU has run or timed any of them.",
        "",
        f"For inputs of half precision, by products in fp16, {spills[0]}. For float32, by three products in "
        f'tf32 for one, {spills[1]} (instructions "in the loop" over tokens; the others once a program). '
        "The dense kernels multiply no matrices.",
        "",
        *table(head, [[*row, *(cells.get(f"sm_{n}", "") for n in TARGETS)] for row, cells in rows.items()]),
    ]
    return "\n".join(lines) + "\n"


def _spills(found: list[dict[str, Any]]) -> str:
    spilling, looping = (sum(k[key] > 0 for k in found) for key in ("stack_bytes", "spills_in_loop"))
    if not spilling:
        return f"none of {len(found)} kernels spills a register"
    return f"{spilling} of {len(found)} kernels spill registers, {looping} of them inside the loop"


if __name__ == "__main__":
    main()
