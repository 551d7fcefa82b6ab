"""Factors that are known to be there are found."""

from __future__ import annotations

import pytest
import torch
from known_products import KINDS, member
from matrices import built, random
from torch import Tensor

from cdvft.circulant import cd_product
from cdvft_app.approximate import fit_circulant_diagonal
from cdvft_app.approximate.circulant_diagonal import alternate, logarithmic_start

EXACT = [kind for kind in KINDS if "noise" not in kind]
NOISY = [kind for kind in KINDS if "noise" in kind]


def relative_error(target: Tensor, vectors: Tensor) -> float:
    return float((target - built(vectors)).norm() / target.norm())


def alternated(target: Tensor, vectors: Tensor, rounds: int = 60) -> float:
    """The relative error after so many rounds from one start."""
    walk = alternate(target / target.norm(), vectors[None])
    for _ in range(rounds):
        found, _ = next(walk)
    return relative_error(target / target.norm(), found[0])


@pytest.mark.parametrize("n", [1, 2, 3, 10, 32, 64])
@pytest.mark.parametrize("kind", EXACT)
def test_logarithms_alone_find_every_exact_product(kind: str, n: int) -> None:
    if n < 3 and kind == "zeros":
        return  # a shift needs room
    for seed in range(20 if n < 32 else 4):  # there are four kinds of zeros
        target, _ = member(kind, n, seed)
        assert relative_error(target, logarithmic_start(target)) < 1e-9, seed


@pytest.mark.parametrize(("n", "seeds"), [(10, 10), (32, 3)])
@pytest.mark.parametrize("kind", NOISY)
def test_with_noise_logarithms_lead_where_the_truth_does(kind: str, n: int, seeds: int) -> None:
    for seed in range(seeds):
        target, truth = member(kind, n, seed)
        assert alternated(target, logarithmic_start(target)) <= 1.05 * alternated(target, truth), seed


def test_a_noisy_product_is_fitted_as_well_as_from_the_truth() -> None:
    target, truth = member("10 % of noise", 12, 0)
    *_, fit = fit_circulant_diagonal(target, 2)
    assert 0.02 < fit.error <= 1.001 * alternated(target, truth, 300)


# Alternating least squares


def test_no_round_raises_an_error_and_each_error_is_the_products() -> None:
    target = random(7, 7)
    target /= target.norm()
    starts = random(5, 3, 7, seed=1)
    before = torch.full((5,), torch.inf)
    walk = alternate(target, starts)
    for _ in range(20):
        vectors, errors = next(walk)
        assert bool((errors <= before + 1e-12).all())
        before = errors
    for found, error in zip(vectors, errors, strict=True):
        assert relative_error(target, found) ** 2 == pytest.approx(float(error))


def test_the_last_diagonal_is_found_in_one_round_from_the_others() -> None:
    target, start = member("random", 6, 5)
    start[2] = 1.0
    assert alternated(target, start, rounds=1) < 1e-12


def test_a_round_ends_with_the_circulant_that_least_squares_gives() -> None:
    target = random(5, 5, seed=1)
    target /= target.norm()
    vectors, _ = next(alternate(target, member("random", 5, 2)[1][None]))
    b, c, a = vectors[0]
    shifts = [cd_product([b, a], [torch.eye(5, dtype=torch.float64)[k]]).flatten() for k in range(5)]
    expected = torch.linalg.lstsq(torch.stack(shifts, dim=1), target.flatten()).solution
    torch.testing.assert_close(c, expected)


def test_what_no_entry_depends_on_becomes_zero_not_nan() -> None:
    target = torch.zeros(4, 4, dtype=torch.float64)
    target[1, 2] = 1
    start = torch.zeros(1, 3, 4, dtype=torch.float64)
    start[0, 0, 2] = start[0, 1, 3] = 1  # entry (1, 2) lies on wrapped diagonal 3
    vectors, errors = next(alternate(target, start))
    assert bool(vectors.isfinite().all()) and float(errors[0]) == pytest.approx(0, abs=1e-12)
