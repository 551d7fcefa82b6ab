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
from kernel_problem import ALPHA, Problem, near
from operators_seen import Watch
from torch import Tensor
from torch._subclasses import FakeTensorMode

from cdvft.circulant import Factors, cd_product
from cdvft.kernels import cost_model, engine_choice, fused, native
from cdvft.kernels.engine_choice import select
from cdvft.kernels.fused import dense

pytestmark = [
    pytest.mark.skipif(platform.system() != "Linux", reason="needs Linux: Triton comes for it alone"),
    pytest.mark.usefixtures("operators"),
]
DTYPES = (torch.float32, torch.bfloat16, torch.float16)

# whole, in several strips and pieces; wide, tall, blocks both ways; padded one way and the other; tiny blocks
SHAPES = [(64, 64, 64), (200, 200, 200), (40, 150, 150), (96, 32, 32), (32, 192, 32), (48, 144, 48)]
SHAPES += [(50, 70, 32), (70, 50, 70), (45, 37, 20), (9, 11, 3), (7, 5, 1)]


def drawn(d_out: int, d_in: int, p: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Factors]:
    """The weight, the gradient of the matrix, both of values that `dtype` has, and the vectors in float32."""
    generator = torch.Generator().manual_seed(d_out + d_in + p)
    sizes = [(d_out, d_in), (d_out, d_in), (d_in,), (d_out,), (-(-d_out // p), -(-d_in // p), p)]
    weight, grad, first, last, c = (torch.randn(*size, generator=generator) for size in sizes)
    return weight.to(dtype), grad.to(dtype), Factors([first, last], [c], ALPHA)


def exact(factors: Factors) -> tuple[Tensor, list[Tensor]]:
    """alpha dW in float64, and the vectors it is made of."""
    leaves = [v.double().requires_grad_() for v in (*factors.diagonals, *factors.circulants)]
    return factors.alpha * cd_product(leaves[:2], leaves[2:]), leaves


def check_gradients(grad: Tensor, factors: Factors) -> None:
    """Against those of the dense product."""
    update, leaves = exact(factors)
    diagonals, circulants = dense.gradients(grad, factors)
    assert [a.dtype for a in (*diagonals, *circulants)] == [torch.float32] * 3
    near([*diagonals, *circulants], torch.autograd.grad(update, leaves, grad.double()), 1e-6)


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        *[(shape, torch.float32) for shape in SHAPES],
        *[(shape, dtype) for shape in SHAPES[::5] for dtype in (torch.bfloat16, torch.float16)],
    ],
    ids=str,
)
def test_the_matrix_the_update_alone_and_the_gradients_are_of_the_dense_product(shape, dtype) -> None:
    weight, grad, factors = drawn(*shape, dtype)
    update = exact(factors)[0]
    merged, alone = (dense.merged_weight(one, factors, dtype) for one in (weight, None))
    assert merged.dtype == alone.dtype == dtype
    close = 1e-6 if dtype == torch.float32 else torch.finfo(dtype).eps  # the interpreter cuts bfloat16 off
    near([merged, alone], [weight.double() + update, update], close)
    check_gradients(grad, factors)


def test_the_sum_of_weight_and_update_is_rounded_once() -> None:
    weight, _, factors = drawn(64, 64, 64, torch.float16)
    factors = factors._replace(alpha=2**-10)  # of the size of the weight's own steps
    update = dense.merged_weight(None, factors, torch.float32)
    assert torch.equal(dense.merged_weight(weight, factors, torch.float16), (weight.float() + update).half())
    assert not torch.equal((weight.float() + update).half(), weight + update.half()), "rounding twice is seen"


def test_a_scale_below_half_precision_does_not_underflow_in_the_gradients() -> None:
    _, grad, factors = drawn(64, 64, 64, torch.float16)
    check_gradients(grad, factors._replace(alpha=1e-9))


def test_shares_are_added_in_the_same_order_each_time() -> None:
    _, grad, factors = drawn(150, 200, 200, torch.float32)
    once, again = (dense.gradients(grad, factors) for _ in range(2))
    assert all(torch.equal(a, b) for one in zip(once, again, strict=True) for a, b in zip(*one, strict=True))


def test_a_weight_may_lie_by_columns_or_within_another() -> None:
    weight, _, factors = drawn(50, 70, 32, torch.bfloat16)
    expected = dense.merged_weight(weight, factors, torch.bfloat16)
    by_columns, within = weight.T.contiguous().T, torch.cat([weight, weight], dim=1)[:, :70]
    assert not by_columns.is_contiguous() and not within.is_contiguous()
    for view in (by_columns, within):
        found = dense.merged_weight(view, factors, torch.bfloat16)
        assert found.is_contiguous() and torch.equal(found, expected)


MARGIN = 64


@pytest.mark.parametrize("shape", [(45, 37, 20), (50, 70, 32), (7, 5, 1)], ids=str)
def test_nothing_is_read_or_written_beside_the_tensors(shape: tuple, monkeypatch: pytest.MonkeyPatch) -> None:
    weight, grad, factors = drawn(*shape, torch.float32)
    expected = dense.merged_weight(weight, factors, torch.float32)
    by_diagonals, by_circulants = dense.gradients(grad, factors)
    around: list[Tensor] = []

    def within(_: Tensor, *size: int, **__: torch.dtype) -> Tensor:
        buffer = torch.full((math.prod(size) + 2 * MARGIN,), torch.nan)
        around.extend((buffer[:MARGIN], buffer[-MARGIN:]))
        return buffer[MARGIN:-MARGIN].view(size)

    (first, last), (c,), alpha = factors
    weight, grad, first, last, c = (within(t, *t.shape).copy_(t) for t in (weight, grad, first, last, c))
    monkeypatch.setattr(Tensor, "new_empty", within)
    monkeypatch.setattr(torch, "empty_like", lambda t: within(t, *t.shape))
    factors = Factors([first, last], [c], alpha)
    assert torch.equal(dense.merged_weight(weight, factors, torch.float32), expected)
    diagonals, circulants = dense.gradients(grad, factors)
    monkeypatch.undo()
    torch.testing.assert_close([*diagonals, *circulants], [*by_diagonals, *by_circulants], rtol=0, atol=0)
    assert len(around) >= 2 * (5 + 1 + 3 + 3), "of what was given, the matrix, shares and gradients"
    assert all(bool(margin.isnan().all()) for margin in around)


@pytest.mark.parametrize(("d", "rows"), [(384, 16), (2048, 64), (4096, 128), (16384, 128)])
def test_strips_are_the_longer_the_larger_the_matrix_but_within_a_block(d: int, rows: int) -> None:
    assert dense.height_of(d * d, d) == rows
    assert dense.height_of(d * d, 5) == 5


@pytest.fixture
def launches(operators: ModuleType, as_on_a_gpu: None, monkeypatch: pytest.MonkeyPatch) -> list[str]:
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
    return found


FORWARD, GRADIENTS = ["merge_kernel"], ["partial_sums_kernel", "sum_kernel"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(64, 64, 2, None), (50, 70, 2, 32)], ids=str)
def test_a_merged_layer_is_served_by_the_kernels(launches, shape: tuple, dtype: torch.dtype) -> None:
    problem = Problem(*shape, 5, dtype=dtype)
    out = problem.run("merged")
    found = problem.found(out)
    assert launches == FORWARD + FORWARD + GRADIENTS
    assert out.dtype == dtype
    near(found, problem.expected(), 1e-6 if dtype == torch.float32 else torch.finfo(dtype).eps)


def test_so_is_an_update_alone_and_what_needs_no_gradient_by_x_builds_no_matrix_backward(launches) -> None:
    problem = Problem(64, 64, 2, None, 5, alone=True)
    for tensors in (problem.ours, problem.exact):
        tensors[0].requires_grad_(False)
    found = problem.found(problem.run("merged"))
    assert launches == FORWARD + GRADIENTS
    near(found, problem.expected(), 1e-6)


def test_they_are_launched_on_the_device_of_the_vectors(launches, monkeypatch) -> None:
    weight, grad, factors = drawn(64, 64, 64, torch.float32)

    @contextmanager
    def device_of(tensor: Tensor) -> Iterator[None]:
        assert any(tensor is vector for vector in factors.diagonals)
        launches.append("here")
        yield
        launches.append("elsewhere")

    monkeypatch.setattr(torch.cuda, "device_of", device_of)
    dense.merged_weight(weight, factors, torch.float32)
    dense.gradients(grad, factors)
    assert launches == ["here", *FORWARD, "elsewhere", "here", *GRADIENTS, "elsewhere"]


def test_small_blocks_go_through_them_with_few_tokens_too(launches, monkeypatch) -> None:
    def on_a_gpu(*shapes: Any, **given: Any) -> cost_model.Plan:
        return cost_model.choose_plan(*shapes, **given | {"device": "cuda"})

    def chosen() -> cost_model.Plan:
        return select(torch.empty(64, 768), [first, last], [c], separate=False, backend="auto").plan

    monkeypatch.setattr(engine_choice, "choose_plan", on_a_gpu)
    _, _, ((first, last), (c,), _) = drawn(768, 768, 64, torch.float32)
    assert chosen() == cost_model.PLANS["merged"]
    monkeypatch.setattr(dense, "supports", lambda *_: False)
    assert chosen() == cost_model.PLANS["transforms"], "torch takes longer for the matrix"


def on_cuda(dtype: torch.dtype = torch.float32, count: int = 1) -> Any:
    """What `supports` looks at, of factors on a device that is not here."""
    c = SimpleNamespace(device=torch.device("cuda"), dtype=dtype)
    return SimpleNamespace(circulants=[c] * count)


def test_they_serve_one_circulant_of_float32_on_a_device_that_triton_compiles_for(monkeypatch) -> None:
    here = drawn(64, 64, 64, torch.float32)[2]
    monkeypatch.setattr(fused, "has_tensor_cores", lambda _: True)
    monkeypatch.setattr(fused, "AVAILABLE", True)
    assert all(dense.supports(on_cuda(), dtype) for dtype in DTYPES)
    assert not dense.supports(here, torch.float32), "Triton's kernels are none for a CPU"
    assert not dense.supports(on_cuda(), torch.float64)
    assert not dense.supports(on_cuda(torch.float64), torch.float32)
    assert not dense.supports(on_cuda(count=2), torch.float32)
    for lacking, value in (("AVAILABLE", False), ("has_tensor_cores", lambda _: False)):
        with monkeypatch.context() as patch:
            patch.setattr(fused, lacking, value)
            assert not dense.supports(on_cuda(), torch.float32)


@pytest.mark.parametrize("mode", [Watch, FakeTensorMode])
def test_a_mode_that_watches_sees_operators_of_torch_and_no_device_is_asked(mode: type, monkeypatch) -> None:
    monkeypatch.setattr(fused, "AVAILABLE", True)
    monkeypatch.setattr(fused, "has_tensor_cores", lambda _: pytest.fail("a fake tensor's may not exist"))
    with mode():
        assert not dense.supports(on_cuda(), torch.float32)
