"""Who is ahead: the one judge. Every sentence, mark, band and file about it comes from `judge`.

It knows what it judges. Over five seeds of each side or more it speaks of methods (`over_seeds`),
over fewer of these very runs, by the rows that they answered (`over_rows`). A family of pairs is judged
together and corrected once, by Holm's step-down: with p₁ ≤ p₂ ≤ … of k pairs, pᵢ counts against α / (k − i
+ 1), up to the first that is not below it; the pairs from there on keep that one's divisor. The interval of
a pair has the confidence 1 − α / divisor, so that interval and p agree. Each interval stands for itself: all
of a family hold together less often, for three independent pairs that are all shown in (1 − α / 3)(1 − α / 2)
(1 − α) = 91 % of cases. Source: S. Holm, A simple sequentially rejective multiple test procedure,
Scandinavian Journal of Statistics 6 (1979), 65 to 70.

What two sides' results say about their difference is its size, a two-sided p, and an interval at any
confidence. `over_rows` speaks of the very runs: which rows were asked is chance, the runs are what they
are. `over_seeds` speaks of the methods: other seeds would have given other runs as well; see `Mean`.
`unpaired` is for runs that kept no answers row by row.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from cdvft_app.judging.row_scores import RowScores
from cdvft_app.metrics import get_metric
from cdvft_app.metrics.base import Numbers, Statistic

Chosen = Literal["all"]
Word = Literal["ahead", "behind", "as good", "not shown"]
MARGIN = 0.01
"""As good within 1 point: of a share 1 of 100 rows, of a correlation 0.01."""
SIGNIFICANCE_LEVEL = 0.05
"""Of a whole family of pairs: how often at most a difference may be called one where there is none at all."""
METHODS_FROM = 5
"""Seeds of each side from which the judge speaks of methods; below it speaks of these runs."""
_OPPOSITE: dict[Word, Word] = {"ahead": "behind", "behind": "ahead"}


@dataclass(frozen=True)
class Verdict:
    """`first` is `word` of, against or as `second`: ahead of it, behind it, as good as it, or not shown.

    `size` is the first's score minus the second's, `low` to `high` its interval at `confidence`, None where
    nothing is known of its error. `about`: these very runs, or methods, with `seeds` of each side. `paired`:
    row by row over `rows`. `family`: how many pairs were judged together, for which `p` and the interval are
    corrected (Holm). `chosen`: a side is the best of several, so `p` and the interval count "all" pairs.
    `alone`: rows that one run alone has right.
    """

    first: str
    second: str
    word: Word
    about: Literal["runs", "methods"]
    metric_name: str
    size: float
    low: float | None
    high: float | None
    confidence: float
    p: float | None
    rows: int | None
    seeds: tuple[int, int]
    paired: bool
    family: int
    chosen: Chosen | None = None
    alone: tuple[int, int] | None = None

    @property
    def turned(self) -> Verdict:
        """The same verdict from the second one's side."""
        return replace(
            self,
            first=self.second,
            second=self.first,
            word=_OPPOSITE.get(self.word, self.word),
            size=-self.size,
            low=None if self.high is None else -self.high,
            high=None if self.low is None else -self.low,
            seeds=self.seeds[::-1],
            alone=None if self.alone is None else self.alone[::-1],
        )


Values = NDArray[np.float64]


@dataclass(frozen=True)
class Mean:
    """A mean over seeds and rows: `var_seeds` (V_s) falls with 1 / `seeds`, `var_rows` (V_r) does not.

    `var_residual` (V_e) is in both.

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
    var_rows: float
    df_rows: float
    var_seeds: float = 0.0
    var_residual: float = 0.0
    seeds: int = 1
    df_seeds: float = 0.0

    @property
    def variance(self) -> float:
        return max(self.var_seeds + self.var_rows - self.var_residual, self.var_seeds, self.var_rows)

    @property
    def df(self) -> float:
        parts = ((self.var_seeds, self.df_seeds), (self.var_rows, self.df_rows))
        below = sum(variance**2 / df for variance, df in parts if variance)
        return self.variance**2 / below if below else np.inf

    @property
    def p(self) -> float:
        """The two-sided p of the hypothesis that the mean is 0."""
        from scipy.special import stdtr  # loads at once, where scipy.stats takes a second

        if not self.variance:
            return 1.0 if self.size == 0 else 0.0
        return float(2 * stdtr(self.df, -abs(self.size) / np.sqrt(self.variance)))

    def half_width(self, confidence: float) -> float:
        """Return half the width of the interval at this confidence."""
        from scipy.special import stdtrit

        return float(stdtrit(self.df, (1 + confidence) / 2) * np.sqrt(self.variance))

    def interval(self, confidence: float) -> tuple[float, float]:
        half_width = self.half_width(confidence)
        return self.size - half_width, self.size + half_width


def of_mean(values: Values) -> Mean:
    """Return the mean of one side (S, N) with its errors: S seeds, which all answered the same N rows."""
    seeds, rows = values.shape
    return Mean(
        float(values.mean()),
        var_rows=_variance(values.mean(0)),
        df_rows=rows - 1,
        var_seeds=_variance(values.mean(1)),
        var_residual=_residual_variance(values),
        seeds=seeds,
        df_seeds=seeds - 1,
    )


def of_difference(first: Values, second: Values, paired: bool) -> Mean:
    """Return the mean difference of two sides (S, N) of the same rows, with its errors.

    `paired` sides are subtracted seed by seed; else both variances over seeds are added, as Welch does.
    """
    sides = [of_mean(first - second)] if paired else [of_mean(first), of_mean(second)]
    var_seeds = sum(side.var_seeds for side in sides)
    below = sum(side.var_seeds**2 / side.df_seeds for side in sides if side.var_seeds)
    return replace(
        sides[0],
        size=float(first.mean() - second.mean()),
        var_rows=_variance(first.mean(0) - second.mean(0)),
        var_seeds=var_seeds,
        var_residual=sum(side.var_residual for side in sides),
        seeds=min(side.seeds for side in sides),
        df_seeds=var_seeds**2 / below if below else 0.0,
    )


def _variance(values: Values) -> float:
    """Return the squared standard error of the values' mean; 0 for one value, whose spread is not known."""
    return float(values.var(ddof=1)) / len(values) if len(values) > 1 else 0.0


def _residual_variance(values: Values) -> float:
    """Return the part of the mean's variance that neither the seeds' means nor the rows' means explain."""
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
    """Return the evidence on these very runs: two sides with one run or several each, all of the same rows.

    One run each that is right or wrong: exact McNemar. Else rows are exchanged between the sides for p, and
    drawn again for a BCa bootstrap interval; of many rows the jackknife gives both.
    """
    one, other = first[0], second[0]
    if len(first) == len(second) == 1 and one.right_or_wrong and other.right_or_wrong:
        right, also = one.terms[:, 0] > 0, other.terms[:, 0] > 0
        return mcnemar(len(right), int((right & ~also).sum()), int((also & ~right).sum()))
    sides = [_terms(side) for side in (first, second)]
    if len(one.rows) <= MAX_RESAMPLED and sides[0].shape == sides[1].shape:
        found = _resampled(one.statistic, *sides)
        return replace(found, p=min(found.p, exchange_bound(first, second)))
    over = over_seeds({0: first}, {0: second})
    return Evidence(over.size, over.p, over.interval)


def exchange_bound(first: Sequence[RowScores], second: Sequence[RowScores]) -> float:
    """Return what the p of exchanged rows is at most, however few exchanges are drawn.

    An exchange gives each difference dₙ its sign or the other, and Hoeffding's inequality bounds how often
    |Σ ±dₙ| reaches |Σ dₙ|: p ≤ 2 exp(−(Σ dₙ)² / 2 Σ dₙ²). Of a metric that is no mean dₙ are jackknife
    pseudo-values. Drawn exchanges alone give no p below 2 / (RESAMPLES + 1), which a large family would
    never let count. Source: W. Hoeffding, Journal of the American Statistical Association 58 (1963), 13 to
    30.
    """
    one, other = (np.mean([run.pseudo_values for run in side], 0) for side in (first, second))
    by_row = one - other
    squares = float(by_row @ by_row)
    return 2 * math.exp(-(float(by_row.sum()) ** 2) / (2 * squares)) if squares else 1.0


def over_seeds(first: Seeds[RowScores], second: Seeds[RowScores]) -> Mean:
    """The mean difference of two methods with its errors: one run or several a seed, all of the same rows."""
    sides = [_pseudo_values(side) for side in (first, second)]
    one, other = (
        float(np.mean([np.mean([run.score for run in runs]) for runs in side.values()]))
        for side in (first, second)
    )
    return replace(of_difference(sides[0], sides[1], first.keys() == second.keys()), size=one - other)


def _pseudo_values(side: Seeds[RowScores]) -> Numbers:
    """Return the jackknife pseudo-values (S, N) of one side: for each seed the mean of its runs."""
    return np.stack([np.mean([run.pseudo_values for run in runs], 0) for runs in side.values()])


def unvarying(rows: int, size: float) -> Mean:
    """Return the mean of differences within −1 and 1 that were `size` in every row, of two rows or more.

    Their spread is 0, which is no sign of certainty: by Clopper and Pearson only a share π of all rows, the
    lower end for N of N, need be like these, and the others may differ by 1 the other way. The mean then errs
    by (1 − π)(1 + |size|), here the half width of its interval of 95 %.
    """
    from scipy.special import stdtrit

    low, _ = _clopper_pearson(rows, rows, 1 - SIGNIFICANCE_LEVEL)
    error = (1 - low) * (1 + abs(size)) / stdtrit(rows - 1, 1 - SIGNIFICANCE_LEVEL / 2)
    return Mean(size, var_rows=float(error) ** 2, df_rows=rows - 1)


def mcnemar(rows: int, first_alone: int, second_alone: int) -> Evidence:
    """Return the exact McNemar test, and Clopper and Pearson's interval turned into one of the difference.

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
    """Return the terms (N, runs, k) of one side; of a mean one run of the runs' means says the same."""
    terms = np.stack([run.terms for run in side], 1)
    return terms.mean(1, keepdims=True) if side[0].is_mean else terms


def _resampled(statistic: Statistic, first: Numbers, second: Numbers) -> Evidence:
    """Return the evidence by permutation test and bootstrap from the terms (N, runs, k) of two sides."""
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
    """The standard error of a score over `rows` drawn rows; None for a metric without a formula for it."""
    return get_metric(metric_name).standard_error(score, rows) if rows and rows > 1 else None


def of_score(
    metric_name: str, rows: int, scores: Seeds[float], answers: Seeds[RowScores] | None
) -> Mean | None:
    """The score of one side with its error, over seeds too from five of them on; None where it is not known.

    Rows that are all right, or all wrong, say nothing of how rows vary: the metric's formula says it then.
    """
    values = np.array([np.mean(own) for own in scores.values()])
    found = None if answers is None else of_mean(_pseudo_values(answers))
    if found is None or not found.variance:
        error = standard_error(metric_name, float(values.mean()), rows)
        if error is None:
            return None
        found = replace(of_mean(values[:, None]), var_rows=error**2, df_rows=rows - 1)
    found = replace(found, size=float(values.mean()))
    return found if len(values) >= METHODS_FROM else replace(found, var_seeds=0.0, var_residual=0.0)


def unpaired(
    metric_name: str, rows: int | None, first: Seeds[float], second: Seeds[float]
) -> tuple[Mean, Mean | None] | None:
    """The difference of these very runs from their scores alone, and of the methods where each has two seeds.

    None for a metric whose errors have no formula. The rows' part is that of two samples of rows, which is
    wider than need be where both sides answered the same ones.
    """
    sides = [np.array([np.mean(scores) for scores in side.values()]) for side in (first, second)]
    errors = [standard_error(metric_name, float(side.mean()), rows) for side in sides]
    if rows is None or None in errors:
        return None
    var_rows = float(sum(error**2 for error in errors if error is not None))
    size, df = float(sides[0].mean() - sides[1].mean()), rows - 1
    alone = Mean(size, var_rows=var_rows, df_rows=df)
    if min(map(len, sides)) < 2:
        return alone, None
    same = first.keys() == second.keys()
    over = of_difference(sides[0][:, None], sides[1][:, None], same)
    return alone, replace(over, var_rows=var_rows, df_rows=df)


@dataclass(frozen=True)
class Run:
    """One run's score over `rows` evaluation rows.

    `answers` are its scores row by row; None where they were not kept.
    """

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
        """The mean of the seeds' mean scores."""
        by_seed = _by_seed(self.runs, lambda run: run.metric)
        return float(np.mean([np.mean(scores) for scores in by_seed.values()]))


@dataclass(frozen=True)
class Pair:
    """The best of `first` against the best of `second`; often one of each.

    The best is the one with the highest mean. `p` and the interval count all pairs of contestants.
    """

    first: tuple[Contestant, ...]
    second: tuple[Contestant, ...]

    @property
    def choices(self) -> int:
        """The number of pairs of contestants from which the judged pair is chosen."""
        pairs = {frozenset((id(one), id(other))) for one in self.first for other in self.second}
        return sum(len(pair) > 1 for pair in pairs) or 1


@dataclass(frozen=True)
class _Judged:
    """A pair before the family is looked at."""

    first: Contestant
    second: Contestant
    about: Literal["runs", "methods"]
    evidence: Evidence | Mean | None
    rows: int | None
    paired: bool
    chosen: Chosen | None
    choices: int

    @property
    def p(self) -> float:
        return 1.0 if self.evidence is None else min(1.0, self.choices * self.evidence.p)


def judge(pairs: Sequence[Pair], metric_name: str, family: int | None = None) -> list[Verdict]:
    """Return the verdicts on pairs that are judged together, in their order.

    Args:
        pairs: whose sides all have a finished run.
        metric_name: accuracy, exact_match, matthews, pearson, or another whose rows have a score each.
        family: how many pairs were to be judged, where some of them have no runs; they count as well.
    """
    return _corrected([_compare(pair, metric_name) for pair in pairs], metric_name, family or 0)


def _corrected(judged: Sequence[_Judged], metric_name: str, family: int) -> list[Verdict]:
    count = max(family, len(judged))
    found = zip(judged, holm([one.p for one in judged], count), strict=True)
    return [_verdict(one, metric_name, p, divisor, count) for one, (p, divisor) in found]


def band(one: Contestant, metric_name: str) -> tuple[float, float] | None:
    """Return the 95 % interval of a side's own score, as a chart draws it: two that overlap may well differ.

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
    """The corrected p of each pair and the divisor of α for its interval; `family` counts all its pairs."""
    found: dict[int, tuple[float, int]] = {}
    corrected, kept = 0.0, 0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda one: p_values[one])):
        corrected = max(corrected, min(1.0, (family - rank) * p_values[place]))
        kept = kept or (family - rank if corrected >= SIGNIFICANCE_LEVEL else 0)
        found[place] = (corrected, kept or family - rank)
    return [found[place] for place in range(len(p_values))]


def _compare(pair: Pair, metric_name: str) -> _Judged:
    first, second, chosen = _choose(pair)
    runs = (*first.runs, *second.runs)
    scores = [_by_seed(one.runs, lambda run: run.metric) for one in (first, second)]
    about: Literal["runs", "methods"] = "methods" if min(map(len, scores)) >= METHODS_FROM else "runs"
    answers = _common([first, second])
    evidence: Evidence | Mean | None
    if answers is not None:
        one, other = (_by_seed(side.runs, answers.__getitem__) for side in (first, second))
        evidence = _evidence(one, other, metric_name)
        rows: int | None = len(next(iter(answers.values())).rows)
    else:
        rows = min(run.rows or 0 for run in runs) or None
        alone, over_all = unpaired(metric_name, rows, *scores) or (None, None)
        evidence = over_all if about == "methods" else alone
    return _Judged(first, second, about, evidence, rows, answers is not None, chosen, pair.choices)


def _evidence(first: Seeds[RowScores], second: Seeds[RowScores], metric_name: str) -> Evidence | Mean | None:
    """Return the evidence on two sides with answers to the same rows.

    None where it is not known: of one row, and of a correlation where all rows differ by the same.
    """
    sides = [_flat(first), _flat(second)]
    (one, *more), (other, *others) = sides
    if len(one.rows) < 2:
        return None
    exact = one.right_or_wrong and other.right_or_wrong and not (more or others)
    by_row = np.mean([run.terms for run in sides[0]], 0) - np.mean([run.terms for run in sides[1]], 0)
    if not exact and not np.ptp(by_row, axis=0).any():
        bounded = one.is_mean and get_metric(metric_name).range == (0, 1)
        return unvarying(len(by_row), float(by_row[0, 0])) if bounded else None
    if min(len(first), len(second)) >= METHODS_FROM:
        return over_seeds(first, second)
    return over_rows(*sides)


def _choose(pair: Pair) -> tuple[Contestant, Contestant, Chosen | None]:
    """Return the best contestant of each side, and that all pairs of them count."""
    first, second = (max(side, key=lambda one: one.mean) for side in (pair.first, pair.second))
    return first, second, "all" if pair.choices > 1 else None


def _common(contestants: Sequence[Contestant]) -> dict[Run, RowScores] | None:
    """Return the answers of each run; None unless all runs kept them and answered the same rows."""
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
    return replace(
        verdict,
        word=word,
        size=one.evidence.size,
        low=low,
        high=high,
        p=p,
        alone=one.evidence.alone if isinstance(one.evidence, Evidence) else None,
    )


def _word(low: float, high: float, p: float) -> Word:
    """A difference wants both: the test and the interval, which a bootstrap does not make of one piece."""
    shown = p < SIGNIFICANCE_LEVEL
    if shown and low > 0:
        return "ahead"
    if shown and high < 0:
        return "behind"
    return "as good" if low > -MARGIN and high < MARGIN else "not shown"


def _seeds(one: Contestant) -> int:
    return len({run.seed for run in one.runs})
