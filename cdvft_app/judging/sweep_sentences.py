"""What a sweep says, in sentences made from its numbers, also where they speak against CDVFT.

Yardsticks: the standard error of one evaluation of n examples, sqrt(q (1 - q) / n) at accuracy q, and how far
the seeds of one setting lie apart. A mean over many runs is steadier than one run, so both are cautious.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from cdvft_app.catalog.entries import SHARES
from cdvft_app.costs.sentences import listed
from cdvft_app.judging.outcome_sentences import METRICS, score
from cdvft_app.judging.sweep_results import Rest, Setting, best, line, reduce, varied, whole_seeds
from cdvft_app.judging.sweep_words import RATES, gap, name, symbol, tick
from cdvft_app.methods import METHODS

_BY: tuple[tuple[Rest, str], ...] = (
    ("best", "at its best setting"),
    ("mean", "on average over all settings"),
)


def _the(method: str, dimension: str) -> str:
    return "the learning rate" if dimension == RATES else symbol(method, dimension)


@dataclass(frozen=True)
class Yardstick:
    """`error` is the standard error of one evaluation, None unless the metric is a share."""

    metric_name: str
    error: float | None
    seeds_apart: float | None

    @property
    def noise(self) -> float | None:
        """What a difference must exceed to be called one: twice the error, or the spread of seeds."""
        known = [2 * self.error if self.error else None, self.seeds_apart]
        return max((value for value in known if value is not None), default=None)


def yardstick(settings: Sequence[Setting], metric_name: str, evaluation_examples: int | None) -> Yardstick:
    spreads = [one.spread for one in settings if one.spread]
    apart = [spread.high - spread.low for spread in spreads if spread.runs > 1]
    error = None
    if metric_name in SHARES and evaluation_examples and spreads:
        typical = median(spread.mean for spread in spreads)
        error = math.sqrt(typical * (1 - typical) / evaluation_examples)
    return Yardstick(metric_name, error, median(apart) if apart else None)


def sentences(settings: Sequence[Setting], metric_name: str, evaluation_examples: int | None) -> list[str]:
    """From the yardsticks to the comparison; empty until two settings have finished."""
    finished = [one for one in whole_seeds(settings) if one.spread]
    if len(finished) < 2:
        return []
    by_method = {method: [one for one in finished if one.method == method]
                 for method in dict.fromkeys(one.method for one in finished)}  # fmt: skip
    stick = yardstick(finished, metric_name, evaluation_examples)
    told = [
        _yardstick(stick, evaluation_examples),
        *(text for method in _described(by_method) for text in _moved(method, by_method[method], stick)),
        _rates(by_method, stick),
        _best(by_method, stick),
        *_losses(by_method, stick),
        _failed(settings),
    ]
    return [sentence for sentence in told if sentence]


def _yardstick(stick: Yardstick, examples: int | None) -> str:
    said = []
    if stick.error is not None:
        error = gap(stick.metric_name, stick.error)
        said.append(f"One evaluation on {examples:,} examples is uncertain by {error} (its standard error)")
    if stick.seeds_apart is None:
        said.append("Each setting ran with one seed, so nothing tells how much the luck of a seed adds")
    else:
        spread = gap(stick.metric_name, stick.seeds_apart)
        said.append(f"Two seeds of one setting differ by {spread} (the median)")
    if stick.noise is not None:
        said.append(f"A difference up to {gap(stick.metric_name, stick.noise)} is called chance below")
    return f"{'. '.join(said)}."


def _described(by_method: dict[str, list[Setting]]) -> list[str]:
    """CDVFT alone where it is among them: what moves the others is in the pictures."""
    return ["cdvft"] if "cdvft" in by_method else list(by_method)


def _moved(method: str, settings: Sequence[Setting], stick: Yardstick) -> list[str]:
    """How far each dimension moves the mean over the others, and how far where those are at their best."""
    dimensions = varied(settings)
    told = []
    for dimension in dimensions:
        rough, tuned = effect(settings, dimension, "mean"), effect(settings, dimension, "best")
        what, metric = _the(method, dimension), METRICS.get(stick.metric_name, "score")
        whose = f"{METHODS[method].title}'s {metric}"
        unit = " of the recipe's rate" if dimension == RATES else ""
        if not rough.moved:
            said = f"Changing {what} does not move {whose} on average"
        else:
            said = (
                f"Changing {what} moves {whose} by {gap(stick.metric_name, rough.moved)} on average "
                f"(best {rough.best}, worst {rough.worst}{unit}){_verdict(rough.moved, stick)}"
            )
        others = [_the(method, other) for other in dimensions if other != dimension]
        if others:
            left = f"it is {gap(stick.metric_name, tuned.moved)}{_verdict(tuned.moved, stick)}"
            said += f". With {listed(others)} tuned for each {symbol(method, dimension)}, {left}"
        told.append(f"{said}.")
    return told


def _rates(by_method: dict[str, list[Setting]], stick: Yardstick) -> str | None:
    """Which method asks for the most care with its learning rate."""
    moved = {
        method: effect(ones, RATES, "mean") for method, ones in by_method.items() if RATES in varied(ones)
    }
    if "cdvft" not in moved or len(moved) < 2:
        return None
    order = sorted(moved, key=lambda method: -moved[method].moved)
    told = listed(
        [f"{METHODS[method].title} by {gap(stick.metric_name, moved[method].moved)}" for method in order]
    )
    place = order.index("cdvft")
    rank = {0: "the most sensitive to it", len(order) - 1: "the least sensitive to it"}.get(
        place, f"number {place + 1} of {len(order)} in sensitivity to it"
    )
    return f"Changing the learning rate moves {told}, on average. CDVFT is {rank}."


@dataclass(frozen=True)
class Effect:
    """How far one dimension moves the metric, and between which of its values."""

    moved: float
    best: str
    worst: str


def effect(settings: Sequence[Setting], dimension: str, rest: Rest) -> Effect:
    """The largest minus the smallest value of `line`; 0 where nothing has finished."""
    means = [(value, spread.mean) for value, spread in line(settings, dimension, rest) if spread]
    if not means:
        return Effect(0.0, "", "")
    low, high = min(means, key=lambda pair: pair[1]), max(means, key=lambda pair: pair[1])
    method = settings[0].method
    return Effect(high[1] - low[1], tick(method, dimension, high[0]), tick(method, dimension, low[0]))


def _verdict(moved: float, stick: Yardstick) -> str:
    if stick.noise is None:
        return ""
    return ": more than chance" if moved > stick.noise else ": no more than chance"


def _best(by_method: dict[str, list[Setting]], stick: Yardstick) -> str | None:
    if len(by_method) < 2:
        return None
    found = [(winner, winner.spread.mean, len(ones)) for ones in by_method.values()
             if (winner := best(ones)) and winner.spread]  # fmt: skip
    found.sort(key=lambda one: -one[1])
    told = "; ".join(
        f"{name(one)} with {score(stick.metric_name, mean)} (the best of {count})"
        for one, mean, count in found
    )
    return f"The best setting of each method: {told}. A best of many settings is partly luck."


def _losses(by_method: dict[str, list[Setting]], stick: Yardstick) -> list[str]:
    """Where another method is ahead of CDVFT: by its best setting, and over all settings alike."""
    if "cdvft" not in by_method or len(by_method) < 2:
        return []
    others = [method for method in by_method if method != "cdvft"]
    told = []
    for rest, where in _BY:
        cdvft = reduce(by_method["cdvft"], rest)
        ahead = []
        for method in others:
            theirs = reduce(by_method[method], rest)
            if cdvft and theirs and theirs.mean > cdvft.mean:
                more = theirs.mean - cdvft.mean
                by = gap(stick.metric_name, more)
                ahead.append(f"{METHODS[method].title} by {by}{_verdict(more, stick).replace(':', ',')}")
        said = f"CDVFT is behind {'; '.join(ahead)}" if ahead else "no other method is ahead of CDVFT"
        told.append(f"{where[:1].upper()}{where[1:]}, {said}.")
    return told


def _failed(settings: Sequence[Setting]) -> str | None:
    failed = [one for one in settings if one.failed]
    if not failed:
        return None
    names = "; ".join(name(one) for one in failed[:4])
    more = f" and {len(failed) - 4} more" if len(failed) > 4 else ""
    return f"Left out, because a run failed (such as by a loss that grew without bound): {names}{more}."
