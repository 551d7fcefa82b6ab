"""What `benchmarks.compile_fused` compiles: the fused kernels by part, width and dtype, as launched."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from benchmarks.launches import MATRICES, Matrix, Together
from cdvft.kernels import fused
from cdvft.kernels.fused.cube_shape import CUBE, Cube, shape_for
from cdvft.kernels.fused.plan import ROWS, Plan, plan_for

WIDTHS = (256, 384, 512, 576, 768, 896, 1024, 1152, 1536, 2048, 3072)
BLOCKS = (128, 256, 768, 1024, 2048, 4096)
TOGETHER = (256, 384, 512, 576, 768, 896, 1024, 1152, 1536, 2048)
ALL: dict[str, tuple[Any, ...]] = {
    "whole": WIDTHS, "cube": (CUBE.width,), "blocks": BLOCKS, "dense": tuple(MATRICES),
    "together": TOGETHER, "together cube": (CUBE.width,),
}  # fmt: skip
"""Widths of each part's kernels that are recorded."""
DTYPES = {"bf16": "fp16", "fp32": "tf32x3"}
"""Inputs, and how products are rounded for them: see `cdvft.kernels.fused.operators.precision`."""
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
    "together, spectra": ("group_spectrum_kernel", {}),
    "together, update": ("group_update_kernel", {}),
    "together, gradients": ("group_gradients_kernel", {}),
    "together, gradients by c": ("group_signal_kernel", {}),
    "together cube, spectra": ("group_spectrum_kernel", {}),
    "together cube, update": ("group_update_kernel", {}),
    "together cube, gradients by x and first": ("group_input_gradients_kernel", {}),
    "together cube, gradients by last": ("group_last_gradient_kernel", {}),
    "together cube, gradients by c": ("group_circulant_gradient_kernel", {}),
    "together cube, gradients by c from their spectra": ("group_signal_kernel", {}),
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
    "together": (
        "dft.py",
        "device_rows.py",
        "device.py",
        "device_group.py",
        "group.py",
        "plan.py",
        "launch.py",
    ),
    "together cube": (
        "dft.py",
        "device_cube.py",
        "device_group.py",
        "device_group_cube.py",
        "group_cube.py",
        "cube_shape.py",
        "launch.py",
    ),
}

Shape = Plan | Cube | Matrix | Together


def digest(part: str) -> str:
    """Of what is compiled for a part, so that a record tells whether it is of these kernels."""
    folder = Path(fused.__file__).parent
    return hashlib.sha256(b"\0".join((folder / name).read_bytes() for name in SOURCES[part])).hexdigest()[:16]


def source_of(kernel: str, shape: Shape, dtype: str) -> Any:
    """What Triton compiles for a kernel's launch."""
    from triton.compiler import ASTSource

    from cdvft.kernels.fused import device, device_blocks, device_cube

    name, switches = KERNELS[kernel]
    if isinstance(shape, (Matrix, Together)):
        return shape.source(name, dtype)
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
    """ "whole", "cube", "blocks", "dense", "together" or "together cube"."""
    part, _, rest = kernel.partition(", ")
    return part if rest else "whole"


def kernels(shape: Shape, part: str) -> tuple[str, ...]:
    """What is launched for a width, a matrix, or layers of one input."""
    if part != "whole":
        return tuple(name for name in KERNELS if part_of(name) == part)
    assert isinstance(shape, Plan)
    both = ("gradients by x and first", "gradients by last and c")
    return ("spectrum", "update", *(both if shape.split else ("gradients",)), "gradient by c")


def shape_of(width: Any, part: str) -> Shape:
    """How a part's kernels transform a width, or the matrix of this title."""
    if part == "dense":
        return MATRICES[width]
    if part.startswith("together"):
        return Together(width)
    shape = shape_for(width) if part == "cube" else plan_for(width)
    assert shape is not None, f"no plan for {width}"
    return shape
