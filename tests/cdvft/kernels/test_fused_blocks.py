"""The fused kernels for blocks of circulants in Triton's interpreter."""

from __future__ import annotations

import platform

import pytest
import torch
from fused_problem import far
from kernel_problem import Problem
from operators_seen import Watch

from cdvft.kernels import adapted_linear, fused, native
from cdvft.kernels.engine_choice import select
from cdvft.kernels.fused.plan import plan_for

pytestmark = [
    pytest.mark.skipif(platform.system() != "Linux", reason="needs Linux: Triton comes for it alone"),
    pytest.mark.usefixtures("operators"),
]


# wide, tall, in blocks both ways, padded, whole but not square, every radix, more circulants
SHAPES = [
    (64, 32, 2, 32, 5),
    (32, 64, 2, 32, 5),
    (64, 96, 2, 32, 3),
    (50, 70, 2, 32, 3),
    (40, 48, 2, 48, 3),
    (512, 1024, 2, 512, 3),
    (768, 1536, 2, 768, 3),
    (2048, 1024, 2, 1024, 1),
    (64, 32, 3, 32, 4),
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_value_and_gradients_are_those_of_the_method(shape: tuple) -> None:
    problem = Problem(*shape)
    problem.weight.zero_()
    problem.bias.zero_()
    truth, *gradients = problem.expected()
    x, grad = problem.ours[0].detach(), problem.grad.float()
    factors = problem.factors([t.detach() for t in problem.ours])
    by_x, (diagonals, circulants) = fused.gradients(x, grad, factors, needs_x=True)
    found = [fused.update(x, factors), by_x, *diagonals, *circulants]
    assert [a.shape for a in found] == [b.shape for b in (truth, *gradients)]
    assert [far(a, b) < 1e-6 for a, b in zip(found, (truth, *gradients), strict=True)] == [True] * len(found)
    bias = torch.linspace(-1, 1, shape[0])
    assert far(fused.update(x, factors, bias), truth + bias) < 1e-6


def test_it_adds_in_place_and_leaves_out_what_nobody_needs() -> None:
    problem = Problem(64, 32, 2, 32, 3)
    problem.weight.zero_()
    problem.bias.zero_()
    truth, by_x, *by_vectors = problem.expected()
    x, grad = problem.ours[0].detach(), problem.grad.float()
    factors = problem.factors([t.detach() for t in problem.ours])
    y, grad_x = torch.ones(3, 64), torch.ones(3, 32)
    fused.forward_(y, x, factors)
    with_x, without = (fused.backward(x, grad, factors, to) for to in (grad_x, None))
    assert far(y - 1, truth) < 1e-6
    assert far(grad_x - 1, by_x) < 1e-6
    for diagonals, circulants in (with_x, without):
        assert all(far(a, b) < 1e-6 for a, b in zip((*diagonals, *circulants), by_vectors, strict=True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_layer_is_served_by_it(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CDVFT_ENGINE", "fused")
    monkeypatch.setattr(fused, "supports", lambda *_: True)
    monkeypatch.setattr(native, "supports", lambda *_: False)
    problem = Problem(96, 64, 2, 32, 5, dtype=dtype)
    vectors = [t.detach().float().requires_grad_() for t in problem.ours[1:]]
    leaves = [problem.ours[0], *vectors]
    factors = problem.factors(leaves)
    assert select(leaves[0], *factors[:2], separate=False, backend="fft").engine == "fused"
    out = adapted_linear(leaves[0], problem.weight.to(dtype), problem.bias.to(dtype), factors, "fft")
    found = [out, *torch.autograd.grad(out, leaves, problem.grad.to(dtype))]
    close = 1e-6 if dtype == torch.float32 else 8e-3  # weights, vectors and gradients are rounded to it too
    assert out.dtype == dtype
    assert [far(a, b) < close for a, b in zip(found, problem.expected(), strict=True)] == [True] * 5


def test_a_mode_that_watches_sees_one_operator_with_its_gradients() -> None:
    problem = Problem(64, 32, 2, 32, 3)
    factors = problem.factors([t.detach() for t in problem.ours])
    with Watch() as seen:
        watched = fused.update(problem.ours[0].detach(), factors)
    assert torch.equal(watched, fused.update(problem.ours[0].detach(), factors))
    assert seen.names.count("cdvft.update") == 1
    (stage,) = fused.stages(factors)
    torch.library.opcheck(
        torch.ops.cdvft.update.default,
        (problem.ours[0].detach(), *stage),
        test_utils=("test_schema", "test_faketensor"),
    )


def test_no_tokens_give_no_update_and_gradients_of_zero() -> None:
    problem = Problem(96, 64, 2, 32, 0)
    factors = problem.factors([t.detach() for t in problem.ours])
    assert fused.update(torch.empty(0, 64), factors).shape == (0, 96)
    by_x, (diagonals, circulants) = fused.gradients(torch.empty(0, 64), torch.empty(0, 96), factors, True)
    assert by_x is not None and by_x.shape == (0, 64)
    assert not any(v.any() for v in (*diagonals, *circulants))


def test_small_blocks_are_for_other_engines() -> None:
    wasteful, filling = plan_for(64), plan_for(128)
    assert wasteful is not None and wasteful.waste > fused.MAX_WASTE
    assert filling is not None and filling.waste <= fused.MAX_WASTE
    assert not fused.supports_shapes([torch.empty(2, 2, 64)])
    assert fused.supports_shapes([torch.empty(2, 2, 128)])
