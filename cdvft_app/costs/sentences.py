"""Sentences about a cost table, made from its rows alone, also where they speak against CDVFT."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cdvft_app.costs.quantities import Row, added_memory, frozen_flops
from cdvft_app.format import amount, joined, percent, times
from cdvft_app.methods import ADAPTERS, METHODS, flat

_SMALL = 0.05  # of the frozen model's FLOPs
TOLERANCE = 0.015  # relative; closer than this, two amounts are called alike


def label(row: Row) -> str:
    """Return the method with its setting: LoRA r = 8."""
    if row["setting"] is None:
        return METHODS[row["method"]].title
    method = flat.method_of(row["method"], row["setting"])
    return method.label([name for name, value in method.sizes().items() if value is not None])


def sentences(rows: Sequence[Row]) -> dict[str, list[str]]:
    """Return sentences by quantity: parameters, FLOPs and their part that is paid per step, memory, time.

    They are about adapters and full fine-tuning; head-only training is left out.
    """
    available = [row for row in rows if not row["unavailable"] and row["method"] != "head"]
    cdvft = next((row for row in available if row["method"] == "cdvft"), None)
    others = [row for row in available if row is not cdvft]
    if cdvft is None or not others:
        return {"parameters": [_only_one(row) for row in available[:1]]}
    by_quantity: dict[str, list[str | None]] = {
        "parameters": [_parameters(cdvft, others)],
        "flops": [_flops(cdvft, others), _paid_per_step(available)],
        "memory": [_memory(cdvft, others)],
        "seconds": [measured_time(rows)],
    }
    return {key: [sentence for sentence in own if sentence] for key, own in by_quantity.items()}


def least(rows: Sequence[Row], value: Callable[[Row], float]) -> list[Row]:
    """Return the row with the least, and those level with it."""
    best = min(rows, key=value)
    return [best, *(row for row in rows if row is not best and value(row) < (1 + TOLERANCE) * value(best))]


def _only_one(row: Row) -> str:
    return (
        f"{label(row)} trains {row['trainable_parameters']:,} numbers, {percent(row['trainable_share'])} of "
        f"the model's, and adds {amount('flops', row['flops_per_step'])} to a training step."
    )


def _parameters(cdvft: Row, others: Sequence[Row]) -> str:
    count = cdvft["trainable_parameters"]
    against = _as_multiples("trains", others, lambda row: row["trainable_parameters"], count)
    share = percent(cdvft["trainable_share"])
    return f"{label(cdvft)} trains {count:,} numbers, {share} of the model's. {against}."


def _flops(cdvft: Row, others: Sequence[Row]) -> str:
    flops, whole = cdvft["flops_per_step"], frozen_flops(cdvft)
    adapters = [row for row in others if row["method"] in ADAPTERS]
    start = (
        f"{label(cdvft)} adds {amount('flops', flops)} to a step, "
        f"{percent(flops / whole)} of what the frozen model needs"
    )
    if not adapters:
        return f"{start}."
    text = f"{start}. {_as_multiples('adds', adapters, lambda row: row['flops_per_step'], flops)}."
    if max(flops, *(row["flops_per_step"] for row in adapters)) < _SMALL * whole:
        text += " All are small beside the model, so these counts decide little about time."
    return text


def _paid_per_step(rows: Sequence[Row]) -> str | None:
    """FourierFT's FLOPs that are paid once a step whatever the batch; None where it is not in the table."""
    heavy = next((row for row in rows if row["method"] == "fourierft"), None)
    if heavy is None:
        return None
    fixed = heavy["forward_flops_fixed"] + heavy["backward_flops_fixed"]
    per_token = heavy["forward_flops_per_token"] + heavy["backward_flops_per_token"]
    return (
        f"{label(heavy)} pays {amount('flops', fixed)} a step whatever the batch, to build its dense change, "
        f"and {amount('flops', per_token)} for every token; below {fixed / per_token:,.0f} tokens a step the "
        "first is the larger part."
    )


def _memory(cdvft: Row, others: Sequence[Row]) -> str:
    memory = added_memory(cdvft)
    kept = percent(cdvft["activation_bytes"] / memory)
    return (
        f"While training {label(cdvft)} adds {amount('bytes', memory)}, {kept} of it inputs that its layers "
        f"keep for the backward pass. {_as_multiples('adds', others, added_memory, memory)}."
    )


def measured_time(rows: Sequence[Row]) -> str | None:
    """CDVFT's step beside the others', head-only training aside; None unless it and another are measured."""
    timed = [row for row in rows if row.get("measured") and row["method"] != "head"]
    cdvft = next((row for row in timed if row["method"] == "cdvft"), None)
    timed = [row for row in timed if row is not cdvft]
    if cdvft is None or not timed:
        return None
    mine = cdvft["measured"]
    parts = []
    for row in timed:
        theirs = row["measured"]
        level = theirs["low"] <= mine["high"] and mine["low"] <= theirs["high"]
        ratio = mine["seconds"] / theirs["seconds"]
        parts.append(f"{times(ratio)} times {label(row)}'s" + (" (within the spread)" if level else ""))
    return (
        f"Measured on {mine['device']}, a step with {label(cdvft)} takes "
        f"{amount('seconds', mine['seconds'])}: {joined(parts)}."
    )


def _as_multiples(verb: str, others: Sequence[Row], value: Callable[[Row], float], of_cdvft: float) -> str:
    """Return each of the others as a multiple of CDVFT's: LoRA trains 5.33 times that and FourierFT 0.434
    times."""
    first, *rest = (f"{label(row)} {_multiple(value(row) / of_cdvft)}" for row in others)
    name = label(others[0])
    return joined([f"{name} {verb}{first.removeprefix(name)}", *rest])


def _multiple(ratio: float) -> str:
    if abs(ratio - 1) < TOLERANCE:
        return "about as much"
    return f"{times(ratio)} times that"
