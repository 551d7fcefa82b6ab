"""The plain mathematics against scipy and against products written out, in float64."""

import numpy as np
import pytest
import scipy.linalg
import torch

from cdvft.blocks import vector_shapes
from cdvft.circulant import (
    Factors,
    block_circulant,
    block_circulant_matmul,
    cd_product,
    circulant,
    circulant_matmul,
    delta_weight,
)


def random(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64)


@pytest.mark.parametrize("n", [1, 2, 3, 8, 17])
def test_circulant_matches_scipy(n: int) -> None:
    x, c = random(4, 2, n), random(n)
    np.testing.assert_array_equal(circulant(c).numpy(), scipy.linalg.circulant(c.numpy()))
    torch.testing.assert_close(circulant_matmul(x, c), x @ circulant(c).T)


@pytest.mark.parametrize(
    ("d_out", "d_in", "p"),
    [(6, 6, 6), (6, 6, 3), (6, 4, 2), (5, 7, 3), (7, 5, 7), (5, 5, 1), (1, 6, 4), (3, 3, 2)],
)
def test_block_circulant_matches_scipy(d_out: int, d_in: int, p: int) -> None:
    x, c = random(3, d_in), random(-(-d_out // p), -(-d_in // p), p)
    dense = np.block([[scipy.linalg.circulant(block.numpy()) for block in row] for row in c])[:d_out, :d_in]
    np.testing.assert_array_equal(block_circulant(c, d_out, d_in).numpy(), dense)
    torch.testing.assert_close(block_circulant_matmul(x, c, d_out), x @ torch.from_numpy(dense).T)


def test_matmul_accepts_no_rows_and_rejects_wide_input() -> None:
    assert circulant_matmul(random(0, 5), random(5)).shape == (0, 5)
    assert block_circulant_matmul(random(2, 0, 5), random(2, 1, 5), 7).shape == (2, 0, 7)
    with pytest.raises(ValueError, match="7"):
        block_circulant_matmul(random(2, 2, 7), random(1, 2, 3), 3)


@pytest.mark.parametrize(
    ("d_out", "d_in", "m", "p"), [(5, 5, 3, None), (4, 6, 3, 4), (6, 4, 4, 1), (3, 3, 5, 2)]
)
def test_cd_product_matches_dense_product(d_out: int, d_in: int, m: int, p: int | None) -> None:
    diagonals, circulants = ([random(*shape) for shape in part] for part in vector_shapes(d_out, d_in, m, p))
    expected = torch.diag(diagonals[0])
    for c, a in zip(circulants, diagonals[1:], strict=True):
        expected = torch.diag(a) @ block_circulant(c, d_out, expected.shape[0]) @ expected
    torch.testing.assert_close(cd_product(diagonals, circulants), expected)
    if p is None:  # square circulants may be plain vectors
        torch.testing.assert_close(cd_product(diagonals, [c.flatten() for c in circulants]), expected)


def test_delta_weight_of_a_stack_is_in_float32() -> None:
    """Two experts of 4 x 6 in float16, each written out as alpha diag(a3) circ(c2) diag(a1)."""
    diagonals = [random(2, 6).half(), random(2, 4).half()]
    circulants = [random(2, 2, 3, 2).half()]
    found = delta_weight(Factors(diagonals, circulants, 3.0))
    assert found.shape == (2, 4, 6) and found.dtype == torch.float32
    for expert in range(2):
        a1, a3, c2 = (of[expert].float() for of in (*diagonals, *circulants))
        written_out = 3 * torch.diag(a3) @ block_circulant(c2, 4, 6) @ torch.diag(a1)
        torch.testing.assert_close(found[expert], written_out)
        torch.testing.assert_close(delta_weight(Factors([a1, a3], [c2], 3.0)), written_out)


@pytest.mark.parametrize(("n_diagonals", "n_circulants"), [(2, 2), (1, 0), (0, 0), (3, 1)])
def test_cd_product_rejects_wrong_counts(n_diagonals: int, n_circulants: int) -> None:
    with pytest.raises(ValueError, match=rf"{n_diagonals} .* {n_circulants} "):
        cd_product([random(3)] * n_diagonals, [random(3)] * n_circulants)


def test_gradients() -> None:
    leaves = [random(*shape).requires_grad_() for shape in ((3,), (4,), (2, 2, 2), (2, 3), (3,))]
    assert torch.autograd.gradcheck(lambda a, b, c: cd_product([a, b], [c]), leaves[:3])
    assert torch.autograd.gradcheck(circulant_matmul, leaves[3:])
