"""The dense update's kernels in Triton's interpreter against the dense product in float64."""

from __future__ import annotations

import math
import platform
from contextlib import nullcontext
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

# d_out, d_in, p: whole, padded one way, tiny blocks; then several strips, wide, tall, blocks both ways
QUICK = [(64, 64, 64), (45, 37, 20), (7, 5, 1)]
NIGHTLY = [(200, 200, 200), (40, 150, 150), (96, 32, 32), (32, 192, 32), (48, 144, 48), (50, 70, 32)]
NIGHTLY += [(70, 50, 70), (9, 11, 3)]


def sampled(d_out: int, d_in: int, p: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Factors]:
    """The weight and the gradient of the matrix, with values of `dtype`, and the vectors in float32."""
    generator = torch.Generator().manual_seed(d_out + d_in + p)
    sizes = [(d_out, d_in), (d_out, d_in), (d_in,), (d_out,), (-(-d_out // p), -(-d_in // p), p)]
    weight, grad, first, last, c = (torch.randn(*size, generator=generator) for size in sizes)
    return weight.to(dtype), grad.to(dtype), Factors([first, last], [c], ALPHA)


def exact(factors: Factors) -> tuple[Tensor, list[Tensor]]:
    """alpha dW in float64, and its vectors."""
    leaves = [v.double().requires_grad_() for v in (*factors.diagonals, *factors.circulants)]
    return factors.alpha * cd_product(leaves[:2], leaves[2:]), leaves


def check_gradients(grad: Tensor, factors: Factors) -> None:
    update, leaves = exact(factors)
    diagonals, circulants = dense.gradients(grad, factors)
    assert [a.dtype for a in (*diagonals, *circulants)] == [torch.float32] * 3
    near([*diagonals, *circulants], torch.autograd.grad(update, leaves, grad.double()), 1e-6)


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        *[(shape, torch.float32) for shape in QUICK],
        *[((64, 64, 64), dtype) for dtype in DTYPES[1:]],
        *[pytest.param(shape, torch.float32, marks=pytest.mark.nightly) for shape in NIGHTLY],
    ],
    ids=str,
)
def test_dense_matches_float64(shape: tuple[int, int, int], dtype: torch.dtype) -> None:
    weight, grad, factors = sampled(*shape, dtype)
    update = exact(factors)[0]
    merged, alone = (dense.merged_weight(each, factors, dtype) for each in (weight, None))
    assert merged.dtype == alone.dtype == dtype
    close = 1e-6 if dtype == torch.float32 else torch.finfo(dtype).eps  # the interpreter truncates bfloat16
    near([merged, alone], [weight.double() + update, update], close)
    check_gradients(grad, factors)


def test_merged_weight_is_rounded_once() -> None:
    weight, _, factors = sampled(64, 64, 64, torch.float16)
    factors = factors._replace(alpha=2**-10)  # of the size of the weight's own steps
    update = dense.merged_weight(None, factors, torch.float32)
    assert torch.equal(dense.merged_weight(weight, factors, torch.float16), (weight.float() + update).half())
    assert not torch.equal((weight.float() + update).half(), weight + update.half())


def test_gradients_do_not_underflow_in_half_precision() -> None:
    _, grad, factors = sampled(64, 64, 64, torch.float16)
    check_gradients(grad, factors._replace(alpha=1e-9))


def test_gradients_are_deterministic() -> None:
    _, grad, factors = sampled(150, 200, 200, torch.float32)
    once, again = ([t for part in dense.gradients(grad, factors) for t in part] for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(once, again, strict=True))


@pytest.mark.parametrize(
    "view", [lambda w: w.T.contiguous().T, lambda w: torch.cat([w, w], dim=1)[:, : w.shape[1]]]
)
def test_weight_may_have_any_strides(view: Any) -> None:
    weight, _, factors = sampled(50, 70, 32, torch.bfloat16)
    expected = dense.merged_weight(weight, factors, torch.bfloat16)
    found = dense.merged_weight(view(weight), factors, torch.bfloat16)
    assert not view(weight).is_contiguous() and found.is_contiguous()
    assert torch.equal(found, expected)


MARGIN = 64


@pytest.mark.parametrize("shape", [(45, 37, 20), pytest.param((50, 70, 32), marks=pytest.mark.nightly)])
def test_kernels_stay_within_their_tensors(shape: tuple, monkeypatch: pytest.MonkeyPatch) -> None:
    weight, grad, factors = sampled(*shape, torch.float32)
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
    assert len(around) >= 2 * (5 + 1 + 3 + 3)  # arguments, the matrix, partial sums, gradients
    assert all(bool(margin.isnan().all()) for margin in around)


@pytest.mark.parametrize(("d", "rows"), [(384, 16), (2048, 64), (16384, 128)])
def test_strips_grow_with_the_matrix(d: int, rows: int) -> None:
    assert dense.height_of(d * d, d) == rows
    assert dense.height_of(d * d, 5) == 5


@pytest.fixture
def launches(operators: ModuleType, as_on_a_gpu: None, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of launched kernels, with "merged" layers as on a GPU."""
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
def test_merged_layers_use_the_kernels(launches: list[str], dtype: torch.dtype) -> None:
    problem = Problem(50, 70, 2, 32, 5, dtype=dtype)
    out = problem.run("merged")
    found = problem.found(out)
    assert launches == FORWARD + FORWARD + GRADIENTS
    assert out.dtype == dtype
    near(found, problem.expected(), 1e-6 if dtype == torch.float32 else torch.finfo(dtype).eps)


def test_frozen_inputs_build_no_matrix_in_backward(launches: list[str]) -> None:
    problem = Problem(64, 64, 2, None, 5, alone=True)
    for tensors in (problem.ours, problem.exact):
        tensors[0].requires_grad_(False)
    found = problem.found(problem.run("merged"))
    assert launches == FORWARD + GRADIENTS
    near(found, problem.expected(), 1e-6)


def test_kernels_launch_on_the_device_of_the_vectors(launches, monkeypatch: pytest.MonkeyPatch) -> None:
    weight, grad, factors = sampled(64, 64, 64, torch.float32)
    devices: list[Tensor] = []
    monkeypatch.setattr(torch.cuda, "device_of", lambda t: devices.append(t) or nullcontext())
    dense.merged_weight(weight, factors, torch.float32)
    dense.gradients(grad, factors)
    assert launches == FORWARD + GRADIENTS and len(devices) == 2
    assert all(any(t is vector for vector in factors.diagonals) for t in devices)


def test_small_blocks_merge_with_few_tokens(launches: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def on_a_gpu(*shapes: Any, **given: Any) -> cost_model.Plan:
        return cost_model.choose_plan(*shapes, **given | {"device": "cuda"})

    monkeypatch.setattr(engine_choice, "choose_plan", on_a_gpu)
    diagonals, circulants, _ = sampled(768, 768, 64, torch.float32)[2]
    for supported, plan in ((True, "merged"), (False, "transforms")):
        if not supported:
            monkeypatch.setattr(dense, "supports", lambda *_: False)
        chosen = select(torch.empty(64, 768), diagonals, circulants, separate=False, backend="auto")
        assert chosen.plan == cost_model.PLANS[plan]


@pytest.mark.parametrize(
    ("expected", "change"),
    [
        *[(True, {"product": dtype}) for dtype in DTYPES],
        *[(False, {key: value}) for key, value in (("product", torch.float64), ("dtype", torch.float64))],
        *[(False, {key: value}) for key, value in (("count", 2), ("triton", False), ("cores", False))],
        (False, {"device": "cpu"}),
    ],
)
def test_dense_supports(expected: bool, change: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    case = {"product": torch.float32, "dtype": torch.float32, "count": 1, "device": "cuda"} | change
    monkeypatch.setattr(fused, "AVAILABLE", case.get("triton", True))
    monkeypatch.setattr(fused, "has_tensor_cores", lambda _: case.get("cores", True))
    c = SimpleNamespace(device=torch.device(case["device"]), dtype=case["dtype"])
    factors: Any = SimpleNamespace(circulants=[c] * case["count"])
    assert dense.supports(factors, case["product"]) is expected
    for mode in (Watch, FakeTensorMode):
        with mode():
            assert not dense.supports(factors, case["product"])
