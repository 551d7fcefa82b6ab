"""Rows with an adapter of their own each, at once, against the formula adapter by adapter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from peft import get_peft_model
from torch import Tensor, nn

from cdvft import CDVFTConfig
from cdvft.blocks import vector_shapes
from cdvft.circulant import Factors
from cdvft.kernels import Backend, batched_adapters, cd_linear_reference, native
from cdvft.kernels.batched_adapters import (
    MAX_TOKENS,
    MIN_KERNEL_TOKENS,
    AdapterRows,
    add_by_row,
    gathered_update,
)

SHAPES = [(24, 24), (24, 40), (40, 24), (30, 12)]  # d_in, d_out
KINDS: list[dict] = [{"m": 2}, {"m": 3, "p": 8}, {"m": 2, "p": 5}]

needs_compiler = pytest.mark.skipif(native.library() is None, reason="needs a C compiler")


def adapter(
    d_in: int, d_out: int, seed: int, *, m: int = 2, p: int | None = None, dtype: torch.dtype = torch.float64
) -> Factors:
    options = {"generator": torch.Generator().manual_seed(seed), "dtype": dtype, "requires_grad": True}
    vectors = [[torch.randn(shape, **options) for shape in part] for part in vector_shapes(d_out, d_in, m, p)]
    return Factors(*vectors, alpha=1 + seed / 10)


def row_by_row(result: Tensor, x: Tensor, owners: list[Factors | None]) -> Tensor:
    """The slow truth: the reference on one row at a time."""
    rows = zip(result, x, owners, strict=True)
    found = [y if f is None else y + cd_linear_reference(r, *f) for y, r, f in rows]
    return torch.stack(found).to(result.dtype)


def shares(owners: list[Factors | None], backend: Backend = "auto") -> list[AdapterRows]:
    distinct = {id(one): one for one in owners if one is not None}
    return [
        AdapterRows(one, backend, [row for row, owner in enumerate(owners) if owner is one])
        for one in distinct.values()
    ]


def gradients(call: Callable[[Tensor, Tensor], Tensor], leaves: list[Tensor]) -> list[Tensor]:
    y = call(leaves[0], leaves[1])
    weights = torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view_as(y)
    return [y.detach(), *torch.autograd.grad((y * weights).sum(), leaves, materialize_grads=True)]


@pytest.mark.parametrize(
    ("shape", "between"), [*[(shape, (3,)) for shape in SHAPES], *[((24, 40), n) for n in ((), (1,), (2, 3))]]
)
def test_any_mixture_of_m_and_blocks_with_gradients(shape: tuple[int, int], between: tuple[int, ...]) -> None:
    """Nine adapters of three kinds and rows of none, in no order; the kinds are gathered each for itself."""
    d_in, d_out = shape
    adapters: list[Factors | None] = [adapter(d_in, d_out, n, **KINDS[n % 3]) for n in range(9)]
    order = [3, 0, 8, 1, 1, 7, 2, 4, 6, 5, 3]
    owners = [*(adapters[n] for n in order), None]
    torch.manual_seed(1)
    x = torch.randn(len(owners), *between, d_in, dtype=torch.float64, requires_grad=True)
    result = torch.randn(len(owners), *between, d_out, dtype=torch.float64, requires_grad=True)
    vectors = [v for one in adapters if one for v in (*one.diagonals, *one.circulants)]
    found = gradients(lambda r, x: add_by_row(r, x, shares(owners)), [result, x, *vectors])
    expected = gradients(lambda r, x: row_by_row(r, x, owners), [result, x, *vectors])
    torch.testing.assert_close(found, expected)


def test_gradients_of_gradients() -> None:
    one, other = (adapter(6, 4, n, p=3) for n in (0, 1))
    x = torch.randn(3, 6, dtype=torch.float64, requires_grad=True)

    def function(x: Tensor, *vectors: Tensor) -> Tensor:
        both = [Factors(vectors[:2], vectors[2:3], 2.0), Factors(vectors[3:5], vectors[5:], -1.0)]
        return gathered_update(x, both, [1, 0, 1])

    inputs = (x, *(v for f in (one, other) for v in (*f.diagonals, *f.circulants)))
    assert torch.autograd.gradcheck(function, inputs)
    assert torch.autograd.gradgradcheck(function, inputs)


def counted(name: str, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of rows of the calls of a function of `batched_adapters`."""
    rows: list[int] = []
    function = getattr(batched_adapters, name)
    monkeypatch.setattr(batched_adapters, name, lambda x, *rest: (rows.append(len(x)), function(x, *rest))[1])
    return rows


@pytest.mark.parametrize("each", ["its own", "shared"])
def test_one_call_serves_all_adapters_of_a_kind(each: str, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = counted("gathered_update", monkeypatch)
    adapters: list[Factors | None] = [adapter(24, 24, n) for n in range(6)]
    owners = adapters if each == "its own" else [adapters[n % 4] for n in range(11)]
    x, result = torch.randn(2, len(owners), 24, dtype=torch.float64)
    torch.testing.assert_close(add_by_row(result, x, shares(owners)), row_by_row(result, x, owners))
    assert calls == [len(owners)]


def refuse(*_: object) -> Tensor:
    raise AssertionError("not by the kernel")


@needs_compiler
@pytest.mark.parametrize("tokens", [1, 6, MIN_KERNEL_TOKENS])
@pytest.mark.parametrize("threads", [1, 2])
def test_one_call_of_the_compiled_kernel_serves_blocks_and_all_kinds_of_adapters(
    tokens: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """64 rows and those of no adapter, some of two, without gradients."""
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    adapters: list[Any] = [adapter(24, 40, n, **KINDS[n % 3], dtype=torch.float32) for n in range(64)]
    owners = [*reversed(adapters), None]
    torch.manual_seed(1)
    x, result = torch.randn(65, tokens, 24), torch.randn(65, tokens, 40)
    calls: list[int] = []
    together = native.forward_by_row_
    monkeypatch.setattr(native, "forward_by_row_", lambda *a: (calls.append(len(a[2])), together(*a))[1])
    monkeypatch.setattr(batched_adapters, "gathered_update", refuse)
    monkeypatch.setattr(batched_adapters, "cd_linear", refuse)
    with torch.no_grad():
        expected = row_by_row(result, x, owners)
        torch.testing.assert_close(add_by_row(result, x, shares(owners)), expected, rtol=1e-4, atol=1e-4)
        expected[0] += cd_linear_reference(x[0], *adapters[3])
        twice = [*shares(owners), *shares([adapters[3], *[None] * 64])]
        found = add_by_row(result, x, twice, overwrite=True)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert found is result
    assert calls == [64, 65]


@needs_compiler
@pytest.mark.parametrize(("d", "tokens"), [(48, 6), (22, 1), (26, MIN_KERNEL_TOKENS - 1)])
def test_whole_circulants_that_the_kernel_is_slow_for_are_gathered(d: int, tokens: int, monkeypatch) -> None:
    """Rows too long for one kernel and too short for the other, and sizes that it does not take at all."""
    monkeypatch.setattr(native, "forward_by_row_", refuse)
    owners: list[Factors | None] = [adapter(d, d, n, dtype=torch.float32) for n in range(5)]
    x, result = torch.randn(2, 5, tokens, d)
    with torch.no_grad():
        expected = row_by_row(result, x, owners)
        torch.testing.assert_close(add_by_row(result, x, shares(owners)), expected, rtol=1e-4, atol=1e-4)


@needs_compiler
def test_vectors_of_another_length_never_reach_compiled_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "forward_by_row_", refuse)
    for d_in, d_out in [(32, 16), (16, 32)]:
        owners: list[Factors | None] = [adapter(d_in, d_out, n, p=8, dtype=torch.float32) for n in (0, 1)]
        with torch.no_grad(), pytest.raises((ValueError, RuntimeError)):
            add_by_row(torch.zeros(2, 16), torch.zeros(2, 16), shares(owners))


def test_what_a_hook_keeps_of_the_base_layer_is_not_written_over() -> None:
    torch.manual_seed(0)
    linear, config = nn.Linear(48, 48), CDVFTConfig(target_modules=["0"], init_weights=False)
    model = get_peft_model(nn.Sequential(linear), config, adapter_name="a").eval()
    layer, x, kept = model.base_model.model[0], torch.randn(3, 48), []
    with torch.no_grad():
        expected = layer(x, adapter_names=["a"] * 3)
        layer.base_layer.register_forward_hook(lambda *called: kept.append(called[-1]))
        torch.testing.assert_close(layer(x, adapter_names=["a"] * 3), expected)
        torch.testing.assert_close(kept, [nn.functional.linear(x, linear.weight, linear.bias)])


def test_an_adapter_with_many_tokens_goes_its_own_way(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = counted("cd_linear", monkeypatch)
    big, *small = (adapter(24, 24, n, dtype=torch.float32) for n in range(4))
    owners: list[Factors | None] = [*small, *[big] * (MAX_TOKENS + 1), None]
    x, result = torch.randn(2, len(owners), 24)
    found, expected = add_by_row(result, x, shares(owners)), row_by_row(result, x, owners)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    assert alone == [MAX_TOKENS + 1]


@pytest.mark.parametrize("backend", ["reference", "merged"])
def test_a_backend_that_was_asked_for_is_taken(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batched_adapters, "gathered_update", refuse)
    owners: list[Factors | None] = [adapter(24, 24, n) for n in range(3)]
    x, result = torch.randn(2, 3, 24, dtype=torch.float64)
    torch.testing.assert_close(add_by_row(result, x, shares(owners, backend)), row_by_row(result, x, owners))


def test_a_half_precision_result_is_rounded_once() -> None:
    owners: list[Factors | None] = [adapter(24, 24, n, dtype=torch.float32) for n in range(5)]
    x, result = torch.randn(2, 5, 24).bfloat16()
    expected = row_by_row(result.float(), x.float(), owners).bfloat16()
    found = add_by_row(result, x, shares(owners))
    assert found.dtype == torch.bfloat16
    assert (found == expected).float().mean() > 0.98  # the rest are ties within float32's own error


@pytest.mark.parametrize("rows", [0, 2])
def test_no_tokens(rows: int) -> None:
    owners: list[Factors | None] = [adapter(24, 24, n) for n in range(rows)]
    x = torch.randn(rows, 0, 24, dtype=torch.float64)
    assert add_by_row(x, x, shares(owners)).shape == (rows, 0, 24)


def test_vectors_elsewhere_are_refused() -> None:
    with torch.device("meta"):
        meta = [Factors([torch.ones(24)] * 2, [torch.ones(1, 1, 24)], 1.0) for _ in range(2)]
    x = torch.randn(2, 24)
    with pytest.raises((ValueError, RuntimeError), match=r"device|meta"):
        add_by_row(x, x, shares([*meta]))
