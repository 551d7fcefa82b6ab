"""What can be compared: each quantity's name, unit, meaning, value in a cost row, and baseline."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cdvft_app.format import Unit

Row = Mapping[str, Any]

_FLOAT32 = 4


@dataclass(frozen=True)
class Quantity:
    """`value` is what the method adds, `baseline` the frozen model's own; both from a cost table's row."""

    key: str
    title: str
    kind: Unit
    hint: str
    baseline_title: str
    value: Callable[[Row], float | None]
    baseline: Callable[[Row], float | None]


def added_memory(row: Row) -> int:
    """Weights, gradients, AdamW's moments, kept activations; full fine-tuning's weights are the model's."""
    return sum(row[f"{of}_bytes"] for of in ("adapter_weight", "gradient", "optimizer", "activation"))


def frozen_flops(row: Row) -> int:
    """Return the FLOPs of the frozen model, forward, and backward where the method needs that."""
    return row["frozen_forward_flops_per_step"] + row["frozen_backward_flops_per_step"]


def _float32_bytes(row: Row) -> int:
    return _FLOAT32 * row["frozen_parameters"]


QUANTITIES: tuple[Quantity, ...] = (
    Quantity(
        "parameters",
        "Parameters",
        "count",
        "Numbers that the method trains, without the classifier head, which every method trains alike.",
        "The model's own parameters",
        lambda row: row["trainable_parameters"],
        lambda row: row["frozen_parameters"],
    ),
    Quantity(
        "bytes",
        "File",
        "bytes",
        "Size of the adapter's safetensors file in float32, header included.",
        "The model's file in float32",
        lambda row: row["adapter_bytes"],
        _float32_bytes,
    ),
    Quantity(
        "flops",
        "Extra FLOPs a step",
        "flops",
        "Floating-point operations that the method adds to one training step, forward and backward.",
        "The frozen model's forward and backward",
        lambda row: row["flops_per_step"],
        frozen_flops,
    ),
    Quantity(
        "memory",
        "Extra memory",
        "bytes",
        "What the method adds while training: weights, gradients and AdamW's two moments in float32, and "
        "what its layers keep for the backward pass.",
        "The frozen model's weights",
        added_memory,
        lambda row: row["frozen_bytes"],
    ),
    Quantity(
        "seconds",
        "Step time",
        "seconds",
        "Median time of a whole training step, measured on this machine in float32 without checkpointing; "
        "nothing here is derived from FLOPs.",
        "The frozen model's forward pass alone",
        lambda row: (row.get("measured") or {}).get("seconds"),
        lambda row: (row.get("measured") or {}).get("forward_seconds"),
    ),
    Quantity(
        "peak",
        "Peak memory",
        "bytes",
        "How much the measuring program's memory grew at most, the frozen model included: measured on this "
        "machine in float32, where whole pages and buffers of the libraries count too.",
        "The frozen model's weights in float32",
        lambda row: (row.get("measured") or {}).get("peak_bytes"),
        _float32_bytes,
    ),
)
MEASURED = ("seconds", "peak")
