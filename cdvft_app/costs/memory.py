"""How much memory a training step needs, by formula, and how much there is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from cdvft_app.costs.request import StoragePrecision
from cdvft_app.shapes import ModelShapes
from cdvft_app.shapes.layers import blocks

_FLOAT32 = 4
_GROUPS = Path("/sys/fs/cgroup")
_IN_GROUPS = (
    (".", "memory.max", "memory.current", "inactive_file"),
    ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)
"""Of cgroups 2 and 1: a folder, its files of limit and use, and memory.stat's name of unused files."""
_LOGITS = 3
"""Tensors as large as a generator's logits that stand at once where its loss is differentiated."""
_BYTES_OF_BITS = {8: 1.0, 4: 0.516}
"""Of a weight and its share of a block's scale: one byte for 64 weights, and 4 bytes for 256 such scales."""


@dataclass(frozen=True)
class StepMemory:
    """Bytes of one training step by what they hold, without the program itself and its libraries.

    Args:
        frozen_bytes: the model's weights; those that full fine-tuning trains, too.
        adapter_weight_bytes: the trained numbers beside them.
        gradient_bytes: of what is trained.
        optimizer_bytes: AdamW's two moments.
        activation_bytes: inputs that the method's own layers keep for the backward pass.
        model_activation_bytes: what the model keeps for it.
        logit_bytes: a generator's logits and what its loss makes of them.
    """

    frozen_bytes: int
    adapter_weight_bytes: int
    gradient_bytes: int
    optimizer_bytes: int
    activation_bytes: int
    model_activation_bytes: int
    logit_bytes: int

    @property
    def total(self) -> int:
        return sum(asdict(self).values())


def step_memory(
    row: Mapping[str, Any], shapes: ModelShapes, precision: StoragePrecision, checkpointing: bool
) -> StepMemory:
    """Weights, gradients, AdamW's moments and activations of a step, by formula.

    Only the cost table calls it, whose rows hold the result: whoever says a step's memory reads it there.
    `row` has `method`, `targets`, `batch`, `sequence`, `trainable_parameters` and what the method adds by
    itself in `gradient_bytes`, `optimizer_bytes` and `activation_bytes`, as without checkpointing.

    Beside what a method's own layers keep the model keeps, from the first trained layer on, the output of
    each linear layer, which a norm, an activation or attention reads again in the backward pass, attention's
    output, that of an activation which a gate multiplies, and what an activation of several operations holds
    between them. Dropout keeps what it multiplied by. Fused attention keeps no scores; attention with
    dropout, which a CPU cannot fuse, keeps them, their dropout, and the product of both (a GPU needs less).
    Head-only training keeps nothing of the model. A generator's log-probabilities, their gradient and that of
    its logits stand at once, in float32.

    With checkpointing every block keeps its input alone, and one block at a time all the rest.
    Rounded to 8 or 4 bits are the weights of linear layers but the output's, as bitsandbytes does it; full
    fine-tuning has all weights in float32.
    """
    full, number = row["method"] == "full", 2 if precision.half else _FLOAT32
    tokens, kept = row["batch"] * row["sequence"], kept_per_token(row, shapes)
    own = row["activation_bytes"]
    if checkpointing and kept:
        many = len(blocks(shapes.layers)) or 1
        kept = min(kept, round(kept / many) + many * shapes.hidden_size)
        own = checkpointed(own, shapes)
    logits = 0
    if row["method"] != "head" and shapes.output_layer:
        outputs = next(shape.d_out for shape in shapes.layers if shape.name == shapes.output_layer)
        logits = tokens * outputs * _LOGITS * _FLOAT32
    return StepMemory(
        frozen_bytes=_FLOAT32 * shapes.total_parameters if full else _frozen_bytes(shapes, precision),
        adapter_weight_bytes=0 if full else _FLOAT32 * row["trainable_parameters"],
        gradient_bytes=row["gradient_bytes"],
        optimizer_bytes=row["optimizer_bytes"],
        activation_bytes=own,
        model_activation_bytes=number * tokens * kept,
        logit_bytes=logits,
    )


def checkpointed(activation_bytes: int, shapes: ModelShapes) -> int:
    """Return the bytes that adapters' inputs take with checkpointing: those of one block, which stand at
    once."""
    return round(activation_bytes / (len(blocks(shapes.layers)) or 1))


def _frozen_bytes(shapes: ModelShapes, precision: StoragePrecision) -> int:
    other = 2 if precision.half else _FLOAT32
    rounded = sum(shape.weights for shape in shapes.layers if shape.name != shapes.output_layer)
    each = _BYTES_OF_BITS.get(precision.bits, other)
    return round(each * rounded + other * (shapes.total_parameters - rounded))


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
        attention = shapes.attention_layers * shapes.attention_width
        others = attention + shapes.gated + shapes.written_out + shapes.dropped + scores
        kept = round(outputs + share * others)
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
    """Yield the limit of this process's container, if it has any, and how much of that is used."""
    for folder, limit, used, files in _IN_GROUPS:
        group = _GROUPS / folder
        try:
            most, now = (group / limit).read_text().strip(), int((group / used).read_text())
        except (OSError, ValueError):
            continue
        if most.isdecimal():
            # The kernel drops these files before it refuses memory to a program.
            yield int(most), max(now - _counted_in(group, files), 0)


def _counted_in(group: Path, name: str) -> int:
    """Return a number of the container's memory.stat; 0 where that is not told."""
    try:
        lines = (group / "memory.stat").read_text().splitlines()
        return next((int(line.split()[1]) for line in lines if line.startswith(f"{name} ")), 0)
    except (OSError, ValueError):
        return 0
