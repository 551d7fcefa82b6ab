"""A row's output and input gradient do not depend, to the bit, on what other rows of the call hold."""

from __future__ import annotations

import copy
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
"""From a layer, an input and the output's gradient to tensors with a row for each of theirs."""

SIZES = [1, 2, 3, 5, 8, 12, 24, 30, 32, 49, 64, 96, 105, 128, 192, 250, 256, 384, 768]
DTYPES = [torch.float32, torch.bfloat16, torch.float16, torch.float64]
HOSTILE = [float("nan"), float("inf"), -float("inf"), 1e6, 1e30, 0.0, 1e-40]
"""What replaces other rows, or scales them: see `hostile`."""

needs_linux = pytest.mark.skipif(
    platform.system() != "Linux", reason="needs Linux: Triton comes for it alone"
)
needs_compiler = pytest.mark.skipif(native.library() is None, reason="needs a C compiler")
examples = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))


def bits(t: Tensor) -> Tensor:
    return t.detach().contiguous().view({2: torch.int16, 4: torch.int32, 8: torch.int64}[t.element_size()])


def same_bits(found: Sequence[Tensor], expected: Sequence[Tensor]) -> bool:
    return all(torch.equal(bits(a), bits(b)) for a, b in zip(found, expected, strict=True))


def hostile(t: Tensor, row: int, first: int) -> Tensor:
    """All rows but one replaced, or scaled, by one of these values each."""
    changed = t.clone()
    for n in range(len(t)):
        value = HOSTILE[(first + n) % len(HOSTILE)]
        if n != row:
            changed[n] = t[n] * value if value in (1e6, 1e30, 1e-40) else value
    return changed


def is_independent(run: Run, problem: Problem, row: int, *firsts: int) -> bool:
    x, grad, _ = problem.frozen()
    expected = [found[row] for found in run(problem, x, grad)]
    beside = (run(problem, hostile(x, row, first), hostile(grad, row, first)) for first in firsts)
    return all(same_bits([found[row] for found in each], expected) for each in beside)


def frozen_layer(problem: Problem, x: Tensor, grad: Tensor) -> list[Tensor]:
    """Output and input gradient of the layer without an adapter, by torch alone."""
    leaf = x.clone().requires_grad_()
    out = F.linear(leaf, problem.weight.to(x.dtype), problem.bias.to(x.dtype))
    return [out, *torch.autograd.grad(out, leaf, grad)]


def adapted_layer(backend: object, alone: bool = False) -> Run:
    """Output and input gradient of a layer with its weight and an adapter, or of the update alone."""

    def run(problem: Problem, x: Tensor, grad: Tensor) -> list[Tensor]:
        leaf, problem = x.clone().requires_grad_(), copy.copy(problem)
        problem.alone = alone
        out = problem.run(backend, [leaf, *problem.ours[1:]])
        return [out, *torch.autograd.grad(out, leaf, grad.to(out.dtype))]

    return run


NATIVE = Selection("native", PLANS["transforms"])
ENGINES: dict[str, object] = {  # a plan that merges one pass alone takes the other from these
    "reference": "reference",
    "chunked, transforms": Selection("chunked", PLANS["transforms"]),
    "native, transforms": NATIVE,
    "merged": Selection("chunked", PLANS["merged"]),
}


def is_for_kernel(problem: Problem) -> bool:
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
def test_rows_are_independent_in_every_engine(engine: str, layer: Layer) -> None:
    """With the weight only where torch's own product keeps rows apart: in bfloat16 with AMX it may not."""
    assume(not engine.startswith("native") or is_for_kernel(layer[0]))
    assert is_independent(adapted_layer(ENGINES[engine], alone=True), *layer)
    if is_independent(frozen_layer, *layer):
        assert is_independent(adapted_layer(ENGINES[engine]), *layer)


@given(layers(most_tokens=6), st.integers(1, 14), st.booleans())
@examples
def test_rows_of_several_adapters_are_independent(layer: Layer, length: int, training: bool) -> None:
    problem, rows = layer[0], len(layer[0].grad)
    diagonals, circulants, _ = problem.frozen()[2]
    adapters = [Factors(diagonals, [scale * c for c in circulants], ALPHA) for scale in (1.0, -0.5)]

    def run(problem: Problem, x: Tensor, grad: Tensor) -> list[Tensor]:
        sequence = x[:, None].expand(-1, length, -1).contiguous()
        if not training:
            shares = [AdapterRows(adapters[a], "auto", [*range(a, rows, 2)]) for a in (0, 1)]
            with torch.no_grad():
                result = problem.grad.float()[:, None].expand(-1, length, -1).contiguous()
                return [add_by_row(result, sequence, shares)]
        leaf = sequence.requires_grad_()
        out = gathered_update(leaf, adapters, [n % 2 for n in range(rows)])
        return [out, *torch.autograd.grad(out, leaf, grad[:, None].expand_as(out))]

    assert is_independent(run, *layer)


# masked tiles, padded blocks both ways, several circulants; nightly: every radix, whole blocks
FUSED = [(49, 49, 2, None), (50, 70, 2, 32), (96, 96, 3, None)]
WIDE = [(64, 96, 2, 32), *((d, d, 2, None) for d in (24, 256, 512, 640, 768, 1000, 1280, 1536, 1792, 2048))]
WIDE += [(4096, 4096, 2, None)]


@needs_linux
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])  # the half precisions share their kernels
@pytest.mark.parametrize(
    "shape", [*FUSED, *(pytest.param(shape, marks=pytest.mark.nightly) for shape in WIDE)], ids=str
)
def test_rows_of_fused_kernels_are_independent(operators: ModuleType, shape: tuple, dtype) -> None:
    def run(problem: Problem, x: Tensor, grad: Tensor) -> list[Tensor]:
        factors, added = problem.frozen()[2], grad.clone()
        by_x, _ = fused.gradients(x, grad, factors, needs_x=True)
        fused.forward_(added, x, factors)
        assert by_x is not None
        return [by_x, added]

    assert is_independent(run, Problem(*shape, 5, dtype=dtype), 2, 0, 2)


@needs_compiler
@given(layers(), st.integers(1, 70))
@examples
def test_native_rows_ignore_the_number_of_rows(layer: Layer, rows: int) -> None:
    problem, row, _ = layer
    assume(row < rows and is_for_kernel(problem))
    update, (x, grad, _) = adapted_layer(NATIVE, alone=True), problem.frozen()
    whole, part = update(problem, x, grad), update(problem, x[:rows], grad[:rows])
    assert same_bits([found[row] for found in whole], [found[row] for found in part])
