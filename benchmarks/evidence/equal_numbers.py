"""Doubt: is it any better at the same number of trained values?"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks import equal_numbers as recorded
from benchmarks.evidence.drawing import (
    at_level,
    axis,
    domains,
    figure,
    name_of_y,
    of_machine,
    of_method,
    thin_line,
)
from cdvft_app import catalog
from cdvft_app.methods import METHODS
from cdvft_app.payloads.compare import EvidenceFigure
from cdvft_app.ui.shared import form_address

NO_ADAPTERS = {"head": "Head", "full": "Full"}  # with the names of their lines


def equal_numbers() -> EvidenceFigure | None:
    """Quality against trained numbers, a panel a recipe; None where none is recorded."""
    if not (record := recorded.record()):
        return None
    metrics = {
        recipe: catalog.get_dataset(catalog.get_recipe(recipe).dataset).metric for recipe in record["recipes"]
    }
    found = {recipe: recorded.points(own, metrics[recipe]) for recipe, own in record["recipes"].items()}
    titles = {recipe: catalog.RECIPES[recipe].title for recipe in found}
    told = {recipe: recorded.sentences(own, recipe, metrics[recipe]) for recipe, own in found.items()}
    at_an_end = {
        titles[recipe]: [point.label for point in own if point.at_an_end] for recipe, own in found.items()
    }
    lacking = Counter(name.partition(" ")[0] for name in record["not_recorded"])
    left_out = [
        f"{catalog.RECIPES[recipe].title} ({count} of {count + len(found.get(recipe, []))} settings)"
        for recipe, count in lacking.items()
    ]
    return {
        "key": "equal_numbers",
        "doubt": "Better at equal numbers?",
        "answer": recorded.answer(found, metrics),
        "figure": _drawn(found),
        "label": f"{', '.join(titles.values())}: what is right, in %, mean of five seeds against trained "
        "numbers, with 95 % intervals; the dotted line joins the adapters with the best means seen, level "
        "lines are the head alone and full fine-tuning",
        "methods": [
            key
            for key in METHODS
            if key not in NO_ADAPTERS and any(point.method == key for own in found.values() for point in own)
        ],
        "behind": [
            "Bars are 95\u00a0% intervals, over seeds and rows. Every setting stands at its own best "
            "learning rate of the same multiples of its method's usual one, and one beyond these where the "
            "best is at an end, found on validation rows. The dotted line joins the best means; which are "
            "best is not shown. A head's numbers, the same for all, are not among the trained ones. The head "
            "alone trains no others, full fine-tuning all, so each is a level line.",
            "On recipes that write, where a setting takes a core up to an hour, only the eight settings that "
            "are nearest to CDVFT's numbers or in the recorded race are tried.",
            *(f"{titles[recipe]}: {' '.join(texts)}" for recipe, texts in told.items()),
            *(
                f"Best at an end of these rates on {title}: {', '.join(names)}."
                for title, names in at_an_end.items()
                if names
            ),
            *([f"Not recorded: {', '.join(left_out)}."] if left_out else []),
        ],
        "columns": [
            "Recipe", "Setting", "Trained numbers", "Mean, %", "Low, %", "High, %", "Learning rate",
        ],
        "rows": [
            [recipe, point.label, point.numbers, *_percent(point), point.settings.method.learning_rate]
            for recipe, own in found.items()
            for point in own
        ],
        "source": " and ".join(dict.fromkeys(of_machine(one) for one in record["machines"])),
        "command": record["command"],
        "again": [
            (
                form_address.query(
                    [side.settings.model_copy(update={"seed": 0}) for side in (one.own, one.rival)]
                ),
                f"{one.own.label} against {one.rival.label} on {recipe}",
            )
            for recipe, own in found.items()
            for one in recorded.against_no_more_numbers(own, metrics[recipe])
            if one.is_at_equal_numbers or one.verdict.word in ("ahead", "behind")
        ],
    }  # fmt: skip


def _drawn(found: dict[str, list[recorded.Point]]) -> dict[str, Any]:
    traces: list[dict[str, Any]] = []
    x, y, names, are_named = [], [], [], False
    for place, (recipe, points) in enumerate(found.items()):
        number = place + 1 if place else ""
        axes = {"xaxis": f"x{number}", "yaxis": f"y{number}"}
        across, up = domains(place, len(found))
        named_y = name_of_y(recipe if names else f"{recipe}: right, %", across[0], up[1])
        names.append(named_y | {"xshift": -24})  # so that it stays in its own column on a phone
        adapters = [point for point in points if point.method not in NO_ADAPTERS]
        levels = [point for point in points if point.method in NO_ADAPTERS]
        named = [] if are_named else levels
        are_named = are_named or bool(levels)
        least, most = adapters[0].numbers, adapters[-1].numbers
        ends = [least / (8 if named else 1.5), most * 1.5]  # room on the left for the names of level lines
        names += [
            at_level(NO_ADAPTERS[one.method], math.log10(ends[0]), 100 * one.mean, one.method)
            | {"xref": axes["xaxis"], "yref": axes["yaxis"]}
            for one in named
        ]
        own = [*_front(adapters), *(_level(one, ends) for one in levels), *_marks(adapters)]
        traces += [trace | axes for trace in own]
        ticks = _ticks([one.numbers for one in adapters])
        along = axis("", log=True, tickvals=ticks, ticktext=[f"{tick // 1000:,}" for tick in ticks])
        x.append(along | {"range": [math.log10(end) for end in ends]})
        y.append({"nticks": 4})
    names.append(
        {"text": "trained numbers, × 1,000", "xref": "paper", "yref": "paper", "x": 0.5, "y": 0,
         "yanchor": "top", "yshift": -22, "showarrow": False}
    )  # fmt: skip
    return figure(traces, x, y, annotations=names)


def _front(adapters: Sequence[recorded.Point]) -> list[dict[str, Any]]:
    front = recorded.front(adapters)
    return [thin_line([one.numbers for one in front], [100 * one.mean for one in front])]


def _level(one: recorded.Point, ends: Sequence[float]) -> dict[str, Any]:
    return of_method(one.method, ends, [100 * one.mean] * 2, "lines", **_hover([one] * 2))


def _marks(adapters: Sequence[recorded.Point]) -> Iterator[dict[str, Any]]:
    for method in dict.fromkeys(point.method for point in adapters):
        own = [point for point in adapters if point.method == method]
        spans = {
            "type": "data", "symmetric": False, "thickness": 1, "width": 3,
            "array": [100 * (one.high - one.mean) for one in own],
            "arrayminus": [100 * (one.mean - one.low) for one in own],
        }  # fmt: skip
        yield of_method(
            method, [one.numbers for one in own], [100 * one.mean for one in own], "markers",
            error_y=spans, **_hover(own),
        )  # fmt: skip


def _hover(points: Sequence[recorded.Point]) -> dict[str, Any]:
    texts = [
        "{}: {}\u00a0% ({} to {})<br>{:,} trained numbers".format(one.label, *_percent(one), one.numbers)
        for one in points
    ]
    return {"text": texts, "hovertemplate": "%{text}<extra></extra>"}


def _percent(one: recorded.Point) -> list[float]:
    """Mean and ends of the interval, as they are told."""
    return [round(100 * value, 1) for value in (one.mean, one.low, one.high)]


def _ticks(numbers: Sequence[int]) -> list[int]:
    """Powers of ten between the least and the most; three times these, too, where they are few."""
    low, high = min(numbers), max(numbers)
    of_decade = (1, 3) if high < 30 * low else (1,)
    every = (factor * 10**power for power in range(3, len(str(high))) for factor in of_decade)
    return [tick for tick in every if low <= tick <= high]
