"""The cost model's choices where they are known, and the directions in which they must lean."""

from __future__ import annotations

from typing import Any

import pytest

from cdvft.blocks import partitions
from cdvft.kernels.cost_model import MEASURED, PLANS, Plan, choose_plan


def ask(d: int, tokens: int, *, p: int | None = None, m: int = 2, **other: Any) -> Plan:
    shapes = tuple((part.q1, part.q2, part.p) for part in partitions(d, d, m, p))
    usual = {"separate": False, "engine": "native", "device": "cpu"}
    return choose_plan(shapes, (d,) * m, tokens=tokens, **usual | other)


@pytest.mark.parametrize(
    ("plan", "d", "tokens", "rest"),
    [
        ("transforms", 768, 64, {}),
        ("merged forward", 768, 512, {}),
        ("transforms", 2048, 512, {}),
        ("merged forward", 2048, 2048, {}),
        ("transforms", 4096, 2048, {}),
        ("merged forward", 768, 1024, {"engine": "chunked"}),
        ("merged", 768, 8192, {"p": 4}),
        ("merged", 768, 2048, {"p": 8}),
        ("merged forward", 768, 2048, {"p": 16}),
        ("transforms", 768, 0, {}),
        ("transforms", 768, 8192, {"separate": True}),
        ("merged", 768, 8192, {"device": "cuda", "engine": "chunked"}),
        ("transforms", 768, 256, {"device": "cuda", "engine": "fused"}),
        ("merged", 768, 8192, {"device": "cuda", "engine": "fused"}),
        ("merged forward", 4096, 8192, {"device": "cuda", "engine": "fused"}),
        # of several circulants torch builds the matrix
        ("merged forward", 768, 8192, {"m": 3, "device": "cuda", "engine": "fused"}),
        ("merged", 768, 1, {"device": "mps"}),
    ],
)
def test_known_choices(plan: str, d: int, tokens: int, rest: dict) -> None:
    assert ask(d, tokens, **rest) == PLANS[plan]


@pytest.mark.parametrize("engine", MEASURED)
@pytest.mark.parametrize("d", [192, 768, 4096])
@pytest.mark.parametrize("m", [2, 3])
def test_more_tokens_never_argue_for_transforms(engine: str, d: int, m: int) -> None:
    plans = [ask(d, 1 << k, m=m, engine=engine) for k in range(20)]
    for passes in zip(*((p.merged_forward, p.merged_gradients) for p in plans), strict=True):
        assert list(passes) == sorted(passes)


@pytest.mark.parametrize("engine", MEASURED)
def test_smaller_blocks_never_argue_for_transforms(engine: str) -> None:
    plans = [ask(768, 2048, p=p, engine=engine) for p in (64, 32, 16, 8, 4, 2, 1)]
    assert [p.merged_gradients for p in plans] == sorted(p.merged_gradients for p in plans)
