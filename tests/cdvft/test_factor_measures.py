"""The measures of factors and weight updates against dense numpy and sums written out."""

import numpy as np
import pytest
import scipy.linalg
import torch
from matrices import random

from cdvft.circulant import block_circulant
from cdvft.factors import (
    circularity,
    effective_rank,
    factor_changes,
    norm_ratio,
    shift_energy,
    singular_values,
    spectrum,
)
from cdvft.layer import Factors


@pytest.mark.parametrize("p", [1, 2, 7, 8])
def test_spectrum_holds_eigenvalues_and_singular_values(p: int) -> None:
    c = random(p)
    modulus, phase = spectrum(c)
    dense = scipy.linalg.circulant(c.numpy())
    eigenvalues = torch.polar(modulus, phase).numpy()
    fourier = np.exp(2j * np.pi * np.outer(np.arange(p), np.arange(p)) / p)  # eigenvectors as columns
    np.testing.assert_allclose(dense @ fourier, fourier * eigenvalues, atol=1e-12)
    np.testing.assert_allclose(np.sort(modulus)[::-1], np.linalg.svd(dense, compute_uv=False), atol=1e-12)
    blocks = spectrum(torch.stack([c, 2 * c])).modulus
    torch.testing.assert_close(blocks, torch.stack([modulus, 2 * modulus]))


def test_singular_values_match_numpy() -> None:
    matrix = random(3, 7)
    np.testing.assert_allclose(singular_values(matrix), np.linalg.svd(matrix.numpy(), compute_uv=False))
    assert len(singular_values(torch.ones(2, 4096))) == 2


@pytest.mark.parametrize(
    ("values", "rank"),
    [([1, 1, 1, 1], 4), ([5, 5, 0, 0], 2), ([3, 0], 1), ([0, 0], 0), ([3, 1], 4 / 3**0.75)],
)
def test_effective_rank(values: list[float], rank: float) -> None:
    assert effective_rank(torch.tensor(values, dtype=torch.float32)) == pytest.approx(rank)
    assert effective_rank(1e-3 * torch.tensor(values, dtype=torch.float64)) == pytest.approx(rank)


def test_norm_ratio_and_factor_changes() -> None:
    assert norm_ratio(torch.tensor([[3.0, 4.0]]), torch.tensor([[0.0, 10.0]])) == pytest.approx(0.5)
    start = Factors([torch.zeros(4), torch.ones(2)], [torch.zeros(1, 1, 4)], 1.0)
    now = Factors([torch.tensor([2.0, 0, 0, 0]), torch.tensor([1.0, 1.0])], [torch.full((1, 1, 4), 3.0)], 1.0)
    assert factor_changes(start, now) == ([1.0, 0.0], [3.0])  # root mean squares


SHAPES = [((6, 6), 3), ((6, 4), 2), ((5, 7), 3), ((7, 5), 7), ((6, 6), None), ((4, 6), None)]


@pytest.mark.parametrize(("shape", "p"), SHAPES)
def test_shift_energy_sums_squares(shape: tuple[int, int], p: int | None) -> None:
    matrix = random(*shape)
    energy = shift_energy(matrix, p)
    expected = torch.zeros_like(energy)
    p = energy.shape[-1]
    for i, j in np.ndindex(*shape):
        expected[i // p, j // p, (i - j) % p] += matrix[i, j] ** 2
    torch.testing.assert_close(energy, expected)


@pytest.mark.parametrize(("shape", "p"), SHAPES[:4])
def test_circularity_matches_least_squares(shape: tuple[int, int], p: int) -> None:
    matrix, columns = random(*shape), shift_energy(random(*shape), p).shape
    units = torch.eye(columns.numel(), dtype=torch.float64).view(-1, *columns)
    basis = torch.stack([block_circulant(unit, *shape).flatten() for unit in units], dim=1)
    left = np.linalg.lstsq(basis.numpy(), matrix.flatten().numpy(), rcond=None)[0]
    residual = matrix.flatten() - basis @ torch.from_numpy(left)
    assert circularity(matrix, p) == pytest.approx(1 - float(residual.norm() / matrix.norm()) ** 2)
    assert circularity(block_circulant(random(*columns), *shape), p) == pytest.approx(1)
