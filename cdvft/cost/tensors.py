"""What each method trains and saves, tensor by tensor: names and sizes as in PEFT's adapter files."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence

from cdvft.blocks import vector_shapes
from cdvft.cost.shape import Shape

Tensors = tuple[tuple[str, tuple[int, ...]], ...]
"""Pairs of a name, relative to the adapted module, and a size."""


def cdvft(shape: Shape, m: int, block_size: int | None) -> Tensors:
    """m diagonals and m - 1 circulants of (q1, q2, p): d_in + (m - 1) d_out + sum of q1 q2 p entries."""
    diagonals, circulants = vector_shapes(shape.d_out, shape.d_in, m, block_size)
    return (
        *((f"cdvft_diagonals.{i}", size) for i, size in enumerate(diagonals)),
        *((f"cdvft_circulants.{i}", size) for i, size in enumerate(circulants)),
    )


def lora(shape: Shape, r: int) -> Tensors:
    """Return A (r, d_in) and B (d_out, r)."""
    return ("lora_A.weight", (r, shape.d_in)), ("lora_B.weight", (shape.d_out, r))


def dora(shape: Shape, r: int) -> Tensors:
    """LoRA's two, and a magnitude for each output (d_out)."""
    return *lora(shape, r), ("lora_magnitude_vector", (shape.d_out,))


def vera(shape: Shape, r: int) -> Tensors:
    """Return the vectors d of r entries and b of d_out; A and B are frozen and shared, see `vera_shared`."""
    return ("vera_lambda_b", (shape.d_out,)), ("vera_lambda_d", (r,))


def vera_shared(shapes: Sequence[Shape], r: int) -> Tensors:
    """The frozen A and B of all layers, each as wide as the widest of them, which PEFT saves in the file."""
    widest_in, widest_out = max(shape.d_in for shape in shapes), max(shape.d_out for shape in shapes)
    return ("vera_A", (r, widest_in)), ("vera_B", (widest_out, r))


def fourierft(n: int) -> Tensors:
    """n spectral entries; their places are drawn again from the seed in the configuration, and not saved."""
    return (("fourierft_spectrum", (n,)),)


def c3a(shape: Shape, block_size: int) -> Tensors:
    """Return the one kernel (d_out / b, d_in / b, b): d_out d_in / b entries."""
    return (("c3a_kernel", (shape.d_out // block_size, shape.d_in // block_size, block_size)),)


def dense(shape: Shape) -> Tensors:
    """Return the weight itself, and its bias."""
    size = (shape.d_in, shape.d_out) if shape.conv1d else (shape.d_out, shape.d_in)
    return (("weight", size), *([("bias", (shape.d_out,))] if shape.bias else []))


def parameters(tensors: Tensors) -> int:
    """Return the number of entries of all tensors."""
    return sum(math.prod(size) for _, size in tensors)


def safetensors_bytes(
    layers: Iterable[tuple[Shape, Tensors]], prefix: str, shared: Iterable[tuple[str, tuple[int, ...]]] = ()
) -> int:
    """Size of a float32 safetensors file: 8 bytes, a JSON header padded to a multiple of 8, 4 bytes an entry.

    Exact where a shape stands for one module by its full name; for `count` > 1 modules the names, and so the
    header, are a few bytes a tensor off. `shared` belong to no one module and have their whole names.
    """
    own = [
        (f"{prefix}{shape.name if shape.count == 1 else f'{shape.name}.{i}'}.{name}", size)
        for shape, tensors in layers
        for i in range(shape.count)
        for name, size in tensors
    ]
    named = sorted([*own, *shared])
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, size in named:
        end = offset + 4 * math.prod(size)
        header[name] = {"dtype": "F32", "shape": list(size), "data_offsets": [offset, end]}
        offset = end
    length = len(json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode())
    return 8 + -(-length // 8) * 8 + offset
