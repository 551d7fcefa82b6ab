"""Fitting a square matrix with m diagonals around m - 1 circulants, for m = 1, 2, ... in turn.

The vectors of m factors are one matrix V of shape (2m - 1, n): even rows are diagonals, odd rows first
columns of circulants, in the order in which they are applied. The loss is ||target - product(V)||_F^2.
There are starts, with vectors like these; alternating least squares for m = 2; and two methods of descent
over all vectors at once, of whose `gauss_newton` alternating least squares would be the block-diagonal
part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from heapq import nsmallest
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from cdvft.circulant import cd_product, circulant
from cdvft_app.approximate.closed_form import fit_block_circulant
from cdvft_app.approximate.fit import Fit, checked_target, relative_error

SUPPORT = 1e-12
"""Entries smaller than so many times the largest count as zero."""

GAUGE = 1e-11
"""Eigenvalues of the scaled normal equations, relative to the largest, below which moves change nothing."""


def logarithmic_start(target: Tensor) -> Tensor:
    """Return vectors (a_1, c_2, a_3) whose product is the target, if it is such a product: a start for m = 2.

    Entry (i, j) is a_i c_{i-j} b_j, so that its logarithm is a sum of three unknowns, one of each vector,
    and its sign a product of three: least squares for the sizes, elimination over GF(2) for the signs.
    Factors with zeros leave whole rows, columns or wrapped diagonals of zeros, which say so and take no
    part.

    Each logarithm weighs as much as its entry squared: noise of one size everywhere moves the logarithm of a
    small entry far more than that of a large one.

    Args:
        target: (n, n), float64, not zero

    Returns:
        (3, n)
    """
    size = target.abs() / target.abs().max()
    weight = torch.where(size > SUPPORT, size.square(), 0.0)
    logs = torch.where(size > SUPPORT, size, 1.0).log()
    gram = _incidence_gram(weight)
    right = _sums(weight * logs)
    diagonal = gram.diagonal()
    scale = torch.where(diagonal > 0, diagonal, 1.0).rsqrt() * (diagonal > 0)
    values, basis = torch.linalg.eigh(gram * scale * scale[:, None])
    inverse = torch.where(values > GAUGE * values[-1], 1 / values, 0.0)
    found = scale * (basis @ (inverse * (basis.T @ (scale * right))))
    vectors = (found.exp() * (diagonal > 0)).reshape(3, -1) * _signs(target)
    vectors[2] *= target.abs().max()
    return vectors


def wrapped_diagonals(matrix: Tensor) -> Tensor:
    """Entry [k, j] is matrix[(j + k) mod n, j], which circ(c) fills with c[k]: (n, n) -> (n, n)."""
    j = torch.arange(len(matrix))
    return matrix[(j + j[:, None]) % len(matrix), j]


def _sums(matrix: Tensor) -> Tensor:
    """Return the sums over columns, wrapped diagonals and rows: (3 n)."""
    return torch.cat([matrix.sum(0), wrapped_diagonals(matrix).sum(1), matrix.sum(1)])


def _incidence_gram(weight: Tensor) -> Tensor:
    """A^T diag(weight) A, where row (i, j) of A has ones at a_1[j], c_2[i - j] and a_3[i]: (3 n, 3 n)."""
    n = len(weight)
    i = torch.arange(n)
    of_rows = weight[i[:, None], (i[:, None] - i) % n]  # [i, k]: the entry of row i on wrapped diagonal k
    of_columns = wrapped_diagonals(weight)  # [k, j]
    corner = torch.zeros_like(weight)
    upper = torch.cat(
        [
            torch.cat([corner, of_columns.T, weight.T], dim=1),
            torch.cat([corner, corner, of_rows.T], dim=1),
            torch.cat([corner, corner, corner], dim=1),
        ]
    )
    return upper + upper.T + torch.diag(_sums(weight))


def _signs(target: Tensor) -> Tensor:
    """Signs of the three vectors that give the target's entries theirs, as ones and minus ones: (3, n).

    Equations s_a1[j] + s_c[i - j] + s_a3[i] = (entry negative) over GF(2), from the largest entry to the
    smallest: one that follows from larger ones is dropped, so that noise in small entries decides little.
    An equation is one whole number: the unknowns are its bits from 1 on, the right side is bit 0.
    """
    n = len(target)
    size, negative = target.abs().flatten(), (target < 0).flatten().tolist()
    smallest = SUPPORT * float(size.max())
    independent = 3 * n - (3 if n % 2 == 0 else 2)  # alternating signs in all three change nothing for even n
    pivots: dict[int, int] = {}
    for place in size.argsort(descending=True).tolist():
        if len(pivots) == independent or float(size[place]) <= smallest:
            break
        i, j = divmod(place, n)
        equation = 1 << (1 + j) | 1 << (1 + n + (i - j) % n) | 1 << (1 + 2 * n + i) | int(negative[place])
        while equation > 1:
            highest = equation.bit_length() - 1
            if highest not in pivots:
                pivots[highest] = equation
                break
            equation ^= pivots[highest]
    solution = 0  # unknowns without an equation of their own are 0
    for highest in sorted(pivots):
        rest = pivots[highest] ^ 1 << highest
        if (rest & 1) ^ (((rest & solution) >> 1).bit_count() & 1):
            solution |= 1 << highest
    bits = [solution >> (1 + place) & 1 for place in range(3 * n)]
    return 1.0 - 2.0 * torch.tensor(bits, dtype=target.dtype).reshape(3, n)


def alternate(target: Tensor, vectors: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Alternating least squares for m = 2 from many starts at once: vectors and squared errors after each
    round.

    With two of the three vectors fixed, each entry of the third is the best multiple of one row, wrapped
    diagonal or column, so that every step is a division of two sums:

        a_i = sum_j M_ij c_{i-j} b_j / sum_j (c_{i-j} b_j)^2, and c_k and b_j alike.

    It goes on for ever, and no error rises.
    Args:
        target: (n, n), float64, of norm 1
        vectors: (r, 3, n), the starts, as (a_1, c_2, a_3)

    Yields:
        (r, 3, n), and (r), which rounding keeps from falling below about 1e-16
    """
    diagonals = wrapped_diagonals(target)
    b, c, _ = vectors.unbind(1)
    while True:
        dense = circulant(c)
        held, squares = target * dense, dense.square()
        a = ratio(_times(held, b), _times(squares, b.square()))
        b = ratio(_times(held.mT, a), _times(squares.mT, a.square()))
        shifted = _windows(a)  # [k, j]: a[(j + k) mod n]
        along = _times(diagonals * shifted, b)
        c = ratio(along, _times(shifted.square(), b.square()))
        yield torch.stack([b, c, a], dim=1), (1 - (along * c).sum(1)).clamp(min=0)


def _times(matrices: Tensor, vectors: Tensor) -> Tensor:
    return (matrices @ vectors[..., None])[..., 0]


def ratio(numerator: Tensor, denominator: Tensor) -> Tensor:
    """Return the entrywise ratio; zero where the denominator is, since nothing depends on that entry."""
    known = denominator > torch.finfo(denominator.dtype).tiny
    return torch.where(known, numerator / torch.where(known, denominator, 1.0), 0.0)


def _windows(a: Tensor) -> Tensor:
    n = a.shape[-1]
    return torch.cat([a, a], dim=-1).unfold(-1, n, 1)[:, :n]


EXACT = 1e-24
"""Squared error, relative to a target of norm 1, under which nothing is left to improve in float64."""

SLOWEST = 1e-5
"""Relative improvement of the squared error in one step under which a descent is given up."""

LBFGS_STEPS = 10
"""Inner iterations of one yielded step: about the time of one Gauss-Newton step at n = 64 and m = 5."""


def product(vectors: Tensor) -> Tensor:
    """Dense diag(v_{2m-2}) circ(v_{2m-3}) ... circ(v_1) diag(v_0), by FFT: (2m - 1, n) -> (n, n).

    `cdvft.circulant.cd_product` is the same in dense matrices.
    """
    return _row_images(vectors)[-1].T


def gauss_newton(target: Tensor, vectors: Tensor) -> Iterator[tuple[Tensor, float]]:
    """Damped Gauss-Newton (Levenberg and Marquardt): vectors and squared error after each step downhill.

    Every factor is diagonal in its own basis, circulants in the Fourier basis: product = L_i diag(x_i) R_i.
    The Jacobian is never built, because the products of its columns are entrywise products of small matrices:

        J_i^H J_j = (L_i^H L_j) * conj(R_i R_j^H)

    That costs O(m^2 n^3), and the step solves (2m - 1) n equations. The damping follows Nielsen, "Damping
    parameter in Marquardt's method", 1999; it also settles the scalars that may move between neighbours.

    Args:
        target: (n, n), float64
        vectors: (2m - 1, n), where to start
    """
    error = _squared_error_by_fft(target, vectors)
    gradient, gram = normal_equations(target, vectors)
    damping, growth = 0.1 * float(gram.diagonal().mean()), 2.0
    while error > EXACT and damping < 1e12 * float(gram.diagonal().mean()):
        damped = gram + damping * torch.eye(len(gram), dtype=gram.dtype)
        lower, failed = torch.linalg.cholesky_ex(damped)
        step = torch.cholesky_solve(gradient.reshape(-1, 1), lower).reshape(vectors.shape)
        trial = vectors + step
        trial_error = _squared_error_by_fft(target, trial)
        if failed or not trial_error < error:
            damping, growth = damping * growth, growth * 2
            continue
        gain = (error - trial_error) / float((step * (gradient + damping * step)).sum())
        slow = error - trial_error < SLOWEST * error
        vectors, error = trial, trial_error
        yield vectors, error
        if slow:
            return
        gradient, gram = normal_equations(target, vectors)
        damping = max(damping * max(1 / 3, 1 - (2 * gain - 1) ** 3), 1e-14 * float(gram.diagonal().mean()))
        growth = 2.0


def lbfgs(target: Tensor, vectors: Tensor) -> Iterator[tuple[Tensor, float]]:
    """torch's L-BFGS with a strong Wolfe line search: vectors and squared error after every few iterations.

    Args:
        target: (n, n), float64
        vectors: (2m - 1, n), where to start
    """
    variable = vectors.clone().requires_grad_()
    optimizer = torch.optim.LBFGS(
        [variable],
        max_iter=LBFGS_STEPS,
        history_size=20,
        tolerance_grad=1e-12,
        tolerance_change=1e-14,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = (target - product(variable)).square().sum()
        loss.backward()
        return loss

    error = _squared_error_by_fft(target, vectors)
    while error > EXACT:
        optimizer.step(closure)
        reached = _squared_error_by_fft(target, variable.detach())
        if not reached < error:
            return
        slow = error - reached < SLOWEST * error
        error = reached
        yield variable.detach().clone(), error
        if slow:
            return


def normal_equations(target: Tensor, vectors: Tensor) -> tuple[Tensor, Tensor]:
    """J^T r and J^T J of the product with respect to all vectors, for the residual r = target - product.

    Args:
        target: (n, n)
        vectors: (k, n)

    Returns:
        (k, n) and (k n, k n)
    """
    k, n = vectors.shape
    left, right = _sides(vectors)
    residual = (target - product(vectors)).to(torch.complex128)
    gradient = vectors.new_empty(k, n)
    gram = vectors.new_empty(k, n, k, n)
    for i in range(k):
        along = torch.einsum("ai,ab,ib->i", left[i].conj(), residual, right[i].conj())
        gradient[i] = (n * torch.fft.ifft(along) if i % 2 else along).real
        for j in range(i, k):
            block = (left[i].mH @ left[j]) * (right[i].conj() @ right[j].mT)
            # x_i = FFT(v_i), so the Jacobian for v_i is the one for x_i times the Fourier matrix.
            if i % 2:
                block = n * torch.fft.ifft(block, dim=0)
            if j % 2:
                block = torch.fft.fft(block, dim=1)
            gram[i, :, j] = block.real
            gram[j, :, i] = block.real.mT
    return gradient, gram.reshape(k * n, k * n)


def _sides(vectors: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """L_i and R_i, complex (n, n), such that product = L_i diag(x_i) R_i with x_i = v_i or FFT(v_i)."""
    right = [torch.fft.fft(rows) if i % 2 else rows + 0j for i, rows in enumerate(_row_images(vectors)[:-1])]
    # A product from the right is one of rows once more: circ(c)^T has the first column c[-k].
    transposed = vectors.flip(0)
    transposed[1::2] = transposed[1::2].flip(1).roll(1, dims=1)
    left = [
        torch.fft.ifft(rows) if i % 2 else rows + 0j for i, rows in enumerate(_row_images(transposed)[:-1])
    ]
    return left[::-1], [rows.mT for rows in right]


def _row_images(vectors: Tensor) -> list[Tensor]:
    """Return the unit vectors, as rows (n, n), before the first factor and after each one."""
    k, n = vectors.shape
    spectra = torch.fft.rfft(vectors, n=n)
    images = [torch.eye(n, dtype=vectors.dtype)]
    for i in range(k):
        rows = images[-1]
        circular = i % 2 == 1
        images.append(
            torch.fft.irfft(torch.fft.rfft(rows, n=n) * spectra[i], n=n) if circular else rows * vectors[i]
        )
    return images


def _squared_error_by_fft(target: Tensor, vectors: Tensor) -> float:
    """Return the squared error of the product by FFT: quick enough for every step of a descent."""
    return float((target - product(vectors)).square().sum())


def append_identity(vectors: Tensor, after: bool) -> Tensor:
    """Return the same product with one more circulant and diagonal: (k, n) -> (k + 2, n)."""
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
    return perturbed(vectors, 0.3, generator)


def rank_one(target: Tensor, k: int) -> Tensor:
    """The best matrix of rank one, s u v^T = diag(u) circ(s) diag(v), the further vectors identities."""
    u, s, vh = torch.linalg.svd(target)
    vectors = target.new_zeros(k, len(target))
    vectors[0::2] = 1
    vectors[3::2, 0] = 1
    vectors[0], vectors[1], vectors[-1] = vh[0], s[0], u[:, 0]
    return vectors


def _first_singular_pair(target: Tensor, k: int, generator: Generator) -> Tensor:
    return perturbed(rank_one(target, k), 0.3, generator)


def _positive(target: Tensor, k: int, generator: Generator) -> Tensor:
    return _normal(target, k, generator).abs()


def _normal(target: Tensor, k: int, generator: Generator) -> Tensor:
    return torch.randn(k, len(target), dtype=target.dtype, generator=generator)


_RANDOM_STARTS: tuple[Callable[[Tensor, int, Generator], Tensor], ...] = (
    _mean_circulant,
    _first_singular_pair,
    _positive,
    _normal,
)


def random_starts(target: Tensor, k: int, count: int, generator: Generator) -> list[Tensor]:
    """`count` random starts of k vectors each, of all kinds in turn."""
    return [_RANDOM_STARTS[place % len(_RANDOM_STARTS)](target, k, generator) for place in range(count)]


def perturbed(vectors: Tensor, amount: float, generator: Generator) -> Tensor:
    """Normal noise added, its size relative to the root mean square of each vector."""
    noise = torch.randn(vectors.shape, dtype=vectors.dtype, generator=generator)
    return vectors + amount * vectors.square().mean(dim=1, keepdim=True).sqrt() * noise


def balanced(vectors: Tensor) -> Tensor:
    """Scaled so that every vector has the same norm and the product has norm 1."""
    vectors = vectors / torch.linalg.vector_norm(vectors, dim=1, keepdim=True)
    return vectors / torch.linalg.matrix_norm(product(vectors)) ** (1 / len(vectors))


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
    a proof that no better factors exist.

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
    """Fits for one m after each step, given the vectors of m - 1, for a target of norm 1."""
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
    """Fits for m = 2: many starts at once, then the best of them further."""
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
    """Descends from every start by `gauss_newton` and `lbfgs`, and continues with the best.

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
    """Return the squared error of the product entry by entry: exact enough to choose the best fit by."""
    return float((target - _dense(vectors)).square().sum())


def _dense(vectors: Tensor) -> Tensor:
    """Entry by entry: transforms would spread what rounding takes of the largest entries over all others."""
    if len(vectors) == 1:
        return torch.diag(vectors[0])
    return cd_product(list(vectors[0::2]), list(vectors[1::2]))


def _scaled(vectors: Tensor, norm: Tensor) -> Tensor:
    """Return vectors of a product that is larger by the factor norm."""
    return vectors * norm ** (1 / len(vectors))


def _fit(target: Tensor, vectors: Tensor, finished: bool, restarts: tuple[float, ...] = ()) -> Fit:
    dense = _dense(vectors)
    error = relative_error(target, dense)
    size = (len(vectors) + 1) // 2
    return Fit("circulant_diagonal", size, vectors.numel(), error, tuple(vectors), dense, finished, restarts)
