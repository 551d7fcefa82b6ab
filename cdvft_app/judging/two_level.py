"""The mean difference of two methods over seeds and rows together, by the variances of both.

Every seed answers the same rows, so a value D of a seed s and a row n is crossed: D̄ errs by which seeds and
by which rows were drawn. With V_s the variance of the seeds' means over S, V_r that of the rows' means over
N, and V_e that of what neither explains over S N, which is part of both,

    Var D̄ = V_s + V_r − V_e,     never taken below the larger of V_s and V_r,

and D̄ has Student's t with Satterthwaite's degrees of freedom. Rows alone (V_r) call tied methods apart far
too often, since seeds differ; a t test over seeds alone (V_s) leaves out that all seeds answered the same
rows. Of a metric that is no mean, D are jackknife pseudo-values. Sources: A. C. Cameron, J. B. Gelbach and
D. L. Miller, Robust inference with multiway clustering, Journal of Business & Economic Statistics 29 (2011),
238 to 249; F. E. Satterthwaite, Biometrics Bulletin 2 (1946), 110 to 114.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
MAX_SEEDS = 100  # that anybody would be told to train
_MIN_VARIANCE = 1e-12  # of races in which no row differs


@dataclass(frozen=True)
class Mean:
    """A mean with its variance: `of_seeds` falls with 1 / `seeds`, `of_rows` does not; `rest` is in both."""

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
        from scipy import stats  # a second of loading, which the page's start need not wait for

        if not self.variance:
            return 1.0 if self.size == 0 else 0.0
        return float(2 * stats.t.sf(abs(self.size) / np.sqrt(self.variance), self.freedom))

    def half(self, confidence: float) -> float:
        """Half the interval's width."""
        from scipy import stats

        return float(stats.t.ppf((1 + confidence) / 2, self.freedom) * np.sqrt(self.variance))

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
        from scipy import stats

        tried = [self.with_seeds(seeds) for seeds in range(least, MAX_SEEDS + 1)]
        quantiles = stats.t.ppf(
            (1 + confidence) / 2, [one.freedom for one in tried]
        )  # at once: a call is dear
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
