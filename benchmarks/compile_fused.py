"""Compiles the fused kernels for GPUs without having one, and records registers, spills and shared memory.

    python -m benchmarks.compile_fused [--parts blocks] [--widths 768 4096] [--targets 90] [--to FOLDER]

Triton compiles for any device, and its wheel brings ptxas and cuobjdump. Nothing here runs on a GPU, and
nothing is timed. Writes benchmarks/results/fused_kernels.json and .md, where other parts stay as they were.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import json
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.dense_launches import MATRICES, Matrix
from benchmarks.tables import table
from cdvft.kernels import fused
from cdvft.kernels.fused.cube_shape import CUBE, Cube, shape_for
from cdvft.kernels.fused.plan import ROWS, Plan, plan_for

RESULTS = Path(__file__).parent / "results"
WIDTHS = (256, 384, 512, 576, 768, 896, 1024, 1152, 1536, 2048, 3072)
BLOCKS = (128, 256, 768, 1024, 2048, 4096)
ALL: dict[str, tuple[Any, ...]] = {
    "whole": WIDTHS, "cube": (CUBE.width,), "blocks": BLOCKS, "dense": tuple(MATRICES)
}  # fmt: skip
"""Widths of each part's kernels that are recorded."""
TARGETS = {80: "A100", 89: "L4, RTX 4090", 90: "H100"}
DTYPES = {"bf16": "fp16", "fp32": "tf32x3"}
"""Inputs, and how products are rounded for them: see `cdvft.kernels.fused.operators.precision`."""
FLOAT32 = 90
"""float32 is compiled for one device alone: three products for one take several times as long."""
POINTERS = (
    "out", "x", "grad", "grad_x", "shares", "first", "last", "c", "spectrum", "tables", "others", "spectra",
    "rows", "diagonal", "u", "h", "bias",
)  # fmt: skip
INPUTS = ("out", "x", "grad", "grad_x", "others", "rows", "bias")
FLOATS = ("alpha", "scale")
KERNELS: dict[str, tuple[str, dict[str, bool]]] = {
    "spectrum": ("spectrum_kernel", {}),
    "update": ("update_kernel", {}),
    "gradients": ("gradients_kernel", {"INPUT": True, "OUTPUT": True}),
    "gradients by x and first": ("gradients_kernel", {"INPUT": True, "OUTPUT": False}),
    "gradients by last and c": ("gradients_kernel", {"INPUT": False, "OUTPUT": True}),
    "gradient by c": ("signal_kernel", {}),
    "cube, spectrum": ("spectrum_kernel", {}),
    "cube, update": ("update_kernel", {}),
    "cube, gradients by x and first": ("input_gradients_kernel", {}),
    "cube, gradient by last": ("last_gradient_kernel", {}),
    "cube, gradient by c": ("circulant_gradient_kernel", {}),
    "cube, gradient by c from its spectrum": ("signal_kernel", {}),
    "blocks, spectrum": ("spectrum_kernel", {}),
    "blocks, spectra": ("spectra_kernel", {}),
    "blocks, update": ("combine_kernel", {"CONJUGATE": False, "STORE": True, "SHARE": False}),
    "blocks, gradients by x and first": (
        "combine_kernel",
        {"CONJUGATE": True, "STORE": True, "SHARE": True, "BIAS": False},
    ),
    "blocks, gradient by last": (
        "combine_kernel",
        {"CONJUGATE": False, "STORE": False, "SHARE": True, "BIAS": False},
    ),
    "blocks, gradient by c": ("correlate_kernel", {}),
    "blocks, gradient by c from its spectrum": ("signal_kernel", {}),
    "dense, weight and update": ("merge_kernel", {}),
    "dense, shares of the gradients": ("shares_kernel", {}),
    "dense, gradients from their shares": ("sum_kernel", {}),
}
"""Function and switches.

In float32 updates and gradients are added to what the frozen layer gives, in half precision updates start the
sum with the bias.
"""


SOURCES = {
    "whole": ("dft.py", "device_rows.py", "device.py", "plan.py", "launch.py"),
    "cube": ("dft.py", "device_cube.py", "cube_shape.py", "launch.py"),
    "blocks": ("dft.py", "device_rows.py", "device_blocks.py", "device.py", "plan.py", "launch.py"),
    "dense": ("device_dense.py", "dense.py", "launch.py"),
}


def digest(part: str) -> str:
    """Of what is compiled for a part, so that a record tells whether it is of these kernels."""
    folder = Path(fused.__file__).parent
    return hashlib.sha256(b"\0".join((folder / name).read_bytes() for name in SOURCES[part])).hexdigest()[:16]


def source_of(kernel: str, shape: Plan | Cube, dtype: str) -> Any:
    """What Triton compiles for a transform."""
    from triton.compiler import ASTSource

    from cdvft.kernels.fused import device, device_blocks, device_cube

    name, switches = KERNELS[kernel]
    modules = {"whole": (device,), "cube": (device_cube,), "blocks": (device_blocks, device)}
    function = next(getattr(one, name) for one in modules[part_of(kernel)] if hasattr(one, name))
    names = function.arg_names
    values = _geometry(shape) | {
        "ADD": dtype == "fp32", "BIAS": dtype != "fp32", "NEEDS_X": True,
        "PRECISION": DTYPES[dtype], **switches,
    }  # fmt: skip
    values = {name: value for name, value in values.items() if name in names}
    types = dict.fromkeys(names, "i32") | dict.fromkeys(FLOATS, "fp32") | dict.fromkeys(values, "constexpr")
    types |= {name: f"*{dtype if name in INPUTS else 'fp32'}" for name in POINTERS}
    return ASTSource(
        function,
        signature={name: types[name] for name in names},
        constexprs={(names.index(name),): value for name, value in values.items()},
        attrs={
            (names.index(name),): [["tt.divisibility", 16]] for name in (*POINTERS, "zero") if name in names
        },
    )


def compiled(kernel: str, shape: Plan | Cube | Matrix, target: int, dtype: str) -> dict[str, Any]:
    """What one kernel takes of a multiprocessor, for one width, compute capability and dtype of the input."""
    import triton
    from triton.backends.compiler import GPUTarget

    from cdvft.kernels.fused.launch import REGISTERS

    name = KERNELS[kernel][0]
    built = triton.compile(
        shape.source(name, dtype) if isinstance(shape, Matrix) else source_of(kernel, shape, dtype),
        target=GPUTarget("cuda", target, 32),
        options={"num_warps": shape.warps, "num_stages": 1, "maxnreg": REGISTERS.get(name)},
    )
    used = _resource_usage(built.asm["cubin"])
    return {
        "kernel": kernel, "width": shape.width, "target": f"sm_{target}", "dtype": dtype,
        "warps": shape.warps, "waste": shape.waste,
        "registers": used["REG"], "stack_bytes": used["STACK"], "shared_bytes": built.metadata.shared,
        "spills_in_loop": _spills_in_loops(built.asm["cubin"]),
    }  # fmt: skip


def _geometry(shape: Plan | Cube) -> dict[str, int]:
    """What of its tiles the kernels are compiled for: those of the cube have one shape."""
    from cdvft.kernels.fused import blocks

    if isinstance(shape, Cube):
        return {}
    return {
        "RADIX": shape.radix, "ROWS": shape.rows, "COLUMNS": shape.columns, "N1": ROWS,
        "N2": shape.tile_columns, "GROUP": shape.group, "RELOAD": shape.reload, "ENTRIES": shape.entries,
        "TILE": ROWS * shape.tile_columns, "STRIP": blocks.STRIP,
    }  # fmt: skip


def part_of(kernel: str) -> str:
    """ "whole", "cube", "blocks" or "dense"."""
    part, _, rest = kernel.partition(", ")
    return part if rest else "whole"


def kernels(shape: Plan | Cube | Matrix, part: str) -> tuple[str, ...]:
    """What is launched for a width, of a whole circulant or of blocks, or for a matrix."""
    if part != "whole":
        return tuple(name for name in KERNELS if part_of(name) == part)
    assert isinstance(shape, Plan)
    both = ("gradients by x and first", "gradients by last and c")
    return ("spectrum", "update", *(both if shape.split else ("gradients",)), "gradient by c")


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


def shape_of(width: Any, part: str) -> Plan | Cube | Matrix:
    """How a part's kernels transform a width, or the matrix of this title."""
    if part == "dense":
        return MATRICES[width]
    shape = shape_for(width) if part == "cube" else plan_for(width)
    assert shape is not None, f"no plan for {width}"
    return shape


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
