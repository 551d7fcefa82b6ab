"""What two sides' results say about their difference: its size, a two-sided p, an interval at any confidence.

`over_rows` speaks of the very runs: which rows were asked is chance, the runs are what they are. `over_seeds`
speaks of the methods: other seeds would have given other runs as well; see `Mean`. `pooled` speaks of several
races together. `unpaired` is for runs that kept no answers row by row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from cdvft_app.judging.row_scores import RowScores
from cdvft_app.judging.verdict import METHODS_FROM
from cdvft_app.metrics import get_metric
from cdvft_app.metrics.base import Numbers, Statistic

Values = NDArray[np.float64]
MAX_SEEDS = 100  # that anybody would be told to train
_MIN_VARIANCE = 1e-12  # of races in which no row differs


@dataclass(frozen=True)
class Mean:
    """A mean over seeds and rows: `of_seeds` (V_s) falls with 1 / `seeds`, `of_rows` (V_r) does not.

    `rest` (V_e) is in both.

    Every seed answers the same rows, so a value D of a seed s and a row n is crossed: D̄ errs by which
    seeds and by which rows were drawn. With V_s the variance of the seeds' means over S, V_r that of the
    rows' means over N, and V_e that of what neither explains over S N, which is part of both,

        Var D̄ = V_s + V_r − V_e,     never taken below the larger of V_s and V_r,

    and D̄ has Student's t with Satterthwaite's degrees of freedom. Rows alone (V_r) call tied methods apart
    far too often, since seeds differ; a t test over seeds alone (V_s) leaves out that all seeds answered
    the same rows. Of a metric that is no mean, D are jackknife pseudo-values. Sources: A. C. Cameron, J. B.
    Gelbach and D. L. Miller, Robust inference with multiway clustering, Journal of Business & Economic
    Statistics 29 (2011), 238 to 249; F. E. Satterthwaite, Biometrics Bulletin 2 (1946), 110 to 114.
    """

    size: float
    of_rows: float
    freedom_of_rows: float
    of_seeds: float = 0.0
    rest: float = 0.0
    seeds: int = 1
    freedom_of_seeds: float = 0.0

    @property
    def variance(self) -> float:
        return max(self.of_seeds + self.of_rows - self.rest, self.of_seeds, self.of_rows)

    @property
    def freedom(self) -> float:
        parts = ((self.of_seeds, self.freedom_of_seeds), (self.of_rows, self.freedom_of_rows))
        below = sum(variance**2 / freedom for variance, freedom in parts if variance)
        return self.variance**2 / below if below else np.inf

    @property
    def p(self) -> float:
        """Two-sided, of the mean being 0."""
        from scipy.special import stdtr  # loads at once, where scipy.stats takes a second

        if not self.variance:
            return 1.0 if self.size == 0 else 0.0
        return float(2 * stdtr(self.freedom, -abs(self.size) / np.sqrt(self.variance)))

    def half(self, confidence: float) -> float:
        """Half the interval's width."""
        from scipy.special import stdtrit

        return float(stdtrit(self.freedom, (1 + confidence) / 2) * np.sqrt(self.variance))

    def interval(self, confidence: float) -> tuple[float, float]:
        half = self.half(confidence)
        return self.size - half, self.size + half

    def with_seeds(self, seeds: int) -> Mean:
        """What is to be expected with so many seeds, of the same size and spread, on the same rows."""
        part = self.seeds / seeds
        freedom = self.freedom_of_seeds * (seeds - 1) / (self.seeds - 1)
        return replace(
            self,
            of_seeds=part * self.of_seeds,
            of_rows=self.of_rows + (part - 1) * self.rest,
            rest=part * self.rest,
            seeds=seeds,
            freedom_of_seeds=freedom,
        )

    def seeds_for(self, half: float, confidence: float, least: int) -> int | None:
        """How many seeds, `least` or more, make the interval that narrow; None: no number of them does."""
        from scipy.special import stdtrit

        tried = [self.with_seeds(seeds) for seeds in range(least, MAX_SEEDS + 1)]
        quantiles = stdtrit([one.freedom for one in tried], (1 + confidence) / 2)  # one call
        narrow = quantiles * np.sqrt([one.variance for one in tried]) <= half
        return least + int(narrow.argmax()) if narrow.any() else None


def of_mean(values: Values) -> Mean:
    """Of one side (S, N): S seeds over the same N rows."""
    seeds, rows = values.shape
    return Mean(
        float(values.mean()),
        of_rows=_variance(values.mean(0)),
        freedom_of_rows=rows - 1,
        of_seeds=_variance(values.mean(1)),
        rest=_rest(values),
        seeds=seeds,
        freedom_of_seeds=seeds - 1,
    )


def of_difference(first: Values, second: Values, paired: bool) -> Mean:
    """Of two sides (S, N) of the same rows; `paired`: seed by seed, else Welch's sum of both variances."""
    sides = [of_mean(first - second)] if paired else [of_mean(first), of_mean(second)]
    of_seeds = sum(side.of_seeds for side in sides)
    below = sum(side.of_seeds**2 / side.freedom_of_seeds for side in sides if side.of_seeds)
    return replace(
        sides[0],
        size=float(first.mean() - second.mean()),
        of_rows=_variance(first.mean(0) - second.mean(0)),
        of_seeds=of_seeds,
        rest=sum(side.rest for side in sides),
        seeds=min(side.seeds for side in sides),
        freedom_of_seeds=of_seeds**2 / below if below else 0.0,
    )


def pooled(means: Sequence[Mean]) -> Mean:
    """The mean over several races of the same two methods, whose true differences vary from race to race.

    Each race weighs 1 / (Vᵢ + τ²), where τ² is DerSimonian and Laird's estimate of that variation, 0 where
    the races differ no more than by chance. Degrees of freedom are Satterthwaite's. Source: R. DerSimonian
    and N. Laird, Meta-analysis in clinical trials, Controlled Clinical Trials 7 (1986), 177 to 188.
    """
    if len(means) == 1:
        return means[0]
    sizes, variances = (np.array([getattr(one, name) for one in means]) for name in ("size", "variance"))
    weights = 1 / np.maximum(variances, _MIN_VARIANCE)
    spread = float(weights @ (sizes - weights @ sizes / weights.sum()) ** 2)
    between = (spread - len(means) + 1) / (weights.sum() - weights @ weights / weights.sum())
    of_race = np.maximum(variances, _MIN_VARIANCE) + max(float(between), 0.0)
    shares = 1 / of_race / (1 / of_race).sum()
    variance = float(shares**2 @ of_race)
    freedom = variance**2 / sum(
        (share**2 * own) ** 2 / one.freedom for share, own, one in zip(shares, of_race, means, strict=True)
    )
    return Mean(float(shares @ sizes), of_rows=variance, freedom_of_rows=float(freedom))


def _variance(values: Values) -> float:
    """Of their mean; 0 of one alone, which tells nothing of it."""
    return float(values.var(ddof=1)) / len(values) if len(values) > 1 else 0.0


def _rest(values: Values) -> float:
    """Of the mean, by what neither its seed nor its row explains."""
    left = values - values.mean(0) - values.mean(1, keepdims=True) + values.mean()
    seeds, rows = values.shape
    if min(seeds, rows) < 2:
        return 0.0
    return float((left**2).sum()) / ((seeds - 1) * (rows - 1)) / values.size


Value = TypeVar("Value")
Seeds = Mapping[int, Sequence[Value]]
"""What the runs of each seed gave, the seeds ascending."""
Interval = tuple[float, float]
RESAMPLES = 1999
MAX_RESAMPLED = 2000  # rows; of more, the jackknife's normal interval is as good, and quick
_BATCH = 2_000_000  # numbers that are looked up at once


@dataclass(frozen=True)
class Evidence:
    """`interval` is of a confidence in 0..1. `alone`: how many rows one run alone has right, of two."""

    size: float
    p: float
    interval: Callable[[float], Interval]
    alone: tuple[int, int] | None = None


def over_rows(first: Sequence[RowScores], second: Sequence[RowScores]) -> Evidence:
    """Two sides with a run or several each, all of the same rows.

    One run each that is right or wrong: exact McNemar. Else rows are exchanged between the sides for p, and
    drawn again for a BCa bootstrap interval; of many rows the jackknife gives both.
    """
    one, other = first[0], second[0]
    if len(first) == len(second) == 1 and one.right_or_wrong and other.right_or_wrong:
        right, also = one.terms[:, 0] > 0, other.terms[:, 0] > 0
        return mcnemar(len(right), int((right & ~also).sum()), int((also & ~right).sum()))
    sides = [_terms(side) for side in (first, second)]
    if len(one.rows) <= MAX_RESAMPLED and sides[0].shape == sides[1].shape:
        return _resampled(one.statistic, *sides)
    over = over_seeds({0: first}, {0: second})
    return Evidence(over.size, over.p, over.interval)


def over_seeds(first: Seeds[RowScores], second: Seeds[RowScores]) -> Mean:
    """Two methods, a run or several for each seed, all of the same rows."""
    sides = [_pseudo_values(side) for side in (first, second)]
    one, other = (
        float(np.mean([np.mean([run.score for run in runs]) for runs in side.values()]))
        for side in (first, second)
    )
    return replace(of_difference(sides[0], sides[1], first.keys() == second.keys()), size=one - other)


def _pseudo_values(side: Seeds[RowScores]) -> Numbers:
    """(S, N) of each seed the mean of its runs."""
    return np.stack([np.mean([run.pseudo_values for run in runs], 0) for runs in side.values()])


def mcnemar(rows: int, first_alone: int, second_alone: int) -> Evidence:
    """The exact McNemar test, and Clopper and Pearson's interval turned into one of the difference.

    Of n = b + c rows that one run alone has right, b would follow Binomial(n, ½) were both equally good. With
    π the share b / n and s = n / N how often they differ, the difference is s (2π − 1): the interval goes
    from the least to the greatest of it over Clopper and Pearson's intervals of π and of s. It leaves out 0
    exactly where p < 1 − confidence, and has a width where n is 0, too.
    Source: Q. McNemar, Psychometrika 12 (1947), 153 to 157.
    """
    from scipy.special import bdtr  # loads at once, where scipy.stats takes a second

    differ = first_alone + second_alone

    def interval(confidence: float) -> Interval:
        often = _clopper_pearson(differ, rows, confidence)
        low, high = (2 * share - 1 for share in _clopper_pearson(first_alone, differ, confidence))
        return min(low * share for share in often), max(high * share for share in often)

    p = min(1.0, 2 * float(bdtr(min(first_alone, second_alone), differ, 0.5)))
    return Evidence((first_alone - second_alone) / rows, p, interval, alone=(first_alone, second_alone))


def _clopper_pearson(count: int, of: int, confidence: float) -> Interval:
    from scipy.special import betaincinv

    beyond = (1 - confidence) / 2
    low = betaincinv(count, of - count + 1, beyond) if count else 0.0
    high = betaincinv(count + 1, of - count, 1 - beyond) if count < of else 1.0
    return float(low), float(high)


def _terms(side: Sequence[RowScores]) -> Numbers:
    """(N, runs, k); of means, a side's runs are as good as one run of their means."""
    terms = np.stack([run.terms for run in side], 1)
    return terms.mean(1, keepdims=True) if side[0].is_mean else terms


def _resampled(statistic: Statistic, first: Numbers, second: Numbers) -> Evidence:
    """Of the terms (N, runs, k) of two sides."""
    from scipy import stats

    rows, runs, _ = first.shape
    stacked, beside = np.concatenate([first, second]), np.concatenate([first, second], 1)
    batch = max(1, _BATCH // beside.size)

    def exchanged(mine: Any, theirs: Any, axis: int) -> Numbers:
        sides = (statistic(stacked[places].sum(-3), np.asarray(rows)).mean(-1) for places in (mine, theirs))
        return np.subtract(*sides)

    def drawn(places: Any, axis: int) -> Numbers:  # BCa's jackknife leaves one place out
        scores = statistic(beside[places].sum(-3), np.asarray(places.shape[-1]))
        return scores[..., :runs].mean(-1) - scores[..., runs:].mean(-1)

    every = np.arange(rows)
    tested = stats.permutation_test(
        (every, rows + every), exchanged, permutation_type="samples", batch=batch,
        n_resamples=RESAMPLES, rng=np.random.default_rng(0),
    )  # fmt: skip
    size = float(tested.statistic)

    def interval(confidence: float) -> Interval:
        if not np.ptp(first.mean(1) - second.mean(1), axis=0).any():
            return size, size
        found = stats.bootstrap(
            (every,), drawn, batch=batch, n_resamples=RESAMPLES, method="BCa",
            confidence_level=confidence, rng=np.random.default_rng(0),
        ).confidence_interval  # fmt: skip
        return float(found.low), float(found.high)

    return Evidence(size, float(tested.pvalue), interval)


def standard_error(metric_name: str, score: float, rows: int | None) -> float | None:
    """Of a score over `rows` rows, by chance in which were drawn; None for a metric without a formula."""
    return get_metric(metric_name).standard_error(score, rows) if rows and rows > 1 else None


def of_score(
    metric_name: str, rows: int, scores: Seeds[float], answers: Seeds[RowScores] | None
) -> Mean | None:
    """One side's score with its error, over seeds from five on; None where that is not known."""
    values = np.array([np.mean(own) for own in scores.values()])
    if answers is not None:
        found = of_mean(_pseudo_values(answers))
    else:
        error = standard_error(metric_name, float(values.mean()), rows)
        if error is None:
            return None
        found = replace(of_mean(values[:, None]), of_rows=error**2, freedom_of_rows=rows - 1)
    found = replace(found, size=float(values.mean()))
    return found if len(values) >= METHODS_FROM else replace(found, of_seeds=0.0, rest=0.0)


def unpaired(
    metric_name: str, rows: int | None, first: Seeds[float], second: Seeds[float]
) -> tuple[Mean, Mean | None] | None:
    """Of scores alone: the difference of the very runs, and over seeds where there are two of each or more.

    None for a metric whose errors have no formula. The rows' part is that of two samples of rows, which is
    wider than need be where both sides answered the same ones.
    """
    sides = [np.array([np.mean(scores) for scores in side.values()]) for side in (first, second)]
    errors = [standard_error(metric_name, float(side.mean()), rows) for side in sides]
    if rows is None or None in errors:
        return None
    of_rows = float(sum(error**2 for error in errors if error is not None))
    size, freedom = float(sides[0].mean() - sides[1].mean()), rows - 1
    alone = Mean(size, of_rows=of_rows, freedom_of_rows=freedom)
    if min(map(len, sides)) < 2:
        return alone, None
    same = first.keys() == second.keys()
    over = of_difference(sides[0][:, None], sides[1][:, None], same)
    return alone, replace(over, of_rows=of_rows, freedom_of_rows=freedom)
