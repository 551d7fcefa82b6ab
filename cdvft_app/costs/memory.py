"""How much memory a training step needs, by formula, and how much there is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil

from cdvft_app.shapes import ModelShapes

_FLOAT32 = 4
_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
_USED = ("/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory/memory.usage_in_bytes")


def training_bytes(row: Mapping[str, Any], shapes: ModelShapes) -> int:
    """Weights, gradients, AdamW's moments and activations in float32, without the libraries themselves.

    Beside what a method's own layers keep (the cost table's `activation_bytes`) the model keeps, from the
    first trained layer on, the output of each linear layer, which a norm, an activation or attention reads
    again in the backward pass, and attention's output. Dropout keeps what it multiplied by. Fused attention
    keeps no scores; attention with dropout, which a CPU cannot fuse, keeps them, their dropout, and the
    product of both (a GPU needs less). Head-only training keeps nothing of the model.
    """
    own = row["gradient_bytes"] + row["optimizer_bytes"] + row["activation_bytes"]
    if row["method"] != "full":
        own += _FLOAT32 * row["trainable_parameters"]
    kept = kept_per_token(row, shapes)
    if row["method"] != "head" and shapes.output_layer:  # a generator's logits, and their softmax in the loss
        kept += 2 * next(shape.d_out for shape in shapes.layers if shape.name == shapes.output_layer)
    tokens = row["batch"] * row["sequence"]
    return row["frozen_bytes"] + own + _FLOAT32 * tokens * kept


def kept_per_token(row: Mapping[str, Any], shapes: ModelShapes) -> int:
    """Numbers that the model keeps of a token for the backward pass, without logits and the method's own."""
    kept = 0
    if row["method"] != "head":
        layers = shapes.layers
        if row["method"] != "full":
            first = shapes.select(tuple(row["targets"]))[0].name
            layers = layers[next(i for i, shape in enumerate(layers) if shape.name == first) :]
        outputs = sum(shape.d_out for shape in layers if shape.name != shapes.output_layer)
        share = len(layers) / len(shapes.layers)
        scores = 3 * shapes.scores * row["sequence"]
        kept = round(
            outputs + share * (shapes.attention_layers * shapes.attention_width + shapes.dropped + scores)
        )
    return kept


def total_bytes() -> int:
    """Memory of this machine, or a container's limit where that is less."""
    limits = (most for most, _ in _container())
    return min([psutil.virtual_memory().total, *limits])


def available_bytes() -> int:
    """Memory of this machine that a further program can have, or a container's limit where that is less."""
    free = psutil.virtual_memory().available
    return max(min([free, *(most - used for most, used in _container())]), 0)


def _container() -> Iterator[tuple[int, int]]:
    """The limit of this process's container, if it has any, and how much of that is used."""
    for limit, used in zip(_LIMITS, _USED, strict=True):
        try:
            most, now = Path(limit).read_text().strip(), int(Path(used).read_text())
        except (OSError, ValueError):
            continue
        if most.isdecimal():
            yield int(most), now
