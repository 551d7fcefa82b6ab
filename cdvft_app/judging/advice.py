"""Advice on which method to use, in four sentences: storage, training cost, one whole step, and quality.

Made from the cost table's rows and the recorded races alone; where another method is better, it says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import mean

from cdvft_app import catalog
from cdvft_app.costs.quantities import Row, added_memory, amount, duration, frozen_flops, percent, times
from cdvft_app.costs.sentences import ADAPTERS, TOLERANCE, joined, label, least, measured_time
from cdvft_app.methods import METHODS
from cdvft_app.prediction import Estimate

StepSeconds = Callable[[Row], Estimate | None]


def advice(rows: Sequence[Row], step_seconds: StepSeconds = lambda row: None) -> list[str]:
    """The four sentences; none unless two adapters are compared. `step_seconds` forecasts a row's step."""
    available = [row for row in rows if not row["unavailable"]]
    adapters = [row for row in available if row["method"] in ADAPTERS]
    if len(adapters) < 2:
        return []
    time = measured_time(rows) or _expected_time(adapters, step_seconds)
    return [
        _storing(adapters),
        _training(adapters),
        " ".join(filter(None, [_step(available), time])),
        _quality(adapters),
    ]


def _storing(rows: Sequence[Row]) -> str:
    first, *others = sorted(rows, key=lambda row: row["adapter_bytes"])
    size = first["adapter_bytes"]
    larger = [f"{label(row)} is {_larger(row['adapter_bytes'] / size)}" for row in others]
    return (
        f"To store or send the least, take {label(first)}: {first['trainable_parameters']:,} numbers, a file "
        f"of {amount('bytes', size)}. {joined(larger)}."
    )


def _larger(ratio: float) -> str:
    return "as large" if ratio < 1 + TOLERANCE else f"{times(ratio)} times as large"


def _training(rows: Sequence[Row]) -> str:
    lightest = least(rows, lambda row: row["flops_per_step"])
    leanest = least(rows, added_memory)
    memory = ("about " if len(leanest) > 1 else "") + amount("bytes", added_memory(leanest[0]))
    share = percent(lightest[0]["flops_per_step"] / frozen_flops(lightest[0]))
    text = (
        f"To train, {joined([label(row) for row in lightest])} "
        f"{_singular_or_plural(lightest, 'adds', 'add')} the least computing ({share} of the frozen "
        f"model's), and {joined([label(row) for row in leanest])} "
        f"{_singular_or_plural(leanest, 'needs', 'need')} the least extra memory ({memory})."
    )
    if not any(row["merged_inference_flops_per_token"] for row in rows):
        text += " Merged into the model, none of them costs anything more: all then run at the model's speed."
    return text


def _step(rows: Sequence[Row]) -> str:
    """FLOPs and memory of a whole step, the model's own included."""
    adapters = [row for row in rows if row["method"] in ADAPTERS]
    cheapest = min(adapters, key=lambda row: row["step_bytes"])
    costlier = [row for row in rows if row["method"] != "head" and _costs_more(row, cheapest)]
    more = "; ".join(f"{label(row)}: {_step_cost(row)}" for row in costlier)
    return (
        f"A step of {cheapest['batch']} × {cheapest['sequence']} tokens takes about {_step_cost(cheapest)} "
        f"of memory in float32, the frozen model included{f' ({more})' if more else ''}. "
        f"The model's weights alone are {amount('bytes', cheapest['frozen_bytes'])}, "
        "in bfloat16 half of that."
    )


def _costs_more(row: Row, cheapest: Row) -> bool:
    return any(
        row[name] > (1 + TOLERANCE) * cheapest[name] for name in ("step_bytes", "total_flops_per_step")
    )


def _step_cost(row: Row) -> str:
    return f"{amount('flops', row['total_flops_per_step'])} and {amount('bytes', row['step_bytes'])}"


def _expected_time(rows: Sequence[Row], step_seconds: StepSeconds) -> str | None:
    """One range for all methods: they differ by less than the forecast is uncertain."""
    found = [expected for row in rows if (expected := step_seconds(row))]
    if len(found) < len(rows):
        return None
    low, high = min(one.low for one in found), max(one.high for one in found)
    return f"On this machine it would take {duration(low)} to {duration(high)}: {found[0].how}."


def _singular_or_plural(rows: Sequence[Row], one: str, several: str) -> str:
    return one if len(rows) == 1 else several


def _quality(rows: Sequence[Row]) -> str:
    """The differences of scores in the recorded races, beside twice the standard error of one evaluation."""
    races = [recipe for recipe in catalog.recipes().values() if len(recipe.expected.metric) > 1]
    raced = [method for method in ADAPTERS if races and all(method in race.expected.metric for race in races)]
    text = "None of this tells the quality"
    if not raced:
        return f"{text}: compare on your own task."
    ends = []
    for race in races:
        scores = [race.expected.metric[method] for method in raced]
        typical = mean(scores)
        chance = 2 * math.sqrt(typical * (1 - typical) / race.evaluation_examples)
        ends.append(
            f"{100 * (max(scores) - min(scores)):.1f}\u00a0points apart on {race.title} "
            f"(chance explains up to {100 * chance:.1f})"
        )
    names = [METHODS[method].title for method in raced]
    text += f". In the recorded races {joined(names)} ended {joined(ends)}"
    absent = [METHODS[row["method"]].title for row in rows if row["method"] not in raced]
    if absent:
        text += f"; {joined(absent)} did not take part"
    return f"{text}. These tasks are small, so try your own on the Train tab before you decide."
