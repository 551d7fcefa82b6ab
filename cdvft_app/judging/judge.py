"""Who is ahead: the one judge. Every sentence, mark, band and file about it comes from `judge`.

It knows what it judges. Over five seeds of each side or more it speaks of methods (`evidence.over_seeds`),
over fewer of these very runs, by the rows that they answered (`evidence`). A family of pairs is judged
together and corrected once, by Holm's step-down: with p₁ ≤ p₂ ≤ … of k pairs, pᵢ counts against α / (k − i
+ 1), up to the first that is not below it; the pairs from there on keep that one's divisor. The interval of
a pair has the confidence 1 − α / divisor, so that interval and p agree. Source: S. Holm, A simple
sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6 (1979), 65 to 70.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

import numpy as np

from cdvft_app.judging.evidence import Evidence, Mean, of_score, over_rows, over_seeds, pooled, unpaired
from cdvft_app.judging.row_scores import RowScores
from cdvft_app.judging.verdict import MARGIN, METHODS_FROM, SIGNIFICANCE_LEVEL, Chosen, Verdict, Word
from cdvft_app.metrics import get_metric

Value = TypeVar("Value")
MAX_MORE = 50  # times the rows there are; more than that is no advice


@dataclass(frozen=True)
class Run:
    """One run's score over `rows` evaluation rows. `answers`: row by row; None where they were not kept."""

    seed: int
    metric: float
    rows: int | None
    answers: RowScores | None = None


@dataclass(frozen=True)
class Contestant:
    """All runs of one setting, or of all settings that share what is judged."""

    label: str
    runs: tuple[Run, ...]

    @property
    def mean(self) -> float:
        """Of the seeds' means."""
        by_seed = _by_seed(self.runs, lambda run: run.metric)
        return float(np.mean([np.mean(scores) for scores in by_seed.values()]))


@dataclass(frozen=True)
class Pair:
    """The best of `first` against the best of `second`; often one of each.

    By "seed", each seed stands for a side by the contestant that is best on the other seeds, so that a side
    is judged at its own best without having been chosen by what it is judged on. "matched": contestants at
    the same place of both sides have the same other settings, and one place is chosen for both.
    """

    first: tuple[Contestant, ...]
    second: tuple[Contestant, ...]
    chosen_by: Literal["all seeds", "seed", "seed, matched"] = "all seeds"

    @property
    def choices(self) -> int:
        """From how many pairs of contestants the judged one is chosen."""
        if self.chosen_by == "seed, matched":
            return len(self.first)
        pairs = {frozenset((id(one), id(other))) for one in self.first for other in self.second}
        return sum(len(pair) > 1 for pair in pairs) or 1


@dataclass(frozen=True)
class _Judged:
    """A pair before the family is looked at."""

    first: Contestant
    second: Contestant
    about: Literal["runs", "methods"]
    evidence: Evidence | Mean | None
    spread: Mean | None
    rows: int | None
    paired: bool
    chosen: Chosen | None
    choices: int

    @property
    def p(self) -> float:
        return 1.0 if self.evidence is None else min(1.0, self.choices * self.evidence.p)


def judge(pairs: Sequence[Pair], metric_name: str, family: int | None = None) -> list[Verdict]:
    """The verdicts on pairs that are judged together, in their order.

    Args:
        pairs: whose sides all have a finished run.
        metric_name: accuracy, exact_match, matthews, pearson, or another whose rows have a score each.
        family: how many pairs were to be judged, where some of them have no runs; they count as well.
    """
    return _corrected([_look(pair, metric_name) for pair in pairs], metric_name, family or 0)


def judge_pooled(races: Sequence[Sequence[Pair]], metric_name: str) -> list[Verdict]:
    """The verdicts on pairs of methods over several races, each of which has the same pairs in their order.

    A race counts where it has the seeds to speak of methods; `rows` are those of all races.
    """
    judged = []
    for pairs in zip(*races, strict=True):
        looked = [_look(pair, metric_name) for pair in pairs]
        means = [one.evidence for one in looked if isinstance(one.evidence, Mean) and one.about == "methods"]
        rows = sum(one.rows or 0 for one in looked if one.about == "methods")
        evidence = pooled(means) if means else None
        judged.append(replace(looked[0], evidence=evidence, spread=None, rows=rows or None))
    found = _corrected(judged, metric_name, 0)
    return [replace(one, more_rows=None) for one in found]  # another race tells more than further rows


def _corrected(judged: Sequence[_Judged], metric_name: str, family: int) -> list[Verdict]:
    count = max(family, len(judged))
    found = zip(judged, holm([one.p for one in judged], count), strict=True)
    return [_verdict(one, metric_name, p, divisor, count) for one, (p, divisor) in found]


def band(one: Contestant, metric_name: str) -> tuple[float, float] | None:
    """The 95 % interval of a side's own score, as a chart draws it: two that overlap may well differ.

    Over seeds and rows from five seeds on, else over rows, and cut at the ends of the metric's range; None
    where its error is not known.
    """
    answers = _common([one])
    rows = min(run.rows or 0 for run in one.runs)
    found = of_score(
        metric_name,
        rows,
        _by_seed(one.runs, lambda run: run.metric),
        None if answers is None else _by_seed(one.runs, answers.__getitem__),
    )
    if found is None:
        return None
    lowest, highest = get_metric(metric_name).range
    low, high = found.interval(1 - SIGNIFICANCE_LEVEL)
    return max(low, lowest), min(high, highest)


def holm(p_values: Sequence[float], family: int) -> list[tuple[float, int]]:
    """Of each its corrected p, and the divisor of α for its interval; `family` counts those left out."""
    found: dict[int, tuple[float, int]] = {}
    corrected, kept = 0.0, 0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda one: p_values[one])):
        corrected = max(corrected, min(1.0, (family - rank) * p_values[place]))
        kept = kept or (family - rank if corrected >= SIGNIFICANCE_LEVEL else 0)
        found[place] = (corrected, kept or family - rank)
    return [found[place] for place in range(len(p_values))]


def half_of(rows: np.ndarray) -> np.ndarray:
    """(N) the rows on which the best setting is chosen; it is judged on the others.

    By the highest bit of 64 of row × ⌊2⁶⁴ / φ⌋, the same for every run: half of any stretch of rows.
    Source: D. E. Knuth, The Art of Computer Programming 3, 6.4.
    """
    return (rows.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(63) == 0


def _look(pair: Pair, metric_name: str) -> _Judged:
    first, second, chosen = _choose(pair)
    runs = (*first.runs, *second.runs)
    scores = [_by_seed(one.runs, lambda run: run.metric) for one in (first, second)]
    least = min(map(len, scores))
    about: Literal["runs", "methods"] = "methods" if least >= METHODS_FROM else "runs"
    answers = _common([first, second])
    evidence: Evidence | Mean | None
    if answers is not None:
        one, other = (_by_seed(side.runs, answers.__getitem__) for side in (first, second))
        spread = over_seeds(one, other) if least > 1 else None
        evidence = spread if about == "methods" else over_rows(_flat(one), _flat(other))
        rows: int | None = len(next(iter(answers.values())).rows)
    else:
        rows = min(run.rows or 0 for run in runs) or None
        alone, spread = unpaired(metric_name, rows, *scores) or (None, None)
        evidence = spread if about == "methods" else alone
    choices = pair.choices if chosen == "all" else 1
    return _Judged(first, second, about, evidence, spread, rows, answers is not None, chosen, choices)


def _choose(pair: Pair) -> tuple[Contestant, Contestant, Chosen | None]:
    """The contestants that are judged, with the rows on which they are; and how they were chosen."""
    if pair.choices == 1:
        return pair.first[0], pair.second[0], None
    answers = _common((*pair.first, *pair.second))
    on_half = None if answers is None else half_of(next(iter(answers.values())).rows)

    def chosen_on(one: Contestant) -> Contestant:
        return one if on_half is None else _at(one, on_half)

    def judged_on(one: Contestant) -> Contestant:
        return one if on_half is None else _at(one, ~on_half)

    seeds = {run.seed for one in (*pair.first, *pair.second) for run in one.runs}
    if pair.chosen_by == "all seeds" or len(seeds) == 1:
        scores = {one: chosen_on(one).mean for one in (*pair.first, *pair.second)}
        first, second = _best(pair, scores)
        return judged_on(first), judged_on(second), "all" if on_half is None else "other rows"
    runs: tuple[list[Run], list[Run]] = ([], [])
    for seed in sorted(seeds):
        scores = {one: _score_without(chosen_on(one), seed) for one in (*pair.first, *pair.second)}
        for side, one in zip(runs, _best(pair, scores), strict=True):
            side += [run for run in judged_on(one).runs if run.seed == seed]
    first, second = (
        Contestant(side[0].label, tuple(own))
        for side, own in zip((pair.first, pair.second), runs, strict=True)
    )
    return first, second, "other seeds" if on_half is None else "other seeds and rows"


def _best(pair: Pair, scores: Mapping[Contestant, float]) -> tuple[Contestant, Contestant]:
    if pair.chosen_by == "seed, matched":
        places = zip(pair.first, pair.second, strict=True)
        return max(places, key=lambda both: max(scores[one] for one in both))
    return max(pair.first, key=scores.__getitem__), max(pair.second, key=scores.__getitem__)


def _score_without(one: Contestant, seed: int) -> float:
    """The mean of its other seeds; the lowest of all where it has none, or not this one to be judged by."""
    others = tuple(run for run in one.runs if run.seed != seed)
    return replace(one, runs=others).mean if 0 < len(others) < len(one.runs) else -math.inf


def _at(one: Contestant, chosen: np.ndarray) -> Contestant:
    parts = [(run, run.answers.at(chosen)) for run in one.runs if run.answers is not None]
    runs = [replace(run, metric=part.score, rows=len(part.rows), answers=part) for run, part in parts]
    return replace(one, runs=tuple(runs))


def _common(contestants: Sequence[Contestant]) -> dict[Run, RowScores] | None:
    """What each run answered; None unless all kept their answers and answered the same rows."""
    answers = {run: run.answers for one in contestants for run in one.runs if run.answers is not None}
    first, *others = [run.answers for one in contestants for run in one.runs]
    same = first is not None and all(other is not None and first.same_rows(other) for other in others)
    return answers if same else None


def _by_seed(runs: Sequence[Run], value: Callable[[Run], Value]) -> dict[int, list[Value]]:
    found: dict[int, list[Value]] = {seed: [] for seed in sorted({run.seed for run in runs})}
    for run in runs:
        found[run.seed].append(value(run))
    return found


def _flat(by_seed: Mapping[int, Sequence[Value]]) -> list[Value]:
    return [value for values in by_seed.values() for value in values]


def _verdict(one: _Judged, metric_name: str, p: float, divisor: int, family: int) -> Verdict:
    confidence = 1 - SIGNIFICANCE_LEVEL / (divisor * one.choices)
    size = one.first.mean - one.second.mean
    verdict = Verdict(
        first=one.first.label,
        second=one.second.label,
        word="not shown",
        about=one.about,
        metric_name=metric_name,
        size=size,
        low=None,
        high=None,
        confidence=confidence,
        p=None,
        rows=one.rows,
        seeds=(_seeds(one.first), _seeds(one.second)),
        paired=one.paired,
        family=family,
        chosen=one.chosen,
    )
    if one.evidence is None:
        return verdict
    low, high = one.evidence.interval(confidence)
    word = _word(low, high, p)
    more_rows, more_seeds = _more(one, low, high, confidence) if word == "not shown" else (None, None)
    return replace(
        verdict,
        word=word,
        size=one.evidence.size,
        low=low,
        high=high,
        p=p,
        alone=one.evidence.alone if isinstance(one.evidence, Evidence) else None,
        more_rows=more_rows,
        more_seeds=more_seeds,
    )


def _word(low: float, high: float, p: float) -> Word:
    """A difference wants both: the test and the interval, which a bootstrap does not make of one piece."""
    shown = p < SIGNIFICANCE_LEVEL
    if shown and low > 0:
        return "ahead"
    if shown and high < 0:
        return "behind"
    return "as good" if low > -MARGIN and high < MARGIN else "not shown"


def _more(one: _Judged, low: float, high: float, confidence: float) -> tuple[int | None, int | None]:
    """About how many more rows, and more seeds of each side, if the difference stays what it is.

    The interval must come to leave out 0, or to lie within the margin, whichever is nearer. It narrows with
    the root of the rows; of seeds see `Mean.seeds_for`, which needs a spread over seeds to begin with.
    """
    assert one.evidence is not None
    size = one.evidence.size
    below, above = size - low, high - size
    room = max(abs(size), MARGIN - abs(size))
    half = max(below, above) if room > abs(size) else below if size > 0 else above
    seeds = min(_seeds(one.first), _seeds(one.second))
    more_rows = more_seeds = None
    if one.spread is not None:
        enough = one.spread.seeds_for(room, confidence, max(seeds + 1, METHODS_FROM))
        more_seeds = None if enough is None else enough - seeds
    if one.rows and (one.about == "runs" or more_seeds is None):
        factor = (half / room) ** 2
        more_rows = _rounded(one.rows * (factor - 1)) if factor < MAX_MORE else None
    return more_rows, more_seeds


def _rounded(count: float) -> int:
    """Up, to two digits: no more is known of it."""
    digits = 10 ** max(len(str(math.ceil(count))) - 2, 0)
    return max(1, math.ceil(count / digits) * digits)


def _seeds(one: Contestant) -> int:
    return len({run.seed for run in one.runs})
