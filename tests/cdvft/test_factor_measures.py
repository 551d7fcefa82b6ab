"""The measures of factors and weight updates against dense numpy and sums written out."""

import numpy as np
import pytest
import scipy.linalg
import torch
from matrices import random

from cdvft.circulant import block_circulant, circulant
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
from cdvft_app.approximate import fit_block_circulant


@pytest.mark.parametrize("p", [1, 2, 7, 8])
def test_spectrum_holds_the_eigenvalues_and_singular_values_of_the_circulant(p: int) -> None:
    c = random(p)
    modulus, phase = spectrum(c)
    dense = scipy.linalg.circulant(c.numpy())
    eigenvalues = torch.polar(modulus, phase).numpy()
    fourier = np.exp(2j * np.pi * np.outer(np.arange(p), np.arange(p)) / p)  # eigenvectors as columns
    np.testing.assert_allclose(dense @ fourier, fourier * eigenvalues, atol=1e-12)
    np.testing.assert_allclose(np.sort(modulus)[::-1], np.linalg.svd(dense, compute_uv=False), atol=1e-12)
    blocks = spectrum(torch.stack([c, 2 * c])).modulus
    torch.testing.assert_close(blocks, torch.stack([modulus, 2 * modulus]))


def test_singular_values_are_numpys_and_of_large_or_infinite_matrices_refused() -> None:
    matrix = random(3, 7)
    np.testing.assert_allclose(singular_values(matrix), np.linalg.svd(matrix.numpy(), compute_uv=False))
    assert len(singular_values(torch.ones(2, 4096))) == 2
    with pytest.raises(ValueError, match=r"4096 x 1025.*1024"):
        singular_values(torch.ones(4096, 1025))
    for entry in (torch.nan, torch.inf):
        with pytest.raises(ValueError, match="3 x 2 matrix holds NaN or infinity"):
            singular_values(torch.tensor([[1.0, 2.0], [entry, 3.0], [4.0, 5.0]]))


@pytest.mark.parametrize(
    ("values", "rank"),
    [([1, 1, 1, 1], 4), ([5, 5, 0, 0], 2), ([3, 0], 1), ([0, 0], 0), ([3, 1], 4 / 3**0.75)],
)
def test_effective_rank(values: list[float], rank: float) -> None:
    assert effective_rank(torch.tensor(values, dtype=torch.float32)) == pytest.approx(rank)
    assert effective_rank(1e-3 * torch.tensor(values, dtype=torch.float64)) == pytest.approx(rank)


def test_norms_are_compared_and_factor_changes_are_root_mean_squares() -> None:
    assert norm_ratio(torch.tensor([[3.0, 4.0]]), torch.tensor([[0.0, 10.0]])) == pytest.approx(0.5)
    start = Factors([torch.zeros(4), torch.ones(2)], [torch.zeros(1, 1, 4)], 1.0)
    now = Factors([torch.tensor([2.0, 0, 0, 0]), torch.tensor([1.0, 1.0])], [torch.full((1, 1, 4), 3.0)], 1.0)
    assert factor_changes(start, now) == ([1.0, 0.0], [3.0])


SHAPES = [((6, 6), 6), ((6, 6), 3), ((6, 4), 2), ((5, 7), 3), ((7, 5), 7), ((6, 6), None), ((4, 6), None)]


@pytest.mark.parametrize(("shape", "p"), SHAPES)
def test_shift_energy_is_summed_entry_by_entry(shape: tuple[int, int], p: int | None) -> None:
    matrix = random(*shape)
    energy = shift_energy(matrix, p)
    expected = torch.zeros_like(energy)
    p = energy.shape[-1]
    for i, j in np.ndindex(*shape):
        expected[i // p, j // p, (i - j) % p] += matrix[i, j] ** 2
    torch.testing.assert_close(energy, expected)


@pytest.mark.parametrize(("shape", "p"), [case for case in SHAPES if case[1]])
def test_circularity_is_what_the_best_block_circulant_explains(shape: tuple[int, int], p: int) -> None:
    matrix = random(*shape)
    assert circularity(matrix, p) == pytest.approx(1 - fit_block_circulant(matrix, p).error ** 2)
    c = random(*shift_energy(matrix, p).shape)
    assert circularity(block_circulant(c, *shape), p) == pytest.approx(1)


def test_circularity_at_its_ends() -> None:
    assert circularity(torch.zeros(3, 3)) == 0
    alternating = torch.tensor([1.0, -1.0, 1.0, -1.0])
    assert circularity(alternating[:, None] * circulant(torch.rand(4))) == pytest.approx(0, abs=1e-7)
