"""Every way through `cdvft.kernels` against the dense product in float64, and amid what surrounds a layer."""

from __future__ import annotations

import functools
import math
from typing import Any
from unittest.mock import Mock

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kernel_problem import TOLERANCE, Problem
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from cdvft.circulant import Factors, cd_product
from cdvft.kernels import adapted_linear, cd_linear, native

# d_out, d_in, m, block size: square, blocked, padded on either side, p = 1, odd lengths, every radix, a prime
SMALL = [(8, 8, 2, None), (8, 8, 2, 1), (12, 8, 2, 4), (7, 5, 2, 3), (5, 7, 2, 7), (1, 6, 2, None)]
SMALL += [(1, 1, 2, None), (6, 9, 3, 4), (9, 6, 4, None), (11, 11, 3, None)]
LARGE = [
    *[(768, 768, 2, None), (384, 1536, 2, None), (1536, 384, 2, None), (250, 243, 2, 125), (768, 768, 2, 64)],
    *[(128, 64, 2, 8), (128, 130, 2, 2), (256, 192, 3, 64), (192, 192, 5, None)],
    (840, 840, 2, None),  # 8 * 3 * 5 * 7
    (60, 96, 2, 3),  # many small blocks
    (136, 304, 2, 8),  # 17 x 38 of them, which fill neither the lanes nor the rows taken together
    (304, 136, 2, 8),
    (288, 448, 2, 32),  # the same of larger blocks, whose gradients could be summed one by one
    (257, 256, 2, 256),  # the last block's strip is a single row
    (250, 300, 2, 160),  # padding amid the columns that the first pass takes together
    (2048, 2048, 2, None),  # more passes than stay in the smallest cache
]
WAYS = ["native", "chunked", "merged", "merged without compiler", "reference"]


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The backend's name, with the engine behind "fft" settled."""
    return settle(request.param, monkeypatch)


def settle(way: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    if way == "native" and native.library() is None:
        pytest.skip("needs a C compiler")
    if way in ("chunked", "merged without compiler"):
        monkeypatch.setattr(native, "supports", lambda *_: False)
    return "merged" if way.startswith("merged") else "reference" if way == "reference" else "fft"


@functools.lru_cache(maxsize=1)
def expected(shape: tuple, tokens: int) -> list[Tensor]:
    """Return what `Problem.expected` does, calculated once for all ways, which follow one another."""
    return Problem(*shape, tokens).expected()


@pytest.mark.parametrize(
    ("tokens", "way"),  # the C library takes tokens together; all others depend on no number of them
    [(1, "native"), (33, "native"), *[(65, way) for way in WAYS]],
    indirect=["way"],
)
@pytest.mark.parametrize("shape", SMALL + LARGE, ids=str)
def test_float32_is_within_1e_6_of_the_dense_product_in_float64(shape: tuple, tokens: int, way: Any) -> None:
    problem = Problem(*shape, tokens)
    problem.check(problem.run(way), expected=expected(shape, tokens))


@pytest.mark.parametrize("shape", SMALL, ids=str)
@pytest.mark.parametrize(("way", "alone"), [("chunked", True), ("merged", False)], indirect=["way"])
def test_gradcheck_of_first_and_second_order(shape: tuple, way: Any, alone: bool) -> None:
    problem = Problem(*shape, 2, dtype=torch.float64, alone=alone)

    def run(*tensors: Tensor) -> Tensor:
        return problem.run(way, list(tensors))

    assert torch.autograd.gradcheck(run, problem.ours)
    assert torch.autograd.gradgradcheck(run, problem.ours)


def test_gradients_of_gradients_are_those_of_the_dense_product() -> None:
    problem = Problem(8, 8, 2, None, 3)
    first = torch.autograd.grad(problem.run("fft").square().sum(), problem.ours, create_graph=True)
    second = torch.autograd.grad(sum(g.square().sum() for g in first), problem.ours)
    exact = torch.autograd.grad(problem.truth().square().sum(), problem.exact, create_graph=True)
    expected = torch.autograd.grad(sum(g.square().sum() for g in exact), problem.exact)
    torch.testing.assert_close([a.double() for a in second], list(expected), rtol=1e-4, atol=1e-4)


@given(
    sizes=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    m=st.integers(2, 4),
    share=st.floats(0, 1),
    tokens=st.integers(0, 70),
    way=st.sampled_from(WAYS),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_shape(sizes: tuple[int, int], m: int, share: float, tokens: int, way: str) -> None:
    problem = Problem(*sizes, m, max(1, math.ceil(share * max(sizes))), tokens)
    with pytest.MonkeyPatch.context() as patch:
        problem.check(problem.run(settle(way, patch)), problem.without_cancellation())


@pytest.mark.parametrize(
    "view",
    [
        lambda x: x.transpose(0, 1),
        lambda x: x[:, :1].expand(-1, 5, -1),
        lambda x: x[:1, :1].expand(7, 5, -1),
        lambda x: x.flip(-1)[::2, 1:],
        lambda x: x[0].mT.contiguous().mT,
        torch._neg_view,
        lambda x: x[0, 0],
        lambda x: x[:0],
        lambda x: x[:, :0],
    ],
    ids=["transposed", "expanded", "twice", "strided", "columns", "negated", "no batch", "none", "0 of each"],
)
@pytest.mark.parametrize("alone", [True, False])
def test_views_of_inputs_and_of_gradients(view: Any, alone: bool, way: Any) -> None:
    problem = Problem(48, 36, 2, 12, 7, 5, alone=alone)
    ours, exact = problem.ours.copy(), problem.exact.copy()
    ours[0], exact[0] = view(ours[0]), view(exact[0])
    out, truth = problem.run(way, ours), problem.truth(exact)
    for reduce in (Tensor.sum, lambda y: (y.mT if y.dim() > 1 else y).square().sum()):
        # of gradients that are expanded, and transposed
        found = torch.autograd.grad(reduce(out), problem.ours, retain_graph=True)
        expected = torch.autograd.grad(reduce(truth), problem.exact, retain_graph=True)
        for a, b in zip(found, expected, strict=True):
            assert (a.double() - b).norm() <= TOLERANCE * 10 * b.norm()


@pytest.mark.parametrize("alone", [True, False])
@pytest.mark.parametrize("frozen", ["input", "factors", "one factor"])
def test_what_is_frozen_gets_no_gradient(frozen: str, alone: bool, way: Any) -> None:
    problem = Problem(24, 24, 2, 8, 5, alone=alone)
    for tensors in (problem.ours, problem.exact):
        stopped = {"input": tensors[:1], "factors": tensors[1:], "one factor": tensors[2:3]}[frozen]
        for tensor in stopped:
            tensor.requires_grad_(False)
    problem.check(problem.run(way))


def test_a_frozen_input_spares_its_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    settle("native", monkeypatch)
    backward = Mock(side_effect=native.backward)
    monkeypatch.setattr(native, "backward", backward)
    for needed in (True, False):
        problem = Problem(8, 8, 2, None, 3)
        problem.ours[0].requires_grad_(needed)
        problem.run("fft").sum().backward()
    assert [call.args[-1] is not None for call in backward.call_args_list] == [True, False]


@pytest.mark.parametrize("alone", [True, False])
@pytest.mark.parametrize("way", WAYS[:-1], indirect=True)
def test_backward_keeps_the_input_itself_and_nothing_else_per_token(way: Any, alone: bool) -> None:
    problem = Problem(64, 64, 3, None, 2, 50, alone=alone)
    saved: list[Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t) or t, lambda t: t):
        problem.run(way)
    known = {t.data_ptr() for t in problem.ours}
    others = [t.shape for t in saved if t.data_ptr() not in known]
    assert others == ([] if alone else [problem.weight.shape])


def test_checkpointing_inference_mode_and_no_grad(way: Any) -> None:
    problem = Problem(24, 24, 2, None, 5)
    out = checkpoint(lambda *tensors: problem.run(way, list(tensors)), *problem.ours, use_reentrant=False)
    problem.check(out)
    for mode in (torch.inference_mode, torch.no_grad):
        with mode():
            out = problem.run(way)
            assert not out.requires_grad
            assert (out.double() - problem.truth()).norm() <= TOLERANCE * out.norm()
    problem.check(problem.run(way))  # spectra made in inference mode still serve training


def test_autocast_leaves_the_update_alone(way: Any) -> None:
    problem = Problem(48, 48, 2, 16, 9)
    x, factors = problem.ours[0], problem.factors(problem.ours)
    expected = cd_linear(x, *factors, way)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = problem.found(cd_linear(x, *factors, way))
    torch.testing.assert_close(found, problem.found(expected), rtol=0, atol=0)


@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_an_update_a_thousand_times_smaller_than_a_half_precision_weight_survives(dtype, biased, way) -> None:
    problem = Problem(256, 256, 2, None, 512)
    x, weight = problem.ours[0].detach().to(dtype), problem.weight.to(dtype)
    bias = (0.1 * problem.bias).to(dtype) if biased else None
    diagonals, circulants, _ = problem.factors([t.detach() for t in problem.ours])
    bare = nn.functional.linear(x, weight, bias)
    update = cd_product(diagonals, circulants)
    alpha = float(1e-3 * weight.float().norm() / update.norm())
    out = adapted_linear(x, weight, bias, Factors(diagonals, circulants, alpha), way)
    expected = alpha * (x.float() @ update.T)
    kept = ((out.float() - bare.float()) * expected).sum() / expected.square().sum()
    assert out.dtype == dtype
    assert kept == pytest.approx(1, abs=0.05)
    rounded_twice = (bare.float() + expected).to(dtype).float() - bare.float()
    if dtype == torch.bfloat16:  # the loss that is avoided
        assert (rounded_twice * expected).sum() < 0.8 * expected.square().sum()


def test_a_zero_update_leaves_half_precision_outputs_as_they_are() -> None:
    problem = Problem(64, 64, 2, None, 33)
    x, weight, bias = (t.detach().bfloat16() for t in (problem.ours[0], problem.weight, problem.bias))
    (first, last), circulants, alpha = problem.factors(problem.ours)
    out = adapted_linear(x, weight, bias, Factors([first, torch.zeros_like(last)], circulants, alpha))
    assert torch.equal(out, nn.functional.linear(x, weight, bias))


@pytest.mark.parametrize("trained", ["weight", "bias"])
def test_a_base_that_trains_gets_its_gradient(trained: str) -> None:
    problem = Problem(8, 8, 2, None, 5)
    base = {"weight": problem.weight.float(), "bias": problem.bias.float()}
    base[trained].requires_grad_()
    adapted_linear(problem.ours[0], **base, factors=problem.factors(problem.ours)).sum().backward()
    expected = {"weight": problem.exact[0].sum(0).expand(8, 8), "bias": torch.full((8,), 5.0)}[trained]
    torch.testing.assert_close(base[trained].grad, expected.float())
