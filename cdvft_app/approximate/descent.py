"""Two methods of descent for products of diagonals and circulants, both over all vectors at once.

The vectors of m factors are one matrix V of shape (2m - 1, n): even rows are diagonals, odd rows first
columns of circulants, in the order in which they are applied. The loss is ||target - product(V)||_F^2.

Alternating least squares would solve for one vector at a time; it is the block-diagonal part of
`gauss_newton`.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

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
    error = _squared_error(target, vectors)
    gradient, gram = normal_equations(target, vectors)
    damping, growth = 0.1 * float(gram.diagonal().mean()), 2.0
    while error > EXACT and damping < 1e12 * float(gram.diagonal().mean()):
        damped = gram + damping * torch.eye(len(gram), dtype=gram.dtype)
        lower, failed = torch.linalg.cholesky_ex(damped)
        step = torch.cholesky_solve(gradient.reshape(-1, 1), lower).reshape(vectors.shape)
        trial = vectors + step
        trial_error = _squared_error(target, trial)
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

    error = _squared_error(target, vectors)
    while error > EXACT:
        optimizer.step(closure)
        reached = _squared_error(target, variable.detach())
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
    """What the unit vectors, as rows (n, n), have become before the first factor and after each one."""
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


def _squared_error(target: Tensor, vectors: Tensor) -> float:
    return float((target - product(vectors)).square().sum())
