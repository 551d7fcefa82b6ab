"""Measured step times in a cost comparison, and settings whose step takes as long as CDVFT's.

Times cannot be computed, so a few values are measured: a ladder from the quickest to the slowest, halved at
each try. What is already measured decides what comes next, so that a search can be taken up anywhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from cdvft_app.costs.quantities import Row
from cdvft_app.costs.request import CostRequest
from cdvft_app.costs.sentences import label
from cdvft_app.costs.table import cost_row, cost_table
from cdvft_app.format import times
from cdvft_app.methods import Method
from cdvft_app.payloads.compare import Circumstances
from cdvft_app.shapes import model_shapes


def next_value(values: Sequence[int], seconds: Mapping[int, float], wanted: float) -> int | None:
    """Return the value to measure next to come closest to `wanted` seconds, None where enough is known.

    Args:
        values: a ladder, quickest first.
        seconds: of a step, by value, as far as measured.
        wanted: seconds of CDVFT's step.
    """
    low, high = -1, len(values)  # up to low quicker than wanted, from high on slower
    while high - low > 1:
        middle = 0 if low < 0 else (low + high) // 2
        if values[middle] not in seconds:
            return values[middle]
        if seconds[values[middle]] < wanted:
            low = middle
        else:
            high = middle
    return None


def tries(values: Sequence[int]) -> int:
    """Return the most values that are measured."""
    return 1 + math.ceil(math.log2(len(values))) if values else 0


def closest(seconds: Mapping[int, float], wanted: float) -> int:
    """Return the measured value whose step time is closest to the wanted one as a ratio."""
    return min(seconds, key=lambda value: abs(math.log(seconds[value] / wanted)))


Lookup = Callable[[Row], Mapping[str, Any] | None]
"""The kept measurement of a cost table's row; None where there is none."""

PRESS_MEASURE = (
    "Press Measure: times cannot be computed, so values are tried until a step takes as long as CDVFT's."
)
_TOLERANCE = 0.02  # a step that much longer or shorter still counts as matched


def file_row(row: Row) -> dict[str, Any]:
    """Return a row for CSV or JSON, with its measurement as columns of its own."""
    measured = row["measured"] or {}
    kept = ("seconds", "low", "high", "steps", "forward_seconds", "peak_bytes", "others", "device", "time")
    counted = {name: value for name, value in row.items() if name != "measured"}
    return counted | {f"measured_{name}": measured[name] for name in kept if measured}


def circumstances(rows: Iterable[Row]) -> Circumstances | None:
    """Device, first and last time, and largest share of other programs of the measured rows; None: none."""
    measured = [row["measured"] for row in rows if row["measured"]]
    if not measured:
        return None
    measured_at = [one["time"] for one in measured]
    others = max(one["others"] for one in measured)
    return {
        "device": measured[0]["device"],
        "first": min(measured_at),
        "last": max(measured_at),
        "others": others,
    }


def timed_rows(request: CostRequest, lookup: Lookup) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the rows of a cost table, each with what was measured of it, and sentences about matched times.

    Raises:
        InvalidChoice: with a sentence.
    """

    def timed(row: dict[str, Any]) -> dict[str, Any]:
        return {**row, "measured": None if row["unavailable"] else lookup(row)}

    if request.match != "seconds_per_step":
        return [timed(row) for row in cost_table(request)], []
    shapes = model_shapes(request.model, request.image_size)
    adapted = shapes.select(request.targets or shapes.default_targets)

    def row_of(method: Method) -> dict[str, Any]:
        return timed(cost_row(request, method))

    reference = row_of(request.reference)
    rows, sentences = [], []
    for method in request.methods:
        values = method.ladder(adapted)
        row = reference if method == request.reference else row_of(method)
        if values and not row["unavailable"]:
            tried = {value: row_of(method.matched(value)) for value in values}
            row, sentence = _closest(row, tried, reference)
            sentences += [sentence] if sentence else []
        rows.append(row)
    return rows, sentences


def _closest(
    row: Row, tried: Mapping[int, dict[str, Any]], reference: Row
) -> tuple[dict[str, Any], str | None]:
    """Return the row whose time comes closest to the reference's, and a sentence; or why there is none
    yet."""
    seconds = {value: at["measured"]["seconds"] for value, at in tried.items() if at["measured"]}
    wanted = (reference["measured"] or {}).get("seconds")
    if wanted is None or next_value([*tried], seconds, wanted) is not None:
        identity = {name: row[name] for name in ("method", "model")}
        return {**dict.fromkeys(row), **identity, "unavailable": PRESS_MEASURE}, None
    found = tried[closest(seconds, wanted)]
    ratio = found["measured"]["seconds"] / wanted
    by_speed = [*tried.values()]
    if found is by_speed[0] and ratio > 1 + _TOLERANCE:
        return found, f"No match by time: even {label(found)} takes {times(ratio)} times CDVFT's step."
    if found is by_speed[-1] and ratio < 1 - _TOLERANCE:
        return found, f"No match by time: even {label(found)} takes only {times(ratio)} times CDVFT's step."
    nearest = f"{label(found)} comes closest of the values tried, with {times(ratio)} times CDVFT's step time"
    measured = [at["measured"] for at in by_speed if at["measured"]]
    if len(measured) > 1 and max(one["low"] for one in measured) <= min(one["high"] for one in measured):
        return found, f"{nearest}; but all {len(measured)} are level within the spread: it may be by chance."
    return found, f"{nearest}."
