"""Matrices worth fitting, by name: each with the structure that decides which family suits it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from cdvft.circulant import circulant
from cdvft_app.approximate.fit import LARGEST


@dataclass(frozen=True)
class Target:
    """A named n x n test matrix; build(n, generator) draws it in float64."""

    title: str
    description: str
    build: Callable[[int, Generator], Tensor]


def make_target(name: str, n: int, seed: int = 0) -> Tensor:
    """Return the n x n target of that name; the same name, size and seed give the same matrix.

    Raises:
        ValueError: if the name is unknown or n is not from 2 to 256.
    """
    if name not in TARGETS:
        raise ValueError(f"There is no target {name!r}. Choose one of: {', '.join(TARGETS)}.")
    if not 2 <= n <= LARGEST:
        raise ValueError(f"n is {n!r}, but a target needs a size from 2 to {LARGEST}.")
    return TARGETS[name].build(n, Generator().manual_seed(seed))


def _normal(*shape: int, generator: Generator) -> Tensor:
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def _gaussian(n: int, generator: Generator) -> Tensor:
    return _normal(n, n, generator=generator)


def _low_rank(n: int, generator: Generator) -> Tensor:
    rank = min(4, n)
    return _normal(n, rank, generator=generator) @ _normal(rank, n, generator=generator)


def _circulant(n: int, generator: Generator) -> Tensor:
    return circulant(_normal(n, generator=generator))


def _diagonal_circulant(n: int, generator: Generator) -> Tensor:
    return _normal(n, 1, generator=generator) * circulant(_normal(n, generator=generator))


def _toeplitz(n: int, generator: Generator) -> Tensor:
    index = torch.arange(n)
    return _normal(2 * n - 1, generator=generator)[index[:, None] - index + n - 1]


def _permutation(n: int, generator: Generator) -> Tensor:
    return torch.eye(n, dtype=torch.float64)[torch.randperm(n, generator=generator)]


def _hartley(n: int, generator: Generator) -> Tensor:
    index = torch.arange(n, dtype=torch.float64)
    angle = 2 * math.pi / n * torch.outer(index, index)
    return (angle.cos() + angle.sin()) / math.sqrt(n)


def _smooth_kernel(n: int, generator: Generator) -> Tensor:
    x = torch.linspace(0, 1, n, dtype=torch.float64)
    return torch.exp(-(((x[:, None] - x) / 0.2) ** 2))


def _sparse(n: int, generator: Generator) -> Tensor:
    kept = torch.randperm(n * n, generator=generator)[: max(1, round(0.05 * n * n))]
    matrix = torch.zeros(n * n, dtype=torch.float64)
    matrix[kept] = _normal(len(kept), generator=generator)
    return matrix.reshape(n, n)


def _lower_triangular(n: int, generator: Generator) -> Tensor:
    return torch.ones(n, n, dtype=torch.float64).tril()


TARGETS: dict[str, Target] = {
    "gaussian": Target("Random", "Independent normal entries: no structure for anybody to use.", _gaussian),
    "low_rank": Target(
        "Low rank", "A product of n x 4 and 4 x n normal matrices: LoRA's home ground.", _low_rank
    ),
    "circulant": Target("Circulant", "One column, shifted: exact with a single circulant.", _circulant),
    "diagonal_circulant": Target(
        "Diagonal times circulant",
        "A circulant whose rows were rescaled: exact at m = 2.",
        _diagonal_circulant,
    ),
    "toeplitz": Target("Toeplitz", "Constant along diagonals that do not wrap around.", _toeplitz),
    "permutation": Target("Permutation", "One 1 in every row and column, anywhere.", _permutation),
    "hartley": Target(
        "Real Fourier transform",
        "cos + sin of 2 pi i j / n. The complex Fourier matrix of even size is exact at m = 2 with complex "
        "factors (Bluestein's chirps); this real one is not with real factors.",
        _hartley,
    ),
    "smooth_kernel": Target("Smooth kernel", "exp(-((x - y) / 0.2)^2) on a grid of [0, 1].", _smooth_kernel),
    "sparse": Target("Sparse", "Normal entries at 5 % of the places, zero elsewhere.", _sparse),
    "lower_triangular": Target(
        "Lower triangle of ones",
        "A running sum. The limit of m = 2 fits with ever steeper diagonals, so the error nears zero without "
        "reaching it.",
        _lower_triangular,
    ),
}
