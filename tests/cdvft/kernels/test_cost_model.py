"""The cost model's choices where they are known, and the directions in which they must lean."""

from __future__ import annotations

from typing import Any

import pytest

from cdvft.blocks import partitions
from cdvft.kernels.cost_model import MEASURED, Plan, choose_plan


def choose(d: int, tokens: int, *, p: int | None = None, m: int = 2, **other: Any) -> Plan:
    shapes = tuple((part.q1, part.q2, part.p) for part in partitions(d, d, m, p))
    usual = {"separate": False, "engine": "native", "device": "cpu"}
    return choose_plan(shapes, (d,) * m, tokens=tokens, **usual | other)


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
