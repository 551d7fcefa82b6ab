"""The closed-form families against explicit bases, least squares and PEFT's own layer."""

import pytest
import torch
from matrices import random

from cdvft.circulant import block_circulant
from cdvft_app.approximate import fit_block_circulant, fit_low_rank


@pytest.mark.parametrize("shape", [(6, 6), (4, 7)])
def test_low_rank_leaves_the_smaller_singular_values(shape: tuple[int, int]) -> None:
    target = random(*shape)
    s = torch.linalg.svdvals(target)
    for rank in range(1, 5):
        fit = fit_low_rank(target, rank)
        assert fit.error == pytest.approx(float(s[rank:].norm() / s.norm()), abs=1e-12)
        b, a = fit.factors
        torch.testing.assert_close(b @ a, fit.dense)
        assert fit.parameters == b.numel() + a.numel()


@pytest.mark.parametrize(
    ("shape", "p"), [((6, 6), 6), ((6, 6), 3), ((6, 4), 2), ((5, 7), 3), ((7, 5), 7), ((3, 3), 1)]
)
def test_block_circulant_is_least_squares(shape: tuple[int, int], p: int) -> None:
    target = random(*shape)
    fit = fit_block_circulant(target, p)
    (c,) = fit.factors
    torch.testing.assert_close(block_circulant(c, *shape), fit.dense)
    assert fit.parameters == c.numel()
    units = torch.eye(c.numel(), dtype=torch.float64).reshape(-1, *c.shape)
    basis = torch.stack([block_circulant(unit, *shape).flatten() for unit in units], dim=1)
    torch.testing.assert_close(
        basis.T @ (target - fit.dense).flatten(), torch.zeros(c.numel(), dtype=torch.float64)
    )
