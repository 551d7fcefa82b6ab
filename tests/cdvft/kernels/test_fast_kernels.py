"""Every engine of `cdvft.kernels` against the dense product in float64."""

from __future__ import annotations

import functools
import math
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kernel_problem import TOLERANCE, Problem
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from cdvft.circulant import Factors, cd_product
from cdvft.kernels import adapted_linear, native

# d_out, d_in, m, block size
SMALL = [(8, 8, 2, None), (7, 5, 2, 3), (1, 1, 2, None), (6, 9, 3, 4), (9, 6, 4, None)]
QUICK = [*SMALL, (8, 8, 2, 1), (768, 768, 2, None), (384, 1536, 2, None), (192, 192, 5, None)]
QUICK += [(250, 243, 2, 125), (136, 304, 2, 8)]  # neither fills the lanes
NIGHTLY = [
    *[(12, 8, 2, 4), (5, 7, 2, 7), (1, 6, 2, None), (11, 11, 3, None), (1536, 384, 2, None)],
    *[(768, 768, 2, 64), (128, 64, 2, 8), (128, 130, 2, 2), (256, 192, 3, 64), (840, 840, 2, None)],
    *[(60, 96, 2, 3), (304, 136, 2, 8), (288, 448, 2, 32)],
    (257, 256, 2, 256),  # the last block's strip is a single row
    (250, 300, 2, 160),  # padding within the columns that the first pass takes together
    (2048, 2048, 2, None),  # more passes than stay in the smallest cache
]
SHAPES = [*QUICK, *(pytest.param(shape, marks=pytest.mark.nightly) for shape in NIGHTLY)]
ENGINES = ["native", "chunked", "merged", "merged without compiler", "reference"]


@pytest.fixture(params=ENGINES)
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The backend's name, with the engine behind "fft" fixed."""
    return fix_engine(request.param, monkeypatch)


def fix_engine(engine: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    if engine == "native" and native.library() is None:
        pytest.skip("needs a C compiler")
    if engine in ("chunked", "merged without compiler"):
        monkeypatch.setattr(native, "supports", lambda *_: False)
    return "merged" if engine.startswith("merged") else "reference" if engine == "reference" else "fft"


@functools.lru_cache(maxsize=1)
def expected(shape: tuple, tokens: int) -> list[Tensor]:
    return Problem(*shape, tokens).expected()


@pytest.mark.parametrize(
    ("tokens", "backend"),  # only the C library computes several tokens together
    [(1, "native"), (33, "native"), *[(65, engine) for engine in ENGINES]],
    indirect=["backend"],
)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_float32_matches_dense_float64(shape: tuple, tokens: int, backend: Any) -> None:
    problem = Problem(*shape, tokens)
    problem.check(problem.run(backend), expected=expected(shape, tokens))


@pytest.mark.parametrize("shape", SMALL, ids=str)
@pytest.mark.parametrize(("backend", "alone"), [("chunked", True), ("merged", False)], indirect=["backend"])
def test_gradcheck_first_and_second_order(shape: tuple, backend: Any, alone: bool) -> None:
    problem = Problem(*shape, 2, dtype=torch.float64, alone=alone)

    def run(*tensors: Tensor) -> Tensor:
        return problem.run(backend, list(tensors))

    assert torch.autograd.gradcheck(run, problem.ours)
    assert torch.autograd.gradgradcheck(run, problem.ours)


@given(
    sizes=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    m=st.integers(2, 4),
    share=st.floats(0, 1),
    tokens=st.integers(0, 70),
    engine=st.sampled_from(ENGINES),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_shape_matches_dense(sizes: tuple, m: int, share: float, tokens: int, engine: str) -> None:
    problem = Problem(*sizes, m, max(1, math.ceil(share * max(sizes))), tokens)
    with pytest.MonkeyPatch.context() as patch:
        problem.check(problem.run(fix_engine(engine, patch)), problem.without_cancellation())


VIEWS = {
    "transposed": lambda x: x.transpose(0, 1),
    "expanded": lambda x: x[:1, :1].expand(7, 5, -1),
    "strided": lambda x: x.flip(-1)[::2, 1:],
    "columns": lambda x: x[0].mT.contiguous().mT,
    "negated": torch._neg_view,
    "one row": lambda x: x[0, 0],
    "empty": lambda x: x[:, :0],
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
@pytest.mark.parametrize("alone", [True, False])
def test_views_of_inputs_and_gradients(view: Any, alone: bool, backend: Any) -> None:
    problem = Problem(48, 36, 2, 12, 7, 5, alone=alone)
    ours, exact = problem.ours.copy(), problem.exact.copy()
    ours[0], exact[0] = view(ours[0]), view(exact[0])
    out, truth = problem.run(backend, ours), problem.truth(exact)
    for reduce in (Tensor.sum, lambda y: (y.mT if y.dim() > 1 else y).square().sum()):
        # expanded gradients, then transposed ones
        found = torch.autograd.grad(reduce(out), problem.ours, retain_graph=True)
        expected = torch.autograd.grad(reduce(truth), problem.exact, retain_graph=True)
        for a, b in zip(found, expected, strict=True):
            assert (a.double() - b).norm() <= TOLERANCE * 10 * b.norm()


@pytest.mark.parametrize("alone", [True, False])
@pytest.mark.parametrize("frozen", [slice(0, 1), slice(1, None), slice(2, 3)], ids=["x", "factors", "last"])
def test_frozen_tensors_get_no_gradient(frozen: slice, alone: bool, backend: Any) -> None:
    problem = Problem(24, 24, 2, 8, 5, alone=alone)
    for tensor in (*problem.ours[frozen], *problem.exact[frozen]):
        tensor.requires_grad_(False)
    problem.check(problem.run(backend))


@pytest.mark.parametrize("alone", [True, False])
@pytest.mark.parametrize("backend", ENGINES[:-1], indirect=True)
def test_backward_saves_only_the_input(backend: Any, alone: bool) -> None:
    problem = Problem(64, 64, 3, None, 2, 50, alone=alone)
    saved: list[Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t) or t, lambda t: t):
        problem.run(backend)
    known = {t.data_ptr() for t in problem.ours}
    others = [t.shape for t in saved if t.data_ptr() not in known]
    assert others == ([] if alone else [problem.weight.shape])


def test_checkpointing_and_inference_modes(backend: Any) -> None:
    problem = Problem(24, 24, 2, None, 5)
    out = checkpoint(lambda *tensors: problem.run(backend, list(tensors)), *problem.ours, use_reentrant=False)
    problem.check(out)
    for mode in (torch.inference_mode, torch.no_grad):
        with mode():
            out = problem.run(backend)
            assert not out.requires_grad
            assert (out.double() - problem.truth()).norm() <= TOLERANCE * out.norm()
    problem.check(problem.run(backend))  # spectra made in inference mode still serve training


@pytest.mark.parametrize(
    ("dtype", "biased"), [(torch.bfloat16, True), (torch.bfloat16, False), (torch.float16, True)]
)
def test_small_updates_survive_half_precision(dtype: torch.dtype, biased: bool, backend: Any) -> None:
    problem = Problem(256, 256, 2, None, 512)
    x, weight = problem.ours[0].detach().to(dtype), problem.weight.to(dtype)
    bias = (0.1 * problem.bias).to(dtype) if biased else None
    diagonals, circulants, _ = problem.factors([t.detach() for t in problem.ours])
    bare = nn.functional.linear(x, weight, bias)
    update = cd_product(diagonals, circulants)
    alpha = float(1e-3 * weight.float().norm() / update.norm())
    out = adapted_linear(x, weight, bias, Factors(diagonals, circulants, alpha), backend)
    expected = alpha * (x.float() @ update.T)
    kept = ((out.float() - bare.float()) * expected).sum() / expected.square().sum()
    assert out.dtype == dtype
    assert kept == pytest.approx(1, abs=0.05)
    if dtype == torch.bfloat16:  # rounding twice would lose a fifth
        rounded_twice = (bare.float() + expected).to(dtype).float() - bare.float()
        assert (rounded_twice * expected).sum() < 0.8 * expected.square().sum()


@pytest.mark.parametrize("trained", ["weight", "bias"])
def test_trained_base_gets_its_gradient(trained: str) -> None:
    problem = Problem(8, 8, 2, None, 5)
    base = {"weight": problem.weight.float(), "bias": problem.bias.float()}
    base[trained].requires_grad_()
    adapted_linear(problem.ours[0], **base, factors=problem.factors(problem.ours)).sum().backward()
    expected = {"weight": problem.exact[0].sum(0).expand(8, 8), "bias": torch.full((8,), 5.0)}[trained]
    torch.testing.assert_close(base[trained].grad, expected.float())
