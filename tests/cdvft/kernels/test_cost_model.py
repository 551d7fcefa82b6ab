"""The cost model's choices where they are known, and the directions in which they must lean."""

from __future__ import annotations

from typing import Any

import pytest

from cdvft.blocks import partitions
from cdvft.kernels.cost_model import MEASURED, PLANS, Plan, choose_plan

FUSED = {"device": "cuda", "engine": "fused"}


def choose(d: int, tokens: int, *, p: int | None = None, m: int = 2, **other: Any) -> Plan:
    shapes = tuple((part.q1, part.q2, part.p) for part in partitions(d, d, m, p))
    usual = {"separate": False, "engine": "native", "device": "cpu"}
    return choose_plan(shapes, (d,) * m, tokens=tokens, **usual | other)


@pytest.mark.parametrize(
    ("plan", "d", "tokens", "rest"),
    [
        *[("transforms", 768, 64, {}), ("merged forward", 768, 512, {}), ("transforms", 2048, 512, {})],
        *[("merged forward", 2048, 2048, {}), ("transforms", 4096, 2048, {}), ("transforms", 768, 0, {})],
        ("merged forward", 768, 1024, {"engine": "chunked"}),
        *[("merged", 768, 2048, {"p": 8}), ("merged forward", 768, 2048, {"p": 16})],
        ("transforms", 768, 8192, {"separate": True}),
        ("merged", 768, 8192, {"device": "cuda", "engine": "chunked"}),
        *[("transforms", 768, 256, FUSED), ("merged forward", 768, 8192, FUSED)],
        ("transforms", 4096, 8192, FUSED),
        ("merged", 768, 1, {"device": "mps"}),
    ],
)
def test_choose_plan_known_choices(plan: str, d: int, tokens: int, rest: dict) -> None:
    assert choose(d, tokens, **rest) == PLANS[plan]


@pytest.mark.parametrize("engine", MEASURED)
@pytest.mark.parametrize(("d", "m"), [(192, 2), (4096, 3)])
def test_choose_plan_merges_with_more_tokens(engine: str, d: int, m: int) -> None:
    plans = [choose(d, 1 << k, m=m, engine=engine) for k in range(20)]
    for passes in zip(*((p.merged_forward, p.merged_gradients) for p in plans), strict=True):
        assert list(passes) == sorted(passes)


@pytest.mark.parametrize("engine", MEASURED)
def test_choose_plan_merges_with_smaller_blocks(engine: str) -> None:
    plans = [choose(768, 2048, p=p, engine=engine) for p in (64, 32, 16, 8, 4, 2, 1)]
    assert [p.merged_gradients for p in plans] == sorted(p.merged_gradients for p in plans)
