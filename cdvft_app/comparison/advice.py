"""Which method to use and what it will cost, in three answers: to store, to train and run, and for quality.

Made from the cost table's rows and the recorded races alone; where another method leads, it is named.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import mean

from cdvft_app import catalog
from cdvft_app.comparison.quantities import Row, added_memory, amount, frozen_flops, percent, times
from cdvft_app.comparison.sentences import ADAPTERS, LEVEL, label, listed
from cdvft_app.figures.palette import METHOD_STYLES


def advice(rows: Sequence[Row]) -> list[str]:
    """Empty unless two adapters are compared."""
    known = [row for row in rows if not row["unavailable"] and row["method"] in ADAPTERS]
    if len(known) < 2:
        return []
    return [_storing(known), _training(known), _quality(known)]


def _least(rows: Sequence[Row], value: Callable[[Row], float]) -> list[Row]:
    """The row with the least, and those level with it."""
    best = min(rows, key=value)
    return [best, *(row for row in rows if row is not best and value(row) < (1 + LEVEL) * value(best))]


def _storing(rows: Sequence[Row]) -> str:
    first, *others = sorted(rows, key=lambda row: row["adapter_bytes"])
    size = first["adapter_bytes"]
    larger = [f"{label(row)} is {_larger(row['adapter_bytes'] / size)}" for row in others]
    return (
        f"To store or send the least, take {label(first)}: {first['trainable_parameters']:,} numbers, a file "
        f"of {amount('bytes', size)}. {listed(larger)}."
    )


def _larger(ratio: float) -> str:
    return "as large" if ratio < 1 + LEVEL else f"{times(ratio)} times as large"


def _training(rows: Sequence[Row]) -> str:
    lightest = _least(rows, lambda row: row["flops_per_step"])
    leanest = _least(rows, added_memory)
    memory = amount("bytes", added_memory(leanest[0]))
    share = percent(lightest[0]["flops_per_step"] / frozen_flops(lightest[0]))
    said = (
        f"To train, {listed([label(row) for row in lightest])} {_verb(lightest, 'adds', 'add')} the least "
        f"computing ({share} of the frozen model's), and {listed([label(row) for row in leanest])} "
        f"{_verb(leanest, 'needs', 'need')} the least extra memory ({memory})."
    )
    if not any(row["merged_inference_flops_per_token"] for row in rows):
        said += " Merged into the model, none of them costs anything more: all then run at the model's speed."
    return said


def _verb(rows: Sequence[Row], one: str, several: str) -> str:
    return one if len(rows) == 1 else several


def _quality(rows: Sequence[Row]) -> str:
    """How far apart the recorded races ended, against twice the standard error of one evaluation."""
    races = [recipe for recipe in catalog.recipes().values() if len(recipe.expected.metric) > 1]
    raced = [method for method in ADAPTERS if races and all(method in race.expected.metric for race in races)]
    said = "None of this tells the quality"
    if not raced:
        return f"{said}: compare on your own task."
    ends = []
    for race in races:
        scores = [race.expected.metric[method] for method in raced]
        typical = mean(scores)
        chance = 2 * math.sqrt(typical * (1 - typical) / race.evaluation_examples)
        ends.append(
            f"{100 * (max(scores) - min(scores)):.1f}\u00a0points apart on {race.title} "
            f"(chance explains up to {100 * chance:.1f})"
        )
    names = [METHOD_STYLES[method].label for method in raced]
    said += f". In the recorded races {listed(names)} ended {listed(ends)}"
    absent = [METHOD_STYLES[row["method"]].label for row in rows if row["method"] not in raced]
    if absent:
        said += f"; {listed(absent)} did not take part"
    return f"{said}. These tasks are small, so try your own on the Train tab before you decide."
