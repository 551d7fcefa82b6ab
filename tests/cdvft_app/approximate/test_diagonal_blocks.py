"""Circulant blocks between two diagonals: known ones are found, and no simpler form comes closer."""

import pytest
import torch
from matrices import random

from cdvft.blocks import parameter_count
from cdvft.circulant import cd_product
from cdvft_app.approximate import (
    block_sizes,
    fit_block_circulant,
    fit_diagonal_blocks,
    fit_low_rank,
    make_target,
)


@pytest.mark.parametrize(
    ("shape", "p", "blocks"), [((12, 12), 6, (2, 2)), ((8, 12), 4, (2, 3)), ((7, 10), 4, (2, 3))]
)
def test_known_factors_are_found(shape: tuple[int, int], p: int, blocks: tuple[int, int]) -> None:
    target = cd_product([random(shape[1], seed=1), random(shape[0], seed=2)], [random(*blocks, p, seed=3)])
    fit = fit_diagonal_blocks(target, p)
    assert fit.error < 1e-3 and fit.size == p
    b, c, a = fit.factors
    torch.testing.assert_close(cd_product([b, a], [c]), fit.dense)
    assert fit.parameters == sum(factor.numel() for factor in fit.factors)
    assert fit.parameters == parameter_count(*shape, block_size=p)


@pytest.mark.parametrize("name", ["gaussian", "low_rank", "smooth_kernel", "permutation"])
def test_neither_blocks_alone_nor_rank_one_come_closer(name: str) -> None:
    target = make_target(name, 12, seed=3)
    for p in (6, 5, 4):
        error = fit_diagonal_blocks(target, p, restarts=1).error
        assert error <= fit_block_circulant(target, p).error + 1e-9
        assert error <= fit_low_rank(target, 1).error + 1e-9


def test_block_sizes_keep_within_the_budget() -> None:
    assert block_sizes(8, 8, 31) == []
    assert block_sizes(8, 8, 32) == [4]  # 8 + 2 * 2 * 4 + 8
    assert block_sizes(8, 8, 64) == [4, 3, 2]  # 3 x 3 blocks of 3, cut; 4 x 4 of 2: 48
