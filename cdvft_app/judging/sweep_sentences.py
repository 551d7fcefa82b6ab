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
from cdvft_app.costs.sentences import joined
from cdvft_app.judging.outcome_sentences import METRICS, difference, score
from cdvft_app.judging.sweep_labels import RATES, setting_label, symbol, tick_label
from cdvft_app.judging.sweep_results import Reduction, Setting, best, complete_seeds, line, reduce, varied
from cdvft_app.methods import METHODS

_REDUCTIONS: tuple[tuple[Reduction, str], ...] = (
    ("best", "at its best setting"),
    ("mean", "on average over all settings"),
)


def _dimension_text(method: str, dimension: str) -> str:
    return "the learning rate" if dimension == RATES else symbol(method, dimension)


@dataclass(frozen=True)
class Yardstick:
    """The chance in a score: the standard `error` of one evaluation (None unless a share), and of seeds."""

    metric_name: str
    error: float | None
    seeds_apart: float | None

    @property
    def noise(self) -> float | None:
        """What a difference must exceed to be called one: twice the error, or the spread of seeds."""
        known = [2 * self.error if self.error else None, self.seeds_apart]
        return max((value for value in known if value is not None), default=None)


def yardstick_of(settings: Sequence[Setting], metric_name: str, evaluation_examples: int | None) -> Yardstick:
    spreads = [one.spread for one in settings if one.spread]
    apart = [spread.high - spread.low for spread in spreads if spread.runs > 1]
    error = None
    if metric_name in SHARES and evaluation_examples and spreads:
        typical = median(spread.mean for spread in spreads)
        error = math.sqrt(typical * (1 - typical) / evaluation_examples)
    return Yardstick(metric_name, error, median(apart) if apart else None)


def sentences(settings: Sequence[Setting], metric_name: str, evaluation_examples: int | None) -> list[str]:
    """From the yardsticks to the comparison; empty until two settings have finished."""
    finished = [one for one in complete_seeds(settings) if one.spread]
    if len(finished) < 2:
        return []
    by_method = {method: [one for one in finished if one.method == method]
                 for method in dict.fromkeys(one.method for one in finished)}  # fmt: skip
    yardstick = yardstick_of(finished, metric_name, evaluation_examples)
    texts = [
        _yardstick(yardstick, evaluation_examples),
        *(
            text
            for method in _methods_described(by_method)
            for text in _effect_sentences(method, by_method[method], yardstick)
        ),
        _rate_sensitivity(by_method, yardstick),
        _best(by_method, yardstick),
        *_where_cdvft_is_behind(by_method, yardstick),
        _failed(settings),
    ]
    return [sentence for sentence in texts if sentence]


def _yardstick(yardstick: Yardstick, examples: int | None) -> str:
    texts = []
    if yardstick.error is not None:
        error = difference(yardstick.metric_name, yardstick.error)
        texts.append(f"One evaluation on {examples:,} examples is uncertain by {error} (its standard error)")
    if yardstick.seeds_apart is None:
        texts.append("Each setting ran with one seed, so nothing tells how much the luck of a seed adds")
    else:
        spread = difference(yardstick.metric_name, yardstick.seeds_apart)
        texts.append(f"Two seeds of one setting differ by {spread} (the median)")
    if yardstick.noise is not None:
        texts.append(
            f"A difference up to {difference(yardstick.metric_name, yardstick.noise)} is called chance below"
        )
    return f"{'. '.join(texts)}."


def _methods_described(by_method: dict[str, list[Setting]]) -> list[str]:
    """CDVFT alone where it took part; the charts show what changes the others."""
    return ["cdvft"] if "cdvft" in by_method else list(by_method)


def _effect_sentences(method: str, settings: Sequence[Setting], yardstick: Yardstick) -> list[str]:
    """The effect of each dimension on the mean over the others, and where the others are at their best."""
    dimensions = varied(settings)
    texts = []
    for dimension in dimensions:
        average, at_best = effect(settings, dimension, "mean"), effect(settings, dimension, "best")
        what, metric = _dimension_text(method, dimension), METRICS.get(yardstick.metric_name, "score")
        whose = f"{METHODS[method].title}'s {metric}"
        unit = " of the recipe's rate" if dimension == RATES else ""
        if not average.size:
            text = f"Changing {what} does not move {whose} on average"
        else:
            text = (
                f"Changing {what} moves {whose} by {difference(yardstick.metric_name, average.size)} on "
                f"average (best {average.best}, worst {average.worst}{unit})"
                f"{_verdict(average.size, yardstick)}"
            )
        others = [_dimension_text(method, other) for other in dimensions if other != dimension]
        if others:
            left = (
                f"it is {difference(yardstick.metric_name, at_best.size)}{_verdict(at_best.size, yardstick)}"
            )
            text += f". With {joined(others)} tuned for each {symbol(method, dimension)}, {left}"
        texts.append(f"{text}.")
    return texts


def _rate_sensitivity(by_method: dict[str, list[Setting]], yardstick: Yardstick) -> str | None:
    """How sensitive each method is to its learning rate."""
    effects = {
        method: effect(ones, RATES, "mean") for method, ones in by_method.items() if RATES in varied(ones)
    }
    if "cdvft" not in effects or len(effects) < 2:
        return None
    order = sorted(effects, key=lambda method: -effects[method].size)
    listed = joined(
        [
            f"{METHODS[method].title} by {difference(yardstick.metric_name, effects[method].size)}"
            for method in order
        ]
    )
    place = order.index("cdvft")
    rank = {0: "the most sensitive to it", len(order) - 1: "the least sensitive to it"}.get(
        place, f"number {place + 1} of {len(order)} in sensitivity to it"
    )
    return f"Changing the learning rate moves {listed}, on average. CDVFT is {rank}."


@dataclass(frozen=True)
class Effect:
    """The range of the metric along one dimension, and at which values it is best and worst."""

    size: float
    best: str
    worst: str


def effect(settings: Sequence[Setting], dimension: str, reduction: Reduction) -> Effect:
    """The largest minus the smallest value of `line`; 0 where nothing has finished."""
    means = [(value, spread.mean) for value, spread in line(settings, dimension, reduction) if spread]
    if not means:
        return Effect(0.0, "", "")
    low, high = min(means, key=lambda pair: pair[1]), max(means, key=lambda pair: pair[1])
    method = settings[0].method
    return Effect(
        high[1] - low[1], tick_label(method, dimension, high[0]), tick_label(method, dimension, low[0])
    )


def _verdict(size: float, yardstick: Yardstick) -> str:
    if yardstick.noise is None:
        return ""
    return ": more than chance" if size > yardstick.noise else ": no more than chance"


def _best(by_method: dict[str, list[Setting]], yardstick: Yardstick) -> str | None:
    if len(by_method) < 2:
        return None
    found = [(winner, winner.spread.mean, len(ones)) for ones in by_method.values()
             if (winner := best(ones)) and winner.spread]  # fmt: skip
    found.sort(key=lambda one: -one[1])
    listed = "; ".join(
        f"{setting_label(one)} with {score(yardstick.metric_name, mean)} (the best of {count})"
        for one, mean, count in found
    )
    return f"The best setting of each method: {listed}. A best of many settings is partly luck."


def _where_cdvft_is_behind(by_method: dict[str, list[Setting]], yardstick: Yardstick) -> list[str]:
    """Where another method is ahead of CDVFT: by its best setting, and over all settings alike."""
    if "cdvft" not in by_method or len(by_method) < 2:
        return []
    others = [method for method in by_method if method != "cdvft"]
    texts = []
    for reduction, where in _REDUCTIONS:
        cdvft = reduce(by_method["cdvft"], reduction)
        ahead = []
        for method in others:
            theirs = reduce(by_method[method], reduction)
            if cdvft and theirs and theirs.mean > cdvft.mean:
                more = theirs.mean - cdvft.mean
                by = difference(yardstick.metric_name, more)
                ahead.append(f"{METHODS[method].title} by {by}{_verdict(more, yardstick).replace(':', ',')}")
        text = f"CDVFT is behind {'; '.join(ahead)}" if ahead else "no other method is ahead of CDVFT"
        texts.append(f"{where[:1].upper()}{where[1:]}, {text}.")
    return texts


def _failed(settings: Sequence[Setting]) -> str | None:
    failed = [one for one in settings if one.failed]
    if not failed:
        return None
    names = "; ".join(setting_label(one) for one in failed[:4])
    more = f" and {len(failed) - 4} more" if len(failed) > 4 else ""
    return f"Left out, because a run failed (such as by a loss that grew without bound): {names}{more}."
