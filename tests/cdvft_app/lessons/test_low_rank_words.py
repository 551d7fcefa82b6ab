"""Low rank, computed: CDVFT with m = 2 beside LoRA, for two lessons and the fits."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from matrices import filled, product, random, rank

from benchmarks.fit_matrix import dimension
from cdvft_app.approximate import fit_circulant_diagonal, fit_low_rank, make_target


def rank_one_is_reached(n: int) -> bool:
    u, v = random(n), random(n, seed=1)
    return torch.allclose(product(u, torch.ones(n).double(), v), torch.outer(u, v), atol=1e-14)


def generic_rank_is_full(n: int) -> bool:
    return all(rank(product(*random(3, n, seed=seed))) == n for seed in range(20))


def fills_few_dimensions(n: int) -> bool:
    return filled(n) == dimension(n, 2) == 3 * n - 2 < n * n


def lora_is_smaller_nowhere() -> bool:
    """LoRA's best fit with r = 1 is a matrix of rank one, and CDVFT reaches that."""
    return rank_one_is_reached(32) and 96 // 64 == 1


def smaller_on_every_change() -> bool:
    """False as soon as LoRA with r = 1 has a change without any error."""
    return fit_low_rank(torch.outer(random(32), random(32, seed=1)), 1).error > 1e-12


# Of each answer, whether it is true. A question's right answer is the true one, and no other is.
TRUE: dict[str, dict[str, Callable[[], bool]]] = {
    "reach": {
        "Every matrix, only less exactly": lambda: dimension(10, 2) == 100,
        "Only matrices of low rank": lambda: not generic_rank_is_full(10),
        "A thin set of matrices, mostly of full rank": lambda: (
            generic_rank_is_full(10) and fills_few_dimensions(10)
        ),
    },
    "shapes": {
        "Every 32 × 32 matrix": lambda: 96 >= 32 * 32,
        "A smaller error on any task": smaller_on_every_change,
        "Full rank, at the price of a fixed pattern": lambda: generic_rank_is_full(32) and 96 // 64 == 1,
    },
}


@pytest.mark.parametrize("name", ["low_rank", "gaussian", "permutation", "sparse"])
def test_no_search_ends_above_lora_with_rank_one(name):
    """Even the first guess: the best matrix of rank one is a product of three vectors."""
    target = make_target(name, 12, seed=5)
    guess = next(fit for fit in fit_circulant_diagonal(target, 2, restarts=0) if fit.size == 2)
    assert guess.error <= fit_low_rank(target, 1).error + 1e-12
