"""Sealed questions: their answers are those that the matrices themselves give."""

from __future__ import annotations

import random
import re

import pytest
import torch

from cdvft.blocks import parameter_count
from cdvft.circulant import circulant
from cdvft_app.lessons.sealed import KINDS, draw

SEEDS = range(30)


def numbers(text: str) -> list[int]:
    return [int(found) for found in re.findall(r"\d+", text)]


def test_a_shift_is_where_the_product_is_not_zero() -> None:
    for seed in SEEDS:
        asked = draw("shift", random.Random(seed))
        n, _, one, other = numbers(asked.prompt)
        y = circulant(torch.eye(n)[one]) @ torch.eye(n)[other]
        assert int(y.nonzero()) == asked.answer


def test_a_rank_is_that_of_the_matrix() -> None:
    for seed in SEEDS:
        asked = draw("rank", random.Random(seed))
        d, zeros, pairs = numbers(asked.prompt.replace("a₁", "").replace("a₃", ""))[:3]
        drawn = torch.randn(3, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        half = torch.fft.rfft(drawn[1])
        half[1 : 1 + pairs] = 0
        drawn[0, :zeros] = 0
        matrix = drawn[2][:, None] * circulant(torch.fft.irfft(half, n=d)) * drawn[0]
        assert int(torch.linalg.matrix_rank(matrix, rtol=1e-9)) == asked.answer, asked.prompt


def test_numbers_trained_are_counted() -> None:
    for seed in SEEDS:
        asked = draw("blocks", random.Random(seed))
        d_in, d_out, _, p = numbers(asked.prompt)
        assert (
            asked.answer
            == d_in + d_out + (d_out // p) * (d_in // p) * p
            == parameter_count(d_out, d_in, 2, p)
        )


@pytest.mark.parametrize("kind", KINDS)
def test_numbers_are_fresh(kind: str) -> None:
    assert len({draw(kind).prompt for _ in range(50)}) > 10
