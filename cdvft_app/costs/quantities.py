"""What can be compared: each quantity's name, unit, meaning, value in a cost row, and baseline."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Unit = Literal["count", "bytes", "flops", "seconds"]
Row = Mapping[str, Any]

_FLOAT32 = 4
_PREFIXES = ("", "k", "M", "G", "T", "P", "E")


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
    """The frozen model's forward pass, and its backward pass where the method needs one."""
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


def amount(kind: Unit, value: float) -> str:
    """55,296 · 231 kB · 3.13 GFLOP · 38.0 ms: three digits and a decimal prefix, counts in full."""
    if kind == "count":
        return f"{round(value):,}"
    if kind == "seconds":
        return f"{_digits(1e3 * value)} ms" if value < 1 else f"{_digits(value)} s"
    unit = {"bytes": "B", "flops": "FLOP"}[kind]
    if value < 999.5 and value == int(value):
        return f"{value:.0f} {unit}"
    for prefix in _PREFIXES:
        if value < 999.5 or prefix == _PREFIXES[-1]:
            return f"{_digits(value)} {prefix}{unit}"
        value /= 1000
    raise AssertionError


def duration(seconds: float) -> str:
    """340 ms, 3.4 s, 39 s, 5 min, 2.4 h or 3 days: as exact as a forecast is."""
    if seconds < 1:
        return f"{1e3 * seconds:.2g} ms" if seconds < 0.0995 else f"{1e3 * seconds:.0f} ms"
    if seconds < 100:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    if seconds < 100 * 60:
        return f"{seconds / 60:.0f} min"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86_400:.0f} days"


def counted(number: float, noun: str) -> str:
    """0 rows, 1 row, 1,024 rows, 1.5 epochs."""
    written = f"{number:,}" if isinstance(number, int) else f"{number:g}"
    return f"{written} {noun}{'' if number == 1 else 's'}"


def times(ratio: float) -> str:
    """A ratio with three digits: 5.33, 0.434, 29.0; a whole one as it is."""
    return f"{ratio:,.0f}" if ratio == int(ratio) else _digits(ratio)


def percent(share: float) -> str:
    """0.045 %, 1.1 %, 24 %."""
    return f"{100 * share:.2g} %" if share < 0.995 else f"{100 * share:,.0f} %"


def _digits(value: float) -> str:
    """Three significant digits with their zeros: 12.0, 0.720, 5,103."""
    return f"{value:#.3g}" if value < 99.95 else f"{value:,.0f}"
