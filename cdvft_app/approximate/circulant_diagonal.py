"""Fitting a square matrix with m diagonals around m - 1 circulants, for m = 1, 2, ... in turn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from heapq import nsmallest
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from cdvft.circulant import cd_product
from cdvft_app.approximate.alternating import alternate
from cdvft_app.approximate.descent import EXACT, gauss_newton, lbfgs
from cdvft_app.approximate.fit import Fit, checked_target, relative_error
from cdvft_app.approximate.logarithms import logarithmic_start
from cdvft_app.approximate.starts import append_identity, balanced, perturbed, random_starts, rank_one

MAX_STARTS, BATCH_ENTRIES = 200, 1 << 19
"""Random starts for m = 2: no more than n x n matrices of so many entries in all, which is 128 for n = 64."""

ROUNDS = 60
"""Rounds of alternating least squares that each start for m = 2 takes."""

SCREENING_STEPS = 12
"""Steps that every descent takes before the best are chosen."""

FINALISTS = 2
"""Descents that go on after screening."""

POLISHING_STEPS = 100
"""Most further steps of each finalist."""


class _Best(NamedTuple):
    """The best vectors so far, and the errors of those random starts that have ended."""

    vectors: Tensor
    restarts: tuple[float, ...] = ()


def fit_circulant_diagonal(target: Tensor, most_m: int, restarts: int = 4, seed: int = 0) -> Iterator[Fit]:
    """Fit m = 1 ... most_m circulant-diagonal factors, yielding the best so far after every step of the
    search.

    The problem is not convex. For m = 2 the start by logarithms, which is exact on every matrix of that form,
    and up to 200 random ones take `alternate`'s rounds together; the best go on by `gauss_newton` and
    `lbfgs`. For each m > 2 the last fit with an identity circulant and a unit diagonal appended on either
    side, and `restarts` random starts, take a few steps of these two, and the best go on. Since the appended
    fit is itself a candidate, the error never rises with m; since the best matrix of rank one is another, it
    is never above that of LoRA with r = 1. What comes out is an upper bound on the least possible error, not
    a proof that no better factors exist; `python -m benchmarks.fitter` states how often it finds known ones.

    Args:
        target: (n, n)
        most_m: the largest m
        restarts: random starts for each m > 2
        seed: of the random starts

    Yields:
        fits of family circulant_diagonal with factors (a_1, c_2, a_3, ..., a_{2m-1}), each (n), and (2m - 1)
        n parameters. The last one of each m has finished=True and its `restarts`. The caller may stop at any
        time.

    Raises:
        ValueError: if the target cannot be fitted or is not square, or if a count is out of range.
    """
    target = checked_target(target)
    rows, columns = target.shape
    if rows != columns:
        raise ValueError(f"The target is {rows} x {columns}, but this fit needs a square one. Cut or pad it.")
    if most_m < 1 or restarts < 0:
        raise ValueError(f"most_m is {most_m!r} and restarts {restarts!r}; at least 1 and 0 are allowed.")
    norm = torch.linalg.matrix_norm(target)
    found = _Best(target.diagonal()[None] / norm)
    yield _fit(target, found.vectors * norm, finished=True)
    generator = Generator().manual_seed(seed)
    for _ in range(1, most_m):
        search = _search(target / norm, found.vectors, restarts, generator)
        for found in search:
            yield _fit(target, _scaled(found.vectors, norm), finished=False)
        yield _fit(target, _scaled(found.vectors, norm), finished=True, restarts=found.restarts)


def _search(target: Tensor, previous: Tensor, restarts: int, generator: Generator) -> Iterator[_Best]:
    """What is found for one m after each step, given the vectors of m - 1, for a target of norm 1."""
    appended = [append_identity(previous, after) for after in (True, False)]
    known = [appended[0], rank_one(target, len(appended[0]))]
    if len(known[0]) == 3:
        known.append(logarithmic_start(target))
    best = min(known, key=lambda vectors: _squared_error(target, vectors))
    yield _Best(best)
    if _squared_error(target, best) < EXACT:
        return
    if len(best) == 3:
        yield from _search_two(target, best, known, generator)
        return
    starts = [perturbed(start, 0.03, generator) for start in appended]
    starts += random_starts(target, len(best), restarts, generator)
    descents = _Descents(target, starts, best)
    for best in descents.down():
        yield _Best(best)
    yield _Best(best, tuple(sorted(error**0.5 for error in descents.reached[len(appended) :])))


def _search_two(target: Tensor, best: Tensor, known: list[Tensor], generator: Generator) -> Iterator[_Best]:
    """m = 2: many starts at once, then the best of them further."""
    random = random_starts(target, 3, max(1, min(MAX_STARTS, BATCH_ENTRIES // target.numel())), generator)
    ended: tuple[float, ...] = ()
    for _, (vectors, errors) in zip(
        range(ROUNDS), alternate(target, torch.stack([*known, *random])), strict=False
    ):
        best = min(best, vectors[errors.argmin()], key=lambda found: _squared_error(target, found))
        ended = tuple(sorted(errors[len(known) :].sqrt().tolist()))
        yield _Best(best)
    finalists = [vectors[place] for place in errors.argsort()[:FINALISTS]]
    for better in _Descents(target, finalists, best).down():
        yield _Best(better, ended)


class _Descents:
    """Descends from every start by both methods of `descent`, and continues with the best.

    reached: the least squared error of each start.
    """

    def __init__(self, target: Tensor, starts: Sequence[Tensor], best: Tensor) -> None:
        self.reached = [1.0] * len(starts)
        self._target, self._best, self._least = target, best, _squared_error(target, best)
        self._descents = [
            (place, solver(target, balanced(start)))
            for place, start in enumerate(starts)
            for solver in (gauss_newton, lbfgs)
        ]

    def down(self) -> Iterator[Tensor]:
        """The best vectors after each step."""
        now = [1.0] * len(self._descents)
        for steps, survivors in ((SCREENING_STEPS, len(now)), (POLISHING_STEPS, FINALISTS)):
            for k in nsmallest(survivors, range(len(now)), key=now.__getitem__):
                place, descent = self._descents[k]
                for _, (vectors, error) in zip(range(steps), descent, strict=False):
                    now[k] = error
                    self.reached[place] = min(self.reached[place], error)
                    if (
                        error < self._least
                        and (exactly := _squared_error(self._target, vectors)) < self._least
                    ):
                        self._best, self._least = vectors, exactly
                    yield self._best


def _squared_error(target: Tensor, vectors: Tensor) -> float:
    return float((target - _dense(vectors)).square().sum())


def _dense(vectors: Tensor) -> Tensor:
    """Entry by entry: transforms would spread what rounding takes of the largest entries over all others."""
    if len(vectors) == 1:
        return torch.diag(vectors[0])
    return cd_product(list(vectors[0::2]), list(vectors[1::2]))


def _scaled(vectors: Tensor, norm: Tensor) -> Tensor:
    """Vectors of a product that is larger by the factor norm."""
    return vectors * norm ** (1 / len(vectors))


def _fit(target: Tensor, vectors: Tensor, finished: bool, restarts: tuple[float, ...] = ()) -> Fit:
    dense = _dense(vectors)
    error = relative_error(target, dense)
    size = (len(vectors) + 1) // 2
    return Fit("circulant_diagonal", size, vectors.numel(), error, tuple(vectors), dense, finished, restarts)
