"""What a sweep says, in sentences made from its numbers, also where they speak against CDVFT.

Yardsticks: the standard error of one evaluation of n examples, sqrt(q (1 - q) / n) at accuracy q, and how far
the seeds of one setting lie apart. A mean over many runs is steadier than one run, so both are cautious.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from cdvft_app.figures.palette import METHOD_STYLES
from cdvft_app.settings import Method
from cdvft_app.sweep.results import Rest, Setting, Value, best, line, reduce, varied, whole_seeds

SYMBOLS = {
    "m": "m",
    "block_size": "p",
    "lora_r": "r",
    "fourierft_n": "n",
    "c3a_block_size": "b",
    "learning_rates": "learning rate",
}
_BY: tuple[tuple[Rest, str], ...] = (("best", "its best setting"), ("mean", "the mean of all its settings"))


@dataclass(frozen=True)
class Yardstick:
    """`error` is the standard error of one evaluation, None unless the metric is an accuracy."""

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
    if metric_name == "accuracy" and evaluation_examples and spreads:
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
        *(_moved(method, ones, stick) for method, ones in by_method.items()),
        _best(by_method, stick),
        _losses(by_method, stick),
        _failed(settings),
    ]
    return [sentence for sentence in told if sentence]


def written(metric_name: str, value: float) -> str:
    return f"{100 * value:.1f}\u00a0%" if metric_name == "accuracy" else f"{value:.3f}"


def apart(metric_name: str, difference: float) -> str:
    if metric_name != "accuracy":
        return f"{difference:.3f}"
    return f"{100 * difference:.1f}\u00a0points"


def value_text(dimension: str, value: Value) -> str:
    """m = 2, p = 384, × 0.3: how a table and a sentence name one value."""
    if dimension == "learning_rates":
        return f"×\u00a0{value:g}"
    shown = "automatic" if value is None else f"{value:,}"
    return f"{SYMBOLS[dimension]}\u00a0=\u00a0{shown}"


def name(setting: Setting) -> str:
    """CDVFT m = 2, p = 384, × 1."""
    values = ", ".join(value_text(dimension, value) for dimension, value in setting.values.items())
    return f"{METHOD_STYLES[setting.method].label} {values}"


def _yardstick(stick: Yardstick, examples: int | None) -> str:
    said = []
    if stick.error is not None:
        error = apart(stick.metric_name, stick.error)
        said.append(f"One evaluation on {examples:,} examples has a standard error of {error}")
    if stick.seeds_apart is None:
        said.append("there is one seed so far, so nothing tells how much chance does")
    else:
        spread = apart(stick.metric_name, stick.seeds_apart)
        said.append(f"the seeds of one setting lie {spread} apart (the median)")
    text = "; ".join(said)
    return f"{text[:1].upper()}{text[1:]}. What is smaller than that is no finding."


def _moved(method: Method, settings: Sequence[Setting], stick: Yardstick) -> str | None:
    """How far each dimension moves the mean over all the others."""
    parts = []
    for dimension in varied(settings):
        means = [(value, spread.mean) for value, spread in line(settings, dimension, "mean") if spread]
        low, high = min(means, key=lambda pair: pair[1]), max(means, key=lambda pair: pair[1])
        moved = high[1] - low[1]
        about = (
            [f"{value_text(dimension, high[0])} best, {value_text(dimension, low[0])} worst"] if moved else []
        )
        about += [_verdict(moved, stick.noise)] if stick.noise is not None else []
        details = f" ({', '.join(about)})" if about else ""
        parts.append(f"{SYMBOLS[dimension]} by {apart(stick.metric_name, moved)}{details}")
    if not parts:
        return None
    start = f"What moves {METHOD_STYLES[method].label}, as a mean over everything else: "
    return f"{start}{'; '.join(parts)}."


def _verdict(moved: float, noise: float) -> str:
    return "more than noise" if moved > noise else "within noise"


def _best(by_method: dict[Method, list[Setting]], stick: Yardstick) -> str | None:
    if len(by_method) < 2:
        return None
    found = [(winner, winner.spread.mean, len(ones)) for ones in by_method.values()
             if (winner := best(ones)) and winner.spread]  # fmt: skip
    found.sort(key=lambda one: -one[1])
    told = "; ".join(
        f"{name(one)} {written(stick.metric_name, mean)} (of {count} settings)" for one, mean, count in found
    )
    return f"The best setting of each: {told}. The more settings are tried, the luckier the best one is."


def _losses(by_method: dict[Method, list[Setting]], stick: Yardstick) -> str | None:
    """Where another method is ahead of CDVFT: by its best setting, and over all settings alike."""
    if "cdvft" not in by_method or len(by_method) < 2:
        return None
    others = [method for method in by_method if method != "cdvft"]
    told = []
    for rest, what in _BY:
        ours = reduce(by_method["cdvft"], rest)
        ahead = []
        for method in others:
            theirs = reduce(by_method[method], rest)
            if ours and theirs and theirs.mean > ours.mean:
                more = theirs.mean - ours.mean
                verdict = "" if stick.noise is None else f", {_verdict(more, stick.noise)}"
                ahead.append(f"{METHOD_STYLES[method].label} by {apart(stick.metric_name, more)}{verdict}")
        told.append(
            f"By {what} CDVFT is behind " + "; ".join(ahead) if ahead else f"By {what} CDVFT is behind none"
        )
    return ". ".join(told) + "."


def _failed(settings: Sequence[Setting]) -> str | None:
    failed = [one for one in settings if one.failed]
    if not failed:
        return None
    names = "; ".join(name(one) for one in failed[:4])
    more = f" and {len(failed) - 4} more" if len(failed) > 4 else ""
    return f"Runs that failed, such as by a loss that grew without bound, count nowhere: {names}{more}."
