"""Products of diagonal and circulant matrices whose factors are known."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from cdvft.circulant import cd_product

KINDS = ("random", "zeros", "rank one", "1 % of noise", "10 % of noise")
_NOISE = {"1 % of noise": 0.01, "10 % of noise": 0.1}


def member(kind: str, n: int, seed: int) -> tuple[Tensor, Tensor]:
    """A product diag(a) circ(c) diag(b) whose factors are known, which a fitter of m = 2 must find.

    Returns the matrix (n, n), and the vectors (a_1, c_2, a_3) of which it, without its noise, is made.
    Those with zeros are in turn a diagonal, a cyclic shift with weights, and products of vectors of which
    three in ten or six in ten entries are zero. Noise is normal, its norm relative to the matrix's.
    """
    generator = Generator().manual_seed(1000 * n + seed)
    vectors = torch.randn(3, n, generator=generator, dtype=torch.float64)
    if kind == "rank one":
        vectors[1] = 1
    if kind == "zeros" and seed % 4 < 2:
        shift = 0 if seed % 4 == 0 else int(torch.randint(1, n, (1,), generator=generator))
        vectors[1] = torch.eye(n, dtype=torch.float64)[shift]
    elif kind == "zeros":
        kept = torch.rand(3, n, generator=generator) > (0.3 if seed % 4 == 2 else 0.6)
        kept[:, 0] = True  # so that an entry is left
        vectors *= kept
    matrix = cd_product([vectors[0], vectors[2]], [vectors[1]])
    noise = torch.randn(n, n, generator=generator, dtype=torch.float64)
    share = _NOISE.get(kind, 0.0)
    return matrix + share * matrix.norm() / noise.norm() * noise, vectors
