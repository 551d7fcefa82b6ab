"""Doubt: is it any better at the same number of trained values?"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from benchmarks import equal_numbers as recorded
from benchmarks.evidence.drawing import at_level, axis, figure, name_of_y, of_machine, of_method, thin_line
from cdvft_app import catalog
from cdvft_app.methods import METHODS
from cdvft_app.payloads.compare import EvidenceFigure
from cdvft_app.ui.shared import form_address

NO_ADAPTERS = {"head": "Head", "full": "Full"}  # with the names of their lines


def equal_numbers() -> EvidenceFigure | None:
    """Quality against trained numbers, of the recipe with the most settings; None where none is recorded."""
    if not (record := recorded.record()):
        return None
    metrics = {
        recipe: catalog.get_dataset(catalog.get_recipe(recipe).dataset).metric for recipe in record["recipes"]
    }
    found = {recipe: recorded.points(own, metrics[recipe]) for recipe, own in record["recipes"].items()}
    drawn = max(found, key=lambda recipe: len(found[recipe]))
    titles = {recipe: catalog.RECIPES[recipe].title for recipe in found}
    told = {recipe: recorded.sentences(own, recipe, metrics[recipe]) for recipe, own in found.items()}
    at_an_end = [point.label for point in found[drawn] if point.at_an_end]
    lacking = Counter(name.partition(" ")[0] for name in record["not_recorded"])
    left_out = [
        f"{catalog.RECIPES[recipe].title} ({count} of {count + len(found.get(recipe, []))} settings)"
        for recipe, count in lacking.items()
    ]
    return {
        "key": "equal_numbers",
        "doubt": "Better at equal numbers?",
        "answer": recorded.answer(found, metrics),
        "figure": _drawn(found[drawn], titles[drawn]),
        "label": f"{titles[drawn]}: mean of five seeds against trained numbers, with 95 % intervals; the "
        "dotted line joins the adapters with the best means seen, level lines are the head alone and full "
        "fine-tuning",
        "methods": [
            key
            for key in METHODS
            if key not in NO_ADAPTERS and any(point.method == key for point in found[drawn])
        ],
        "behind": [
            "Every setting stands at its own best learning rate of the same multiples of its method's usual "
            "one, found on validation rows. The dotted line joins the best means; which are best is not "
            "shown. A head's numbers, the same for all, are not among the trained ones. The head alone "
            "trains no others, full fine-tuning all, so each is a level line.",
            "On recipes that write, where a setting takes a core up to an hour, only the eight settings that "
            "are nearest to CDVFT's numbers or in the recorded race are tried.",
            *([f"Best at an end of these rates: {', '.join(at_an_end)}."] if at_an_end else []),
            *(f"{titles[recipe]}: {' '.join(texts)}" for recipe, texts in told.items()),
            *([f"Not recorded: {', '.join(left_out)}."] if left_out else []),
        ],
        "columns": ["Recipe", "Setting", "Trained numbers", "Mean", "Low", "High", "Learning rate"],
        "rows": [
            [recipe, point.label, point.numbers, round(point.mean, 4), round(point.low, 4),
             round(point.high, 4), point.settings.method.learning_rate]
            for recipe, own in found.items()
            for point in own
        ],
        "source": " and ".join(dict.fromkeys(of_machine(one) for one in record["machines"])),
        "command": record["command"],
        "again": [
            (
                form_address.query([one.own.settings, one.rival.settings]),
                f"{one.own.label} against {one.rival.label}" + ("" if recipe == drawn else f" on {recipe}"),
            )
            for recipe, own in found.items()
            for one in recorded.against_no_more_numbers(own, metrics[recipe])
            if one.is_at_equal_numbers or one.verdict.word in ("ahead", "behind")
        ],
    }  # fmt: skip


def _drawn(points: list[recorded.Point], title: str) -> dict[str, Any]:
    adapters = [point for point in points if point.method not in NO_ADAPTERS]
    front = recorded.front(adapters)
    line = thin_line([one.numbers for one in front], [100 * one.mean for one in front])
    least, most = adapters[0].numbers, adapters[-1].numbers
    ends = [least / 8, most * 1.5]  # room on the left for the names of level lines
    traces, names = [], []
    for one in points:
        if one.method in NO_ADAPTERS:
            traces.append(of_method(one.method, ends, [100 * one.mean] * 2, "lines", text=[one.label] * 2))
            names.append(at_level(NO_ADAPTERS[one.method], math.log10(ends[0]), 100 * one.mean, one.method))
    for method in dict.fromkeys(point.method for point in adapters):
        own = [point for point in adapters if point.method == method]
        spans = {
            "type": "data", "symmetric": False, "thickness": 1,
            "array": [100 * (one.high - one.mean) for one in own],
            "arrayminus": [100 * (one.mean - one.low) for one in own],
        }  # fmt: skip
        traces.append(
            of_method(method, [one.numbers for one in own], [100 * one.mean for one in own], "markers",
                      error_y=spans, text=[one.label for one in own])
        )  # fmt: skip
    ticks = _ticks([one.numbers for one in adapters])
    along = axis("trained numbers", log=True, tickvals=ticks, ticktext=[f"{tick:,}" for tick in ticks])
    along["range"] = [math.log10(end) for end in ends]
    return figure([line, *traces], along, {}, annotations=[name_of_y(f"{title}: right, %"), *names])


def _ticks(numbers: Sequence[int]) -> list[int]:
    """Powers of ten between the least and the most; twice and five times these, too, where they are few."""
    low, high = min(numbers), max(numbers)
    of_decade = (1, 2, 5) if high < 100 * low else (1,)
    every = (factor * 10**power for power in range(len(str(high))) for factor in of_decade)
    return [tick for tick in every if low <= tick <= high]
