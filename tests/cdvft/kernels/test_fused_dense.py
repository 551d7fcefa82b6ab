"""The dense update's kernels in Triton's interpreter against the dense product in float64."""

from __future__ import annotations

import math
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from kernel_problem import Problem
from operators_seen import Watch
from torch import Tensor
from torch._subclasses import FakeTensorMode

from cdvft.circulant import Factors, cd_product
from cdvft.kernels import (
    adapted_linear,
    autograd_ops,
    cd_linear,
    cost_model,
    engine_choice,
    fused,
    linear,
    native,
)
from cdvft.kernels.engine_choice import select
from cdvft.kernels.fused import dense

pytestmark = [
    pytest.mark.skipif(platform.system() != "Linux", reason="needs Linux: Triton comes for it alone"),
    pytest.mark.usefixtures("operators"),
]
ALPHA = 0.7  # that of `Problem`, too
DTYPES = (torch.float32, torch.bfloat16, torch.float16)

# whole, in several strips and pieces; wide, tall, blocks both ways; padded one way and the other; tiny blocks
SHAPES = [
    (64, 64, 64),
    (200, 200, 200),
    (40, 150, 150),
    (96, 32, 32),
    (32, 192, 32),
    (48, 144, 48),
    (50, 70, 32),
    (70, 50, 70),
    (45, 37, 20),
    (9, 11, 3),
    (7, 5, 1),
]


def drawn(d_out: int, d_in: int, p: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Factors]:
    """The weight, the gradient of the matrix, both of values that `dtype` has, and the vectors in float32."""
    generator = torch.Generator().manual_seed(d_out + d_in + p)
    sizes = [(d_out, d_in), (d_out, d_in), (d_in,), (d_out,), (-(-d_out // p), -(-d_in // p), p)]
    weight, grad, first, last, c = (torch.randn(*size, generator=generator) for size in sizes)
    return weight.to(dtype), grad.to(dtype), Factors([first, last], [c], ALPHA)


def far(found: Tensor, truth: Tensor) -> float:
    assert found.shape == truth.shape
    return float((found.detach().double() - truth.detach().double()).norm() / truth.detach().norm())


def exact(factors: Factors) -> tuple[Tensor, list[Tensor]]:
    """alpha dW in float64, and the vectors it is made of."""
    leaves = [v.double().requires_grad_() for v in (*factors.diagonals, *factors.circulants)]
    return factors.alpha * cd_product(leaves[:2], leaves[2:]), leaves


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_matrix_and_the_update_alone_are_the_dense_product(shape: tuple, dtype: torch.dtype) -> None:
    weight, _, factors = drawn(*shape, dtype)
    update = exact(factors)[0]
    merged, alone = dense.merged_weight(weight, factors, dtype), dense.merged_weight(None, factors, dtype)
    close = 1e-6 if dtype == torch.float32 else torch.finfo(dtype).eps  # the interpreter cuts bfloat16 off
    assert merged.dtype == alone.dtype == dtype
    assert far(merged, weight.double() + update) < close
    assert far(alone, update) < close


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_gradients_are_those_of_the_dense_product(shape: tuple, dtype: torch.dtype) -> None:
    _, grad, factors = drawn(*shape, dtype)
    update, leaves = exact(factors)
    diagonals, circulants = dense.gradients(grad, factors)
    found, truth = [*diagonals, *circulants], torch.autograd.grad(update, leaves, grad.double())
    assert [a.dtype for a in found] == [torch.float32] * 3
    assert [far(a, b) < 1e-6 for a, b in zip(found, truth, strict=True)] == [True] * 3


def test_the_sum_of_weight_and_update_is_rounded_once() -> None:
    weight, _, factors = drawn(64, 64, 64, torch.float16)
    factors = factors._replace(alpha=2**-10)  # of the size of the weight's own steps
    update = dense.merged_weight(None, factors, torch.float32)
    assert torch.equal(dense.merged_weight(weight, factors, torch.float16), (weight.float() + update).half())
    assert not torch.equal((weight.float() + update).half(), weight + update.half()), "rounding twice is seen"


def test_a_scale_below_half_precision_does_not_underflow_in_the_gradients() -> None:
    _, grad, factors = drawn(64, 64, 64, torch.float16)
    factors = factors._replace(alpha=1e-9)
    update, leaves = exact(factors)
    diagonals, circulants = dense.gradients(grad, factors)
    truth = torch.autograd.grad(update, leaves, grad.double())
    assert all(far(a, b) < 1e-6 for a, b in zip([*diagonals, *circulants], truth, strict=True))


def test_shares_are_added_in_the_same_order_each_time() -> None:
    _, grad, factors = drawn(150, 200, 200, torch.float32)
    once, again = (dense.gradients(grad, factors) for _ in range(2))
    assert all(torch.equal(a, b) for one in zip(once, again, strict=True) for a, b in zip(*one, strict=True))


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_weight_may_lie_by_columns_or_within_another(dtype: torch.dtype) -> None:
    weight, _, factors = drawn(50, 70, 32, dtype)
    expected = dense.merged_weight(weight, factors, dtype)
    by_columns, within = weight.T.contiguous().T, torch.cat([weight, weight], dim=1)[:, :70]
    assert not by_columns.is_contiguous() and not within.is_contiguous()
    for view in (by_columns, within):
        found = dense.merged_weight(view, factors, dtype)
        assert found.is_contiguous() and torch.equal(found, expected)


MARGIN = 64


@pytest.mark.parametrize("shape", [(45, 37, 20), (50, 70, 32), (7, 5, 1)], ids=str)
def test_nothing_is_read_or_written_beside_the_tensors(shape: tuple, monkeypatch: pytest.MonkeyPatch) -> None:
    weight, grad, ((first, last), (c,), alpha) = drawn(*shape, torch.float32)
    expected = dense.merged_weight(weight, Factors([first, last], [c], alpha), torch.float32)
    by_diagonals, by_circulants = dense.gradients(grad, Factors([first, last], [c], alpha))
    around: list[Tensor] = []

    def within(_: Tensor, *size: int, **__: torch.dtype) -> Tensor:
        buffer = torch.full((math.prod(size) + 2 * MARGIN,), torch.nan)
        around.extend((buffer[:MARGIN], buffer[-MARGIN:]))
        return buffer[MARGIN:-MARGIN].view(size)

    weight, grad, first, last, c = (within(t, *t.shape).copy_(t) for t in (weight, grad, first, last, c))
    monkeypatch.setattr(Tensor, "new_empty", within)
    monkeypatch.setattr(torch, "empty_like", lambda t: within(t, *t.shape))
    factors = Factors([first, last], [c], alpha)
    assert torch.equal(dense.merged_weight(weight, factors, torch.float32), expected)
    diagonals, circulants = dense.gradients(grad, factors)
    monkeypatch.undo()
    for a, b in zip([*diagonals, *circulants], [*by_diagonals, *by_circulants], strict=True):
        assert torch.equal(a, b)
    assert len(around) >= 2 * (5 + 1 + 3 + 3), "of what was given, the matrix, shares and gradients"
    assert all(bool(margin.isnan().all()) for margin in around)


@pytest.mark.parametrize(("d", "rows"), [(384, 16), (2048, 64), (4096, 128), (16384, 128)])
def test_strips_are_the_longer_the_larger_the_matrix_but_within_a_block(d: int, rows: int) -> None:
    assert dense.height_of(d * d, d) == rows
    assert dense.height_of(d * d, 5) == 5


@pytest.fixture
def launches(operators: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Layers go through "merged" as on a GPU; the kernels launched, by name."""
    found: list[str] = []
    original = operators.launch

    def launch(kernel: Any, *args: Any, **constants: Any) -> None:
        found.append(kernel.fn.__name__)
        original(kernel, *args, **constants)

    monkeypatch.setattr(operators, "launch", launch)
    monkeypatch.setenv("CDVFT_ENGINE", "fused")
    monkeypatch.setattr(dense, "supports", lambda factors, _: len(factors.circulants) == 1)
    monkeypatch.setattr(native, "supports", lambda *_: False)
    for module in (linear, autograd_ops):
        monkeypatch.setattr(module, "product_dtype", lambda x, _: x.dtype)
    return found


FORWARD, GRADIENTS = ["merge_kernel"], ["partial_sums_kernel", "sum_kernel"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(64, 64, 2, None), (50, 70, 2, 32)], ids=str)
def test_a_merged_layer_is_served_by_the_kernels(
    launches: list[str], shape: tuple, dtype: torch.dtype
) -> None:
    problem = Problem(*shape, 5, dtype=dtype)
    given = [problem.ours[0], *(t.detach().float().requires_grad_() for t in problem.ours[1:])]
    problem.exact = [t.detach().double().requires_grad_() for t in given]
    weight, bias, grad = (t.to(dtype) for t in (problem.weight, problem.bias, problem.grad))
    problem.weight, problem.bias, problem.grad = weight.double(), bias.double(), grad.double()
    out = adapted_linear(given[0], weight, bias, problem.factors(given), "merged")
    found = [out, *torch.autograd.grad(out, given, grad)]
    assert launches == FORWARD + FORWARD + GRADIENTS
    close = 1e-6 if dtype == torch.float32 else torch.finfo(dtype).eps
    assert out.dtype == dtype
    assert [far(a, b) < close for a, b in zip(found, problem.expected(), strict=True)] == [True] * 5


def test_so_is_an_update_alone_and_what_needs_no_gradient_by_x_builds_no_matrix_backward(
    launches: list[str],
) -> None:
    problem = Problem(64, 64, 2, None, 5)
    x, *vectors = problem.ours
    out = cd_linear(x.detach(), *problem.factors([x, *vectors]), "merged")
    found = torch.autograd.grad(out, vectors, problem.grad.float())
    assert launches == FORWARD + GRADIENTS
    update, leaves = exact(problem.factors([x, *vectors]))
    truth = problem.exact[0] @ update.T
    assert far(out, truth) < 1e-6
    expected = torch.autograd.grad(truth, leaves, problem.grad)
    assert [far(a, b) < 1e-6 for a, b in zip(found, expected, strict=True)] == [True] * 3


def test_they_are_launched_on_the_device_of_the_vectors(
    launches: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    weight, grad, factors = drawn(64, 64, 64, torch.float32)

    @contextmanager
    def device_of(tensor: Tensor) -> Iterator[None]:
        assert any(tensor is vector for vector in factors.diagonals)
        launches.append("here")
        yield
        launches.append("elsewhere again")

    monkeypatch.setattr(torch.cuda, "device_of", device_of)
    dense.merged_weight(weight, factors, torch.float32)
    dense.gradients(grad, factors)
    assert launches == [
        "here", *FORWARD, "elsewhere again", "here", *GRADIENTS, "elsewhere again"
    ]  # fmt: skip


def test_small_blocks_go_through_them_with_few_tokens_too(
    launches: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def on_a_gpu(*shapes: Any, **given: Any) -> cost_model.Plan:
        return cost_model.choose_plan(*shapes, **given | {"device": "cuda"})

    def chosen() -> cost_model.Plan:
        return select(torch.empty(64, 768), [first, last], [c], separate=False, backend="auto").plan

    monkeypatch.setattr(engine_choice, "choose_plan", on_a_gpu)
    _, _, ((first, last), (c,), _) = drawn(768, 768, 64, torch.float32)
    assert chosen() == cost_model.PLANS["merged"]
    monkeypatch.setattr(dense, "supports", lambda *_: False)
    assert chosen() == cost_model.PLANS["transforms"], "torch takes longer for the matrix"


def test_several_circulants_stay_with_torch(launches: list[str]) -> None:
    problem = Problem(64, 64, 3, None, 5)
    problem.check(problem.run("merged"))
    assert launches == []


def on_cuda(dtype: torch.dtype = torch.float32, count: int = 1) -> Any:
    """What `supports` looks at, of factors on a device that is not here."""
    c = SimpleNamespace(device=torch.device("cuda"), dtype=dtype)
    return SimpleNamespace(circulants=[c] * count)


def test_they_serve_one_circulant_of_float32_on_a_device_that_triton_compiles_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here = drawn(64, 64, 64, torch.float32)[2]
    monkeypatch.setattr(fused, "has_tensor_cores", lambda _: True)
    monkeypatch.setattr(fused, "AVAILABLE", True)
    assert all(dense.supports(on_cuda(), dtype) for dtype in DTYPES)
    assert not dense.supports(here, torch.float32), "Triton's kernels are none for a CPU"
    assert not dense.supports(on_cuda(), torch.float64)
    assert not dense.supports(on_cuda(torch.float64), torch.float32)
    assert not dense.supports(on_cuda(count=2), torch.float32)
    monkeypatch.setattr(fused, "AVAILABLE", False)
    assert not dense.supports(on_cuda(), torch.float32)
    monkeypatch.setattr(fused, "AVAILABLE", True)
    monkeypatch.setattr(fused, "has_tensor_cores", lambda _: False)
    assert not dense.supports(on_cuda(), torch.float32)


@pytest.mark.parametrize("mode", [Watch, FakeTensorMode])
def test_a_mode_that_watches_sees_operators_of_torch_and_no_device_is_asked(
    mode: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fused, "AVAILABLE", True)
    monkeypatch.setattr(fused, "has_tensor_cores", lambda _: pytest.fail("a fake tensor's may not exist"))
    with mode():
        assert not dense.supports(on_cuda(), torch.float32)
