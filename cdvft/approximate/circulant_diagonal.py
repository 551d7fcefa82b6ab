"""Fitting a square matrix with m diagonals around m - 1 circulants, for m = 1, 2, ... in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from heapq import nsmallest

import torch
from torch import Generator, Tensor

from cdvft.approximate.descent import EXACT, gauss_newton, lbfgs, product
from cdvft.approximate.families import fit_block_circulant
from cdvft.approximate.fit import Fit, checked_target, relative_error

SCREENING_STEPS = 12
"""Steps that every start takes before the best are chosen."""

FINALISTS = 2
"""Descents that go on after screening."""

POLISHING_STEPS = 100
"""Most further steps of each finalist."""


def fit_circulant_diagonal(target: Tensor, most_m: int, restarts: int = 4, seed: int = 0) -> Iterator[Fit]:
    """Fit m = 1 ... most_m circulant-diagonal factors, yielding the best so far after every step of the
    search.

    The problem is not convex. For each m, the last fit with an identity circulant and a unit diagonal
    appended on either side, and `restarts` fresh starts, all take a few steps of `gauss_newton` and of
    `lbfgs`; the best of these descents go on. Since the appended fit is itself a candidate, the error never
    rises with m; since the best matrix of rank one is another, it is never above that of LoRA with r = 1.
    What comes out is an upper bound on the least possible error, not a proof that no better factors exist.

    Args:
        target: (n, n)

    Yields:
        fits of family circulant_diagonal with factors (a_1, c_2, a_3, ..., a_{2m-1}), each (n), and (2m - 1)
        n parameters. The last one of each m has finished=True. The caller may stop at any time.

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
    vectors = target.diagonal()[None] / norm
    yield _fit(target, vectors * norm, finished=True)
    generator = Generator().manual_seed(seed)
    for _ in range(1, most_m):
        for better in _search(target / norm, vectors, restarts, generator):
            vectors = better
            yield _fit(target, _scaled(vectors, norm), finished=False)
        yield _fit(target, _scaled(vectors, norm), finished=True)


def _search(target: Tensor, previous: Tensor, restarts: int, generator: Generator) -> Iterator[Tensor]:
    """The best vectors of one m after each step, given the best ones of m - 1, for a target of norm 1."""
    appended = [_append_identity(previous, after) for after in (True, False)]
    known = [appended[0], _rank_one(target, len(appended[0]))]
    best_error, best = min(
        ((float((target - product(vectors)).square().sum()), vectors) for vectors in known),
        key=lambda found: found[0],
    )
    yield best
    if best_error < EXACT:
        return
    starts = [_perturbed(start, 0.03, generator) for start in appended]
    starts += [FRESH_STARTS[k % len(FRESH_STARTS)](target, len(best), generator) for k in range(restarts)]
    descents = [solver(target, _balanced(start)) for start in starts for solver in (gauss_newton, lbfgs)]
    reached = [1.0] * len(descents)
    for steps, survivors in ((SCREENING_STEPS, len(descents)), (POLISHING_STEPS, FINALISTS)):
        for k in nsmallest(survivors, range(len(descents)), key=reached.__getitem__):
            for _, (vectors, error) in zip(range(steps), descents[k], strict=False):
                reached[k] = error
                if error < best_error:
                    best, best_error = vectors, error
                yield best


def _append_identity(vectors: Tensor, after: bool) -> Tensor:
    """The same product with one more circulant and diagonal: (k, n) -> (k + 2, n)."""
    n = vectors.shape[1]
    ones = vectors.new_ones(1, n)
    identity = torch.eye(1, n, dtype=vectors.dtype)
    return torch.cat([vectors, identity, ones] if after else [ones, identity, vectors])


def _mean_circulant(target: Tensor, k: int, generator: Generator) -> Tensor:
    """Near the best circulant: unit diagonals, the rest identities."""
    n = len(target)
    vectors = target.new_zeros(k, n)
    vectors[0::2] = 1
    vectors[3::2, 0] = 1
    vectors[1] = fit_block_circulant(target, n).factors[0].flatten()
    return _perturbed(vectors, 0.3, generator)


def _rank_one(target: Tensor, k: int) -> Tensor:
    """The best matrix of rank one, s u v^T = diag(u) circ(s) diag(v), the further vectors identities."""
    u, s, vh = torch.linalg.svd(target)
    vectors = target.new_zeros(k, len(target))
    vectors[0::2] = 1
    vectors[3::2, 0] = 1
    vectors[0], vectors[1], vectors[-1] = vh[0], s[0], u[:, 0]
    return vectors


def _first_singular_pair(target: Tensor, k: int, generator: Generator) -> Tensor:
    return _perturbed(_rank_one(target, k), 0.3, generator)


def _positive(target: Tensor, k: int, generator: Generator) -> Tensor:
    return _normal(target, k, generator).abs()


def _normal(target: Tensor, k: int, generator: Generator) -> Tensor:
    return torch.randn(k, len(target), dtype=target.dtype, generator=generator)


FRESH_STARTS: tuple[Callable[[Tensor, int, Generator], Tensor], ...] = (
    _mean_circulant,
    _first_singular_pair,
    _positive,
    _normal,
)


def _perturbed(vectors: Tensor, amount: float, generator: Generator) -> Tensor:
    """Normal noise added, its size relative to the root mean square of each vector."""
    noise = torch.randn(vectors.shape, dtype=vectors.dtype, generator=generator)
    return vectors + amount * vectors.square().mean(dim=1, keepdim=True).sqrt() * noise


def _balanced(vectors: Tensor) -> Tensor:
    """Scaled so that every vector has the same norm and the product has norm 1."""
    vectors = vectors / torch.linalg.vector_norm(vectors, dim=1, keepdim=True)
    return vectors / torch.linalg.matrix_norm(product(vectors)) ** (1 / len(vectors))


def _scaled(vectors: Tensor, norm: Tensor) -> Tensor:
    """Vectors of a product that is larger by the factor norm."""
    return vectors * norm ** (1 / len(vectors))


def _fit(target: Tensor, vectors: Tensor, finished: bool) -> Fit:
    dense = product(vectors)
    error = relative_error(target, dense)
    size = (len(vectors) + 1) // 2
    return Fit("circulant_diagonal", size, vectors.numel(), error, tuple(vectors), dense, finished)
