"""Batches with an adapter per row, against the reference applied row by row."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from cdvft.blocks import vector_shapes
from cdvft.circulant import Factors
from cdvft.kernels import Backend, batched_adapters, cd_linear_reference, native
from cdvft.kernels.batched_adapters import (
    MIN_KERNEL_TOKENS,
    AdapterRows,
    add_by_row,
    gathered_update,
)

KINDS: list[dict] = [{"m": 2}, {"m": 3, "p": 8}, {"m": 2, "p": 5}]
Owners = list[Factors | None]

needs_compiler = pytest.mark.skipif(native.library() is None, reason="needs a C compiler")


def adapter(
    d_in: int, d_out: int, seed: int, *, m: int = 2, p: int | None = None, dtype: torch.dtype = torch.float64
) -> Factors:
    options = {"generator": torch.Generator().manual_seed(seed), "dtype": dtype, "requires_grad": True}
    vectors = [[torch.randn(shape, **options) for shape in part] for part in vector_shapes(d_out, d_in, m, p)]
    return Factors(*vectors, alpha=1 + seed / 10)


def row_by_row(result: Tensor, x: Tensor, owners: Owners) -> Tensor:
    """The reference, one row at a time."""
    rows = zip(result, x, owners, strict=True)
    found = [y if f is None else y + cd_linear_reference(r, *f) for y, r, f in rows]
    return torch.stack(found).to(result.dtype)


def shares(owners: Owners, backend: Backend = "auto") -> list[AdapterRows]:
    distinct = {id(owner): owner for owner in owners if owner is not None}
    return [
        AdapterRows(each, backend, [row for row, owner in enumerate(owners) if owner is each])
        for each in distinct.values()
    ]


def check(owners: Owners, x: Tensor, result: Tensor, backend: Backend = "auto", **close: float) -> None:
    torch.testing.assert_close(
        add_by_row(result, x, shares(owners, backend)), row_by_row(result, x, owners), **close
    )


def reject(*_: object) -> Tensor:
    raise AssertionError("this engine must not run")


@pytest.mark.parametrize("shape", [(24, 24), (40, 24), (30, 12)])  # d_in, d_out
@pytest.mark.parametrize("between", [(3,), (), (2, 3)])
def test_add_by_row_matches_reference(shape: tuple[int, int], between: tuple[int, ...]) -> None:
    d_in, d_out = shape
    adapters: Owners = [adapter(d_in, d_out, n, **KINDS[n % 3]) for n in range(9)]
    owners = [*(adapters[n] for n in [3, 0, 8, 1, 1, 7, 2, 4, 6, 5, 3]), None]
    torch.manual_seed(1)
    x, result = (torch.randn(12, *between, d, dtype=torch.float64, requires_grad=True) for d in shape)
    leaves = [result, x, *(v for each in adapters if each for v in (*each.diagonals, *each.circulants))]
    outputs = add_by_row(result, x, shares(owners)), row_by_row(result, x, owners)
    torch.testing.assert_close(*outputs)
    weights = torch.linspace(-1, 1, result.numel(), dtype=result.dtype).view_as(result)
    torch.testing.assert_close(*(torch.autograd.grad((y * weights).sum(), leaves) for y in outputs))


def test_gathered_update_is_twice_differentiable() -> None:
    x = torch.randn(3, 6, dtype=torch.float64, requires_grad=True)

    def update(x: Tensor, *vectors: Tensor) -> Tensor:
        both = [Factors(vectors[:2], vectors[2:3], 2.0), Factors(vectors[3:5], vectors[5:], -1.0)]
        return gathered_update(x, both, [1, 0, 1])

    pair = [adapter(6, 4, n, p=3) for n in (0, 1)]
    inputs = (x, *(v for f in pair for v in (*f.diagonals, *f.circulants)))
    assert torch.autograd.gradcheck(update, inputs)
    assert torch.autograd.gradgradcheck(update, inputs)


@needs_compiler
@pytest.mark.parametrize(("tokens", "threads"), [(1, 1), (6, 2), (MIN_KERNEL_TOKENS, 2)])
def test_compiled_kernel_takes_all_kinds(tokens: int, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    adapters: list[Any] = [adapter(24, 40, n, **KINDS[n % 3], dtype=torch.float32) for n in range(64)]
    owners = [*reversed(adapters), None]
    torch.manual_seed(1)
    x, result = torch.randn(65, tokens, 24), torch.randn(65, tokens, 40)
    calls: list[int] = []
    together = native.forward_by_row_
    monkeypatch.setattr(native, "forward_by_row_", lambda *a: (calls.append(len(a[2])), together(*a))[1])
    monkeypatch.setattr(batched_adapters, "gathered_update", reject)
    monkeypatch.setattr(batched_adapters, "cd_linear", reject)
    with torch.no_grad():
        check(owners, x, result, rtol=1e-4, atol=1e-4)
        expected = row_by_row(result, x, owners)
        expected[0] += cd_linear_reference(x[0], *adapters[3])
        twice = [*shares(owners), *shares([adapters[3], *[None] * 64])]
        found = add_by_row(result, x, twice, overwrite=True)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert found is result
    assert calls == [64, 65]


@needs_compiler
@pytest.mark.parametrize("shape", [(32, 16), (16, 32)])
def test_kernel_never_reads_mismatched_vectors(shape: tuple, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "forward_by_row_", reject)
    owners: Owners = [adapter(*shape, n, p=8, dtype=torch.float32) for n in (0, 1)]
    with torch.no_grad(), pytest.raises((ValueError, RuntimeError)):
        add_by_row(torch.zeros(2, 16), torch.zeros(2, 16), shares(owners))
