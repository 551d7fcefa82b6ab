"""Factors that are known to be there are found."""

from __future__ import annotations

import pytest
from known_products import KINDS, member
from matrices import built
from torch import Tensor

from cdvft_app.approximate import fit_circulant_diagonal
from cdvft_app.approximate.circulant_diagonal import alternate, logarithmic_start

EXACT = [kind for kind in KINDS if "noise" not in kind]


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


def test_a_noisy_product_is_fitted_as_well_as_from_the_truth() -> None:
    target, truth = member("10 % of noise", 12, 0)
    *_, fit = fit_circulant_diagonal(target, 2)
    assert 0.02 < fit.error <= 1.001 * alternated(target, truth, 300)
