"""A row's output and input gradient depend, to the bit, on nothing that other rows of the same call hold."""

from __future__ import annotations

import copy
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
from cdvft.kernels import fused, native
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


def hostile(t: Tensor, row: int, first: int) -> Tensor:
    """All rows but one as others might send them: of one of these values each, or their own times it."""
    changed = t.clone()
    for n in range(len(t)):
        value = HOSTILE[(first + n) % len(HOSTILE)]
        if n != row:
            changed[n] = t[n] * value if value in (1e6, 1e30, 1e-40) else value
    return changed


def is_independent(run: Run, problem: Problem, row: int, *firsts: int) -> bool:
    """Whether one row is as it was beside hostile ones, in the input and in the gradient."""
    x, grad, _ = problem.frozen()
    expected = [bits(found[row]) for found in run(problem, x, grad)]
    beside = (run(problem, hostile(x, row, first), hostile(grad, row, first)) for first in firsts)
    return all(
        torch.equal(bits(one[row]), wanted)
        for found in beside
        for one, wanted in zip(found, expected, strict=True)
    )


def frozen_layer(problem: Problem, x: Tensor, grad: Tensor) -> list[Tensor]:
    """Output and input gradient of the layer without an adapter, by torch alone."""
    leaf = x.clone().requires_grad_()
    out = F.linear(leaf, problem.weight.to(x.dtype), problem.bias.to(x.dtype))
    return [out, *torch.autograd.grad(out, leaf, grad)]


def adapted_layer(backend: object, alone: bool = False) -> Run:
    """The same of a layer with its weight and an adapter, or of the update alone."""

    def run(problem: Problem, x: Tensor, grad: Tensor) -> list[Tensor]:
        leaf, problem = x.clone().requires_grad_(), copy.copy(problem)
        problem.alone = alone
        out = problem.run(backend, [leaf, *problem.ours[1:]])
        return [out, *torch.autograd.grad(out, leaf, grad.to(out.dtype))]

    return run


ENGINES: dict[str, object] = {  # a plan that merges one pass alone takes the other from these
    "reference": "reference",
    "chunked, transforms": Selection("chunked", PLANS["transforms"]),
    "native, transforms": Selection("native", PLANS["transforms"]),
    "merged": Selection("chunked", PLANS["merged"]),
}


def is_for_kernel(problem: Problem) -> bool:
    """It calculates in float32, whichever narrower dtype a layer has."""
    return native.supports(problem.ours[0], problem.frozen()[2].circulants)


@st.composite
def layers(
    draw: st.DrawFn, most_tokens: int = 70, dtypes: Sequence[torch.dtype] = (torch.float32,)
) -> tuple[Problem, int, int]:
    """A layer of any shape, one of its tokens, and where in `HOSTILE` the others begin."""
    p = draw(st.sampled_from(SIZES))
    blocks = draw(st.tuples(*[st.integers(1, 5)] * 2)) if p < 100 else (1, 1)
    d_out, d_in = blocks[0] * p - draw(st.integers(0, min(p - 1, 3))), blocks[1] * p
    m, tokens = draw(st.integers(2, 3)), draw(st.integers(2, most_tokens))
    problem = Problem(d_out, d_in, m, p, tokens, dtype=draw(st.sampled_from(dtypes)))
    return problem, draw(st.integers(0, tokens - 1)), draw(st.integers(0, len(HOSTILE) - 1))


Layer = tuple[Problem, int, int]


@pytest.mark.parametrize("engine", ENGINES)
@given(layers(dtypes=DTYPES))
@examples
def test_of_every_engine_and_way(engine: str, layer: Layer) -> None:
    """Where torch's own product keeps rows apart; in bfloat16 with AMX it does not of odd widths."""
    assume(not engine.startswith("native") or is_for_kernel(layer[0]))
    assert is_independent(adapted_layer(ENGINES[engine], alone=True), *layer)
    if is_independent(frozen_layer, *layer):
        assert is_independent(adapted_layer(ENGINES[engine]), *layer)


@needs_compiler
def test_beside_each_of_the_rows_that_a_register_holds() -> None:
    problem = Problem(768, 768, 2, None, 40)
    for row in (0, 8, 16, 17, 39):
        for alone in (True, False):
            run = adapted_layer(ENGINES["native, transforms"], alone)
            assert is_independent(run, problem, row, *range(len(HOSTILE)))


@needs_compiler
@given(layers(most_tokens=native.FEW_TOKENS))
@examples
def test_of_the_kernel_for_few_tokens(layer: Layer) -> None:
    assume(is_for_kernel(layer[0]))

    def run(problem: Problem, x: Tensor, grad: Tensor) -> list[Tensor]:
        y = problem.grad.float().clone()
        native.prepared_forward(problem.frozen()[2])(y, x, len(x), ALPHA)
        return [y]

    assert is_independent(run, *layer)


@given(layers(most_tokens=6), st.integers(1, 14), st.booleans())
@examples
def test_of_many_adapters_in_one_batch(layer: Layer, length: int, training: bool) -> None:
    problem, rows = layer[0], len(layer[0].grad)
    diagonals, circulants, _ = problem.frozen()[2]
    adapters = [Factors(diagonals, [scale * c for c in circulants], ALPHA) for scale in (1.0, -0.5)]
    own = [n % 2 for n in range(rows)]

    def run(problem: Problem, x: Tensor, grad: Tensor) -> list[Tensor]:
        sequence = x[:, None].expand(-1, length, -1).contiguous()
        if not training:
            shares = [AdapterRows(adapters[a], "auto", [*range(a, rows, 2)]) for a in (0, 1)]
            with torch.no_grad():
                result = problem.grad.float()[:, None].expand(-1, length, -1).contiguous()
                return [add_by_row(result, sequence, shares)]
        leaf = sequence.requires_grad_()
        out = gathered_update(leaf, adapters, own)
        return [out, *torch.autograd.grad(out, leaf, grad[:, None].expand_as(out))]

    assert is_independent(run, *layer)


# d_out, d_in, m, block size: masked tiles, whole ones, padded blocks both ways, several circulants
FUSED_SHAPES = [(49, 49, 2, None), (256, 256, 2, None), (50, 70, 2, 32), (96, 96, 3, None)]
if os.environ.get("CDVFT_WIDE"):  # every radix, whole blocks; a quarter of an hour in the interpreter
    FUSED_SHAPES += [(64, 96, 2, 32)]
    FUSED_SHAPES += [(d, d, 2, None) for d in (24, 512, 640, 768, 1000, 1280, 1536, 1792, 2048, 4096)]


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
    """In Triton's interpreter, where programs take several tokens one after the other."""

    def run(problem: Problem, x: Tensor, grad: Tensor) -> list[Tensor]:
        factors, added = problem.frozen()[2], grad.clone()
        by_x, _ = fused.gradients(x, grad, factors, needs_x=True)
        fused.forward_(added, x, factors)
        assert by_x is not None
        return [by_x, added]

    assert is_independent(run, Problem(*shape, 5, dtype=dtype), 2, 0, 2)


@needs_linux
@given(st.sampled_from(FUSED_SHAPES[:4]), st.integers(2, 6), st.integers(1, 6), st.data())
@settings(examples, max_examples=6)
def test_the_fused_kernels_give_a_row_the_same_however_many_rows_there_are(
    operators: ModuleType, shape: tuple, rows: int, fewer: int, data: st.DataObject
) -> None:
    dtype = data.draw(st.sampled_from([torch.float32, torch.bfloat16]))
    x, grad, vectors = Problem(*shape, rows, dtype=dtype).frozen()
    count = min(rows, fewer)
    whole, part = (
        [fused.update(x[:n], vectors), fused.gradients(x[:n], grad[:n], vectors, needs_x=True)[0]]
        for n in (rows, count)
    )
    assert all(torch.equal(bits(a[:count]), bits(b)) for a, b in zip(whole, part, strict=True))


@needs_compiler
@given(layers(), st.integers(1, 70))
@examples
def test_the_compiled_kernel_gives_a_row_the_same_however_many_rows_there_are(layer, rows) -> None:
    problem, row, _ = layer
    assume(row < rows and is_for_kernel(problem))
    update, (x, grad, _) = adapted_layer(ENGINES["native, transforms"], alone=True), problem.frozen()
    whole, part = update(problem, x, grad), update(problem, x[:rows], grad[:rows])
    assert all(torch.equal(bits(a[row]), bits(b[row])) for a, b in zip(whole, part, strict=True))


def test_an_expected_row_is_not_all_zeros_or_nan() -> None:
    """Else nothing above would show anything."""
    problem = Problem(24, 24, 2, None, 5)
    for run in (adapted_layer("reference", alone=True), adapted_layer("reference"), frozen_layer):
        for found in run(problem, *problem.frozen()[:2]):
            assert found.isfinite().all() and (found != 0).all()
