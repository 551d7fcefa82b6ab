"""The cost model's choices where they are known, and the directions in which they must lean."""

from __future__ import annotations

import pytest

from cdvft.blocks import partitions
from cdvft.kernels.cost_model import MEASURED, Plan, choose_plan


def ask(
    d_out: int,
    d_in: int,
    tokens: int,
    *,
    p: int | None = None,
    m: int = 2,
    separate=False,
    engine="native",
    device="cpu",
) -> Plan:
    shapes = tuple((part.q1, part.q2, part.p) for part in partitions(d_out, d_in, m, p))
    sizes = (d_in, *[d_out] * (m - 1))
    return choose_plan(shapes, sizes, tokens=tokens, separate=separate, engine=engine, device=device)


@pytest.mark.parametrize(
    ("plan", "shape"),
    [
        (Plan(False, False), {"d_out": 768, "d_in": 768, "tokens": 64}),
        (Plan(True, False), {"d_out": 768, "d_in": 768, "tokens": 512}),
        (Plan(False, False), {"d_out": 2048, "d_in": 2048, "tokens": 512}),
        (Plan(True, False), {"d_out": 2048, "d_in": 2048, "tokens": 2048}),
        (Plan(False, False), {"d_out": 4096, "d_in": 4096, "tokens": 2048}),
        (Plan(True, False), {"d_out": 768, "d_in": 768, "tokens": 1024, "engine": "chunked"}),
        (Plan(True, True), {"d_out": 768, "d_in": 768, "tokens": 8192, "p": 1}),
        (Plan(True, True), {"d_out": 768, "d_in": 768, "tokens": 8192, "p": 4}),
        (Plan(True, True), {"d_out": 768, "d_in": 768, "tokens": 2048, "p": 8}),
        (Plan(True, False), {"d_out": 768, "d_in": 768, "tokens": 2048, "p": 16}),
        (Plan(False, False), {"d_out": 768, "d_in": 768, "tokens": 0}),
        (Plan(False, False), {"d_out": 768, "d_in": 768, "tokens": 8192, "separate": True}),
        (
            Plan(True, True),
            {"d_out": 768, "d_in": 768, "tokens": 8192, "device": "cuda", "engine": "chunked"},
        ),
        (
            Plan(True, True),
            {"d_out": 1024, "d_in": 1024, "tokens": 8192, "device": "cuda", "engine": "chunked"},
        ),
        (Plan(False, False), {"d_out": 768, "d_in": 768, "tokens": 256, "device": "cuda", "engine": "fused"}),
        (Plan(True, True), {"d_out": 768, "d_in": 768, "tokens": 8192, "device": "cuda", "engine": "fused"}),
        (
            Plan(True, False),  # of several circulants torch builds the matrix
            {"d_out": 768, "d_in": 768, "m": 3, "tokens": 8192, "device": "cuda", "engine": "fused"},
        ),
        (
            Plan(True, False),
            {"d_out": 4096, "d_in": 4096, "tokens": 8192, "device": "cuda", "engine": "fused"},
        ),
        (Plan(True, True), {"d_out": 768, "d_in": 768, "tokens": 1, "device": "mps"}),
    ],
)
def test_known_choices(plan: Plan, shape: dict) -> None:
    assert ask(**shape) == plan


@pytest.mark.parametrize("engine", MEASURED)
@pytest.mark.parametrize("d", [192, 768, 4096])
@pytest.mark.parametrize("m", [2, 3])
def test_more_tokens_never_argue_for_transforms(engine: str, d: int, m: int) -> None:
    plans = [ask(d, d, 1 << k, m=m, engine=engine) for k in range(20)]
    for passes in zip(*((p.merged_forward, p.merged_gradients) for p in plans), strict=True):
        assert list(passes) == sorted(passes)


@pytest.mark.parametrize("engine", MEASURED)
def test_smaller_blocks_never_argue_for_transforms(engine: str) -> None:
    plans = [ask(768, 768, 2048, p=p, engine=engine) for p in (64, 32, 16, 8, 4, 2, 1)]
    assert [p.merged_gradients for p in plans] == sorted(p.merged_gradients for p in plans)
