"""A row's output and input gradient depend, to the bit, on nothing that other rows of the same call hold."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Sequence
from types import ModuleType

import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from kernel_problem import ALPHA, Problem
from torch import Tensor

from cdvft.circulant import Factors
from cdvft.kernels import cd_linear, fused, native
from cdvft.kernels.batched_adapters import AdapterRows, add_by_row, gathered_update
from cdvft.kernels.cost_model import PLANS
from cdvft.kernels.engine_choice import Selection

Run = Callable[[Problem, Tensor, Tensor], list[Tensor]]
"""Of a layer, an input and the gradient of its output: what has a row for each of theirs."""

SIZES = [1, 2, 3, 5, 8, 12, 24, 30, 32, 49, 64, 96, 105, 128, 192, 250, 256, 384, 768]
DTYPES = [torch.float32, torch.bfloat16, torch.float16, torch.float64]
HOSTILE = [float("nan"), float("inf"), -float("inf"), 1e6, 1e30, 0.0, 1e-40]
"""What replaces other rows, or by how much they are multiplied: see `hostile`."""

needs_linux = pytest.mark.skipif(
    platform.system() != "Linux", reason="needs Linux: Triton comes for it alone"
)
needs_compiler = pytest.mark.skipif(native.library() is None, reason="needs a C compiler")
examples = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


def bits(t: Tensor) -> Tensor:
    return t.detach().contiguous().view({2: torch.int16, 4: torch.int32, 8: torch.int64}[t.element_size()])


def hostile(t: Tensor, row: int, value: float) -> Tensor:
    """All rows but one as somebody else might send them: of that value, or their own times that value."""
    changed = t * value if value in (1e6, 1e30, 1e-40) else torch.full_like(t, value)
    changed[row] = t[row]
    return changed


def kept_apart(run: Run, problem: Problem, row: int, value: float) -> list[bool]:
    """Whether one row is as it was beside hostile ones, in the input, in the gradient, and in both."""
    x, grad = problem.ours[0].detach(), problem.grad.to(problem.dtype)
    expected = [bits(found[row]) for found in run(problem, x, grad)]
    worse_x, worse_grad = hostile(x, row, value), hostile(grad, row, value)
    return [
        torch.equal(bits(found[row]), wanted)
        for own_x, own_grad in ((worse_x, grad), (x, worse_grad), (worse_x, worse_grad))
        for found, wanted in zip(run(problem, own_x, own_grad), expected, strict=True)
    ]


def independent(run: Run, problem: Problem, row: int, value: float) -> None:
    assert all(kept_apart(run, problem, row, value))


def frozen_layer(problem: Problem, x: Tensor, grad: Tensor) -> list[Tensor]:
    """Output and input gradient of the layer without an adapter, by torch alone."""
    leaf = x.clone().requires_grad_()
    out = F.linear(leaf, problem.weight.to(x.dtype), problem.bias.to(x.dtype))
    return [out, *torch.autograd.grad(out, leaf, grad)]


def adapted_layer(backend: object) -> Run:
    """Output and input gradient of a layer with its weight."""

    def run(problem: Problem, x: Tensor, grad: Tensor) -> list[Tensor]:
        leaf, trained = x.clone().requires_grad_(), [v.detach().requires_grad_() for v in problem.ours[1:]]
        out = problem.run(backend, [leaf, *trained])
        return [out, *torch.autograd.grad(out, leaf, grad.to(out.dtype))]

    return run


def update_alone(backend: object) -> Run:
    """The same of the update, without its weight."""

    def run(problem: Problem, x: Tensor, grad: Tensor) -> list[Tensor]:
        leaf, trained = x.clone().requires_grad_(), [v.detach().requires_grad_() for v in problem.ours[1:]]
        update = cd_linear(leaf, *problem.factors([leaf, *trained]), backend)  # type: ignore[arg-type]
        return [update, *torch.autograd.grad(update, leaf, grad.to(update.dtype))]

    return run


ENGINES: dict[str, object] = {
    "reference": "reference",
    **{f"chunked, {way}": Selection("chunked", plan) for way, plan in PLANS.items()},
    **{f"native, {way}": Selection("native", plan) for way, plan in PLANS.items()},
}


def is_for_kernel(problem: Problem) -> bool:
    """It calculates in float32, whichever narrower dtype a layer has."""
    circulants = problem.factors(problem.ours).circulants
    return problem.dtype != torch.float64 and native.supports(
        problem.ours[0], [c.float() for c in circulants]
    )


@st.composite
def layers(
    draw: st.DrawFn, most_tokens: int = 70, dtypes: Sequence[torch.dtype] = (torch.float32,)
) -> tuple[Problem, int]:
    """A layer of any shape and one of its tokens."""
    p = draw(st.sampled_from(SIZES))
    blocks = draw(st.tuples(*[st.integers(1, 5)] * 2)) if p < 100 else (1, 1)
    cut = draw(st.integers(0, min(p - 1, 3)))
    tokens = draw(st.integers(2, most_tokens))
    problem = Problem(
        blocks[0] * p - cut,
        blocks[1] * p,
        draw(st.integers(2, 3)),
        p,
        tokens,
        dtype=draw(st.sampled_from(dtypes)),
    )
    return problem, draw(st.integers(0, tokens - 1))


@pytest.mark.parametrize("engine", ENGINES)
@given(layers(dtypes=DTYPES), st.sampled_from(HOSTILE))
@examples
def test_of_every_engine_and_way(engine: str, layer: tuple[Problem, int], value: float) -> None:
    """Where torch's own product keeps rows apart; in bfloat16 with AMX it does not of odd widths."""
    assume(not engine.startswith("native") or is_for_kernel(layer[0]))
    independent(update_alone(ENGINES[engine]), *layer, value)
    if all(kept_apart(frozen_layer, *layer, value)):
        independent(adapted_layer(ENGINES[engine]), *layer, value)


@needs_compiler
@pytest.mark.parametrize("value", HOSTILE)
def test_beside_each_of_the_rows_that_a_register_holds(value: float) -> None:
    problem = Problem(768, 768, 2, None, 40)
    for row in (0, 8, 16, 17, 39):
        independent(update_alone(ENGINES["native, transforms"]), problem, row, value)
        independent(adapted_layer(ENGINES["native, transforms"]), problem, row, value)


@needs_compiler
@given(layers(most_tokens=native.FEW_TOKENS), st.sampled_from(HOSTILE))
@examples
def test_of_the_kernel_for_few_tokens(layer: tuple[Problem, int], value: float) -> None:
    assume(is_for_kernel(layer[0]))

    def run(problem: Problem, x: Tensor, grad: Tensor) -> list[Tensor]:
        factors = problem.factors([t.detach() for t in problem.ours])
        y = problem.grad.float().clone()
        native.prepared_forward(factors)(y, x, len(x), ALPHA)
        return [y]

    independent(run, *layer, value)


@given(layers(most_tokens=6), st.integers(1, 14), st.booleans(), st.sampled_from(HOSTILE))
@examples
def test_of_many_adapters_in_one_batch(
    layer: tuple[Problem, int], length: int, training: bool, value: float
) -> None:
    problem, row = layer
    rows = len(problem.ours[0])
    diagonals, circulants, _ = problem.factors([t.detach() for t in problem.ours])
    adapters = [Factors(diagonals, [scale * c for c in circulants], ALPHA) for scale in (1.0, -0.5)]
    own = [n % 2 for n in range(rows)]

    def run(problem: Problem, x: Tensor, grad: Tensor) -> list[Tensor]:
        sequence = x[:, None].expand(-1, length, -1).contiguous()
        if not training:
            shares = [
                AdapterRows(adapters[a], "auto", [n for n in range(rows) if own[n] == a]) for a in (0, 1)
            ]
            with torch.no_grad():
                result = problem.grad.float()[:, None].expand(-1, length, -1).contiguous()
                return [add_by_row(result, sequence, shares)]
        leaf = sequence.requires_grad_()
        out = gathered_update(leaf, adapters, own)
        return [out, *torch.autograd.grad(out, leaf, grad[:, None].expand_as(out))]

    independent(run, problem, row, value)


FUSED_SHAPES = [
    # d_out, d_in, m, block size: masked tiles, whole ones, padded blocks both ways, several circulants
    *[(d, d, 2, None) for d in (24, 49, 256)],
    *[(50, 70, 2, 32), (96, 96, 3, None)],
]
if os.environ.get("CDVFT_WIDE"):  # every radix, whole blocks; a quarter of an hour in the interpreter
    FUSED_SHAPES += [(64, 96, 2, 32)]
    FUSED_SHAPES += [(d, d, 2, None) for d in (512, 640, 768, 1000, 1280, 1536, 1792, 2048, 4096)]


@needs_linux
@pytest.mark.parametrize(
    ("shape", "dtype"),
    [  # the half precisions share their kernels
        *[(shape, torch.float32) for shape in FUSED_SHAPES],
        *[(shape, (torch.bfloat16, torch.float16)[place % 2]) for place, shape in enumerate(FUSED_SHAPES)],
    ],
    ids=str,
)
def test_of_the_fused_kernels(operators: ModuleType, shape: tuple, dtype: torch.dtype) -> None:
    """In Triton's interpreter, where programs take several tokens one after the other.

    It is slow: each of the other rows is hostile in a way of its own, all of them in two calls.
    """
    problem = Problem(*shape, 5, dtype=dtype)
    vectors = problem.factors([t.detach().float() for t in problem.ours])

    def run(x: Tensor, grad: Tensor) -> list[Tensor]:
        by_x, _ = fused.gradients(x, grad, vectors, needs_x=True)
        assert by_x is not None
        added = grad.clone()
        fused.forward_(added, x, vectors)
        return [fused.update(x, vectors), by_x, added]

    x, grad = problem.ours[0].detach(), problem.grad.to(dtype)
    row, others = 2, (0, 1, 3, 4)
    expected = [bits(found[row]) for found in run(x, grad)]
    for values in (HOSTILE[:4], HOSTILE[3:]):
        worse_x, worse_grad = x.clone(), grad.clone()
        for place, value in zip(others, values, strict=True):
            worse_x[place] = hostile(x, row, value)[place]
            worse_grad[place] = hostile(grad, row, value)[place]
        found = [bits(t[row]) for t in run(worse_x, worse_grad)]
        assert [torch.equal(a, b) for a, b in zip(found, expected, strict=True)] == [True] * len(expected)


@needs_linux
@given(st.sampled_from(FUSED_SHAPES[:5]), st.integers(2, 6), st.integers(1, 6), st.data())
@settings(examples, max_examples=6)
def test_the_fused_kernels_give_a_row_the_same_however_many_rows_there_are(
    operators: ModuleType, shape: tuple, rows: int, fewer: int, data: st.DataObject
) -> None:
    problem = Problem(*shape, rows, dtype=data.draw(st.sampled_from([torch.float32, torch.bfloat16])))
    x, grad = problem.ours[0].detach(), problem.grad.to(problem.dtype)
    vectors = problem.factors([t.detach().float() for t in problem.ours])
    count = min(rows, fewer)
    whole, part = (
        [fused.update(x[:n], vectors), fused.gradients(x[:n], grad[:n], vectors, needs_x=True)[0]]
        for n in (rows, count)
    )
    for a, b in zip(whole, part, strict=True):
        assert a is not None and b is not None
        assert torch.equal(bits(a[:count]), bits(b))


@needs_compiler
@given(layers(), st.integers(1, 70))
@examples
def test_the_compiled_kernel_gives_a_row_the_same_however_many_rows_there_are(
    layer: tuple[Problem, int], rows: int
) -> None:
    problem, row = layer
    x, grad = problem.ours[0].detach(), problem.grad.float()
    assume(row < rows and is_for_kernel(problem))

    def update(x: Tensor, grad: Tensor) -> list[Tensor]:
        leaf = x.clone().requires_grad_()
        y = cd_linear(leaf, *problem.factors(problem.ours), Selection("native", PLANS["transforms"]))  # type: ignore[arg-type]
        return [y, *torch.autograd.grad(y, leaf, grad)]

    for a, b in zip(update(x, grad), update(x[:rows], grad[:rows]), strict=True):
        assert torch.equal(bits(a[row]), bits(b[row]))


def test_an_expected_row_is_not_all_zeros_or_nan() -> None:
    """Else nothing above would show anything."""
    problem = Problem(24, 24, 2, None, 5)
    for run in (update_alone("reference"), adapted_layer("reference"), frozen_layer):
        for found in run(problem, problem.ours[0].detach(), problem.grad.float()):
            assert found.isfinite().all() and (found != 0).all()
