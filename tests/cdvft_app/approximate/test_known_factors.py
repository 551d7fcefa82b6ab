"""The fitter finds factors that are known to be there; `benchmarks/fitter.py` counts how often of 100."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from benchmarks.fitter import KINDS, member
from cdvft.circulant import cd_product
from cdvft_app.approximate import fit_circulant_diagonal, make_target
from cdvft_app.approximate.circulant_diagonal import alternate, logarithmic_start

EXACT = [kind for kind in KINDS if "noise" not in kind]
NOISY = [kind for kind in KINDS if "noise" in kind]


def relative_error(target: Tensor, vectors: Tensor) -> float:
    dense = cd_product([vectors[0], vectors[2]], [vectors[1]])
    return float((target - dense).norm() / target.norm())


def alternated(target: Tensor, vectors: Tensor, rounds: int = 60) -> float:
    """The relative error after so many rounds from one start."""
    walk = alternate(target / target.norm(), vectors[None])
    for _ in range(rounds):
        found, _ = next(walk)
    return relative_error(target / target.norm(), found[0])


@pytest.mark.parametrize("n", [1, 2, 3, 10, 16, 32, 64])
@pytest.mark.parametrize("kind", EXACT)
def test_logarithms_alone_find_every_exact_product(kind: str, n: int) -> None:
    if n < 3 and kind == "zeros":
        return  # a shift needs room
    for seed in range(20):
        target, _ = member(kind, n, seed)
        assert relative_error(target, logarithmic_start(target)) < 1e-9, seed


@pytest.mark.parametrize("n", [10, 32])
@pytest.mark.parametrize("kind", NOISY)
def test_with_noise_logarithms_lead_where_the_truth_does(kind: str, n: int) -> None:
    for seed in range(10):
        target, truth = member(kind, n, seed)
        assert alternated(target, logarithmic_start(target)) <= 1.05 * alternated(target, truth), seed


@pytest.mark.parametrize("kind", EXACT)
def test_the_fit_is_exact_at_once(kind: str) -> None:
    target, _ = member(kind, 16, 3)
    *_, fit = fit_circulant_diagonal(target, 2)
    assert fit.finished and fit.error < 1e-12
    torch.testing.assert_close(cd_product([fit.factors[0], fit.factors[2]], [fit.factors[1]]), target)


def test_a_noisy_product_is_fitted_as_well_as_from_the_truth() -> None:
    target, truth = member("10 % of noise", 12, 0)
    *_, fit = fit_circulant_diagonal(target, 2)
    assert 0.02 < fit.error <= 1.001 * alternated(target, truth, 300)


def test_signs_hold_where_factors_have_both() -> None:
    target = cd_product(
        [torch.tensor([1.0, -2, 3, -4]).double(), torch.tensor([-1.0, 1, 1, -5]).double()],
        [torch.tensor([2.0, -1, -1, 3]).double()],
    )
    assert relative_error(target, logarithmic_start(target)) < 1e-12


def test_a_row_a_column_and_a_wrapped_diagonal_of_zeros_stay_zero() -> None:
    target, vectors = member("random", 8, 1)
    vectors[0, 2] = vectors[1, 5] = vectors[2, 7] = 0
    target = cd_product([vectors[0], vectors[2]], [vectors[1]])
    found = logarithmic_start(target)
    assert [found[0, 2], found[1, 5], found[2, 7]] == [0, 0, 0]
    assert relative_error(target, found) < 1e-12


# Alternating least squares


def test_no_round_raises_an_error_and_each_error_is_the_products() -> None:
    generator = torch.Generator().manual_seed(0)
    target = torch.randn(7, 7, generator=generator, dtype=torch.float64)
    target /= target.norm()
    starts = torch.randn(5, 3, 7, generator=generator, dtype=torch.float64)
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
    target = torch.randn(5, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
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


# The band


def test_restarts_are_the_errors_of_random_starts_none_better_than_the_fit() -> None:
    fits = {fit.size: fit for fit in fit_circulant_diagonal(make_target("gaussian", 8), 3) if fit.finished}
    assert fits[1].restarts == ()
    assert len(fits[2].restarts) == 200 and len(fits[3].restarts) == 4
    for fit in (fits[2], fits[3]):
        assert list(fit.restarts) == sorted(fit.restarts)
        assert fit.error <= fit.restarts[0] + 1e-9 and fit.restarts[-1] <= 1


def test_the_batch_is_smaller_for_larger_targets() -> None:
    *_, fit = fit_circulant_diagonal(make_target("gaussian", 128), 2)
    assert len(fit.restarts) == 32
