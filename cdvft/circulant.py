"""The factors of the method as plain, differentiable mathematics: circulants and products with diagonals.

Convention: circ(c) has first COLUMN c, as `scipy.linalg.circulant`, so that circ(c) x is the circular
convolution of c and x; the paper prints first ROWS, which is the same family with c[-k mod n] in
place of c[k].

Source: Ding, Chen, Liao, Wang, "Parameter-Efficient Fine-Tuning with Circulant and Diagonal Vectors", IJCAI
2025 (arXiv 2505.00580). That 2n - 1 such factors suffice for a generic complex matrix is shown in Huhtanen,
Perämäki, "Factoring matrices into the product of circulant and diagonal matrices", 2015.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


class Factors(NamedTuple):
    """The vectors of one adapter on one layer, in the order in which they are applied.

    diagonals: m tensors, (d_in) then (d_out) each; circulants: m - 1 tensors (q1, q2, p); alpha: the scale.
    """

    diagonals: Sequence[Tensor]
    circulants: Sequence[Tensor]
    alpha: float


def circulant(c: Tensor) -> Tensor:
    """Dense circulant matrix with first column c: circ(c)[i, j] = c[(i - j) mod n].

    Args:
        c: (..., n)

    Returns:
        (..., n, n)
    """
    n = c.shape[-1]
    reversed_twice = torch.cat([c, c], dim=-1).flip(-1)[..., : 2 * n - 1]
    # Window s of the reversed, doubled vector is row n - 1 - s of the matrix.
    return reversed_twice.unfold(-1, n, 1).flip(-2)


def circulant_matmul(x: Tensor, c: Tensor) -> Tensor:
    """Product with a circulant by the convolution theorem: circ(c) x = IFFT(FFT(c) FFT(x)).

    Args:
        x: (..., n), real
        c: (n), real

    Returns:
        (..., n)
    """
    return block_circulant_matmul(x, c[None, None], c.shape[-1])


def block_circulant(c: Tensor, d_out: int, d_in: int) -> Tensor:
    """Dense matrix of circulant blocks, cut to d_out x d_in: block (i, j) is circ(c[i, j]).

    Args:
        c: (q1, q2, p), one first column a block

    Returns:
        (d_out, d_in)
    """
    q1, q2, p = c.shape
    blocks = circulant(c)  # (q1, q2, p, p)
    return blocks.transpose(1, 2).reshape(q1 * p, q2 * p)[:d_out, :d_in]


def block_circulant_matmul(x: Tensor, c: Tensor, d_out: int) -> Tensor:
    """Product with a block-circulant matrix: y_i = sum_j IFFT(FFT(c_ij) FFT(x_j)).

    The input is zero-padded to q2 p and the output cut to d_out.

    Args:
        x: (..., d_in), real
        c: (q1, q2, p), real, with q2 p >= d_in and q1 p >= d_out

    Returns:
        (..., d_out)
    """
    _, q2, p = c.shape
    if x.numel() == 0:  # MKL refuses to transform an empty batch
        return x.new_zeros(*x.shape[:-1], d_out) + 0 * (x.sum() + c.sum())  # gradients of zero, not none
    spectrum = torch.einsum("...jf,ijf->...if", block_spectrum(x, q2, p), torch.fft.rfft(c, n=p))
    return torch.fft.irfft(spectrum, n=p).flatten(-2)[..., :d_out]


def block_spectrum(x: Tensor, q: int, p: int) -> Tensor:
    """Return the half spectra FFT(x_j) of the q blocks of length p of x, zero-padded to q p.

    Args:
        x: (..., d), real, with d <= q p

    Returns:
        (..., q, p // 2 + 1), complex

    Raises:
        ValueError: if x is wider.
    """
    if x.shape[-1] > q * p:  # torch would cut off what is too much
        raise ValueError(f"Got an input of width {x.shape[-1]}, but {q} blocks of length {p} take {q * p}.")
    if x.shape[-1] != q * p:  # torch pads by copying, even by nothing
        x = F.pad(x, (0, q * p - x.shape[-1]))
    return torch.fft.rfft(x.unflatten(-1, (q, p)), n=p)


def cd_product(diagonals: Sequence[Tensor], circulants: Sequence[Tensor]) -> Tensor:
    """Dense product dW = diag(a_{2m-1}) circ(c_{2m-2}) ... circ(c_2) diag(a_1).

    Args:
        diagonals: m vectors in the order in which they are applied: a_1 (d_in), a_3 (d_out), ...
        circulants: m - 1 tensors in the same order: (q1, q2, p), or (n) for a single square circulant

    Returns:
        (d_out, d_in)

    Raises:
        ValueError: if the counts do not interleave.
    """
    if len(diagonals) != len(circulants) + 1 or not circulants:
        raise ValueError(
            f"Got {len(diagonals)} diagonals and {len(circulants)} circulants, but they must interleave: m "
            "diagonals around m - 1 circulants, with m of at least 2."
        )
    product = None
    for before, c, after in zip(diagonals[:-1], circulants, diagonals[1:], strict=True):
        blocks = c if c.dim() == 3 else c[None, None]
        dense = block_circulant(blocks, after.numel(), before.numel())
        product = dense * before if product is None else dense @ product
        product = after[:, None] * product
    assert product is not None
    return product


def delta_weight(factors: Factors) -> Tensor:
    """alpha dW = alpha diag(a_{2m-1}) circ(c_{2m-2}) ... circ(c_2) diag(a_1), without transforms.

    Args:
        factors: as `cd_product` takes the vectors, with the scale; or stacks of E of each

    Returns:
        (d_out, d_in), of stacks (E, d_out, d_in), in float32 or wider

    Raises:
        ValueError: as `cd_product` does.
    """
    diagonals, circulants, alpha = factors
    dtype = torch.promote_types(diagonals[0].dtype, torch.float32)
    product = torch.vmap(cd_product) if diagonals[0].dim() > 1 else cd_product
    return alpha * product([a.to(dtype) for a in diagonals], [c.to(dtype) for c in circulants])
