"""Starting points for fitting circulant-diagonal factors, with vectors as `descent` has them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator, Tensor

from cdvft_app.approximate.descent import product
from cdvft_app.approximate.families import fit_block_circulant


def append_identity(vectors: Tensor, after: bool) -> Tensor:
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
