"""The time CDVFT adds to a frozen layer, part by part, where the forward pass multiplies by W + alpha dW.

Where a target is missed, it shows what would have to get faster: building W + alpha dW, or the transforms of
the backward pass, and these by arithmetic or by memory traffic.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

from benchmarks.layers import Case, inputs, square
from cdvft.blocks import partition
from cdvft.circulant import Factors
from cdvft.kernels import native

CASES = (square(768, 2048), square(1024, 2048), square(2048, 2048), Case(768, 3072, 2048))
IN_CACHE = 64
"""Tokens whose rows the second-level cache holds from one call to the next."""


@torch.no_grad()
def parts(case: Case, rounds: int = 15) -> dict[str, Any]:
    """Medians in microseconds a token on one thread, every part in the order of a training step.

    Returns:
        `frozen` products W x and g W; `merging` W + alpha dW; `gradients` by the factors with what they add
        to g W; `in_cache` what these take on `IN_CACHE` tokens again and again, without what a call takes
        that has no token at all; that, spread over the tokens, is `call`.
    """
    torch.manual_seed(0)
    x, grad = (t.detach() for t in inputs(case))
    weight = torch.randn(case.d_out, case.d_in)
    part = partition(case.d_out, case.d_in)
    circulant = torch.randn(part.q1, part.q2, part.p)
    factors = Factors([torch.ones(case.d_in), torch.ones(case.d_out)], [circulant], 1.0)
    few_sum = torch.zeros(IN_CACHE, case.d_in)

    def again(tokens: int) -> None:
        native.backward(x[:tokens], grad[:tokens], factors, few_sum[:tokens])

    found: dict[str, list[float]] = {}

    def timed(name: str, run: Callable[[], Any]) -> Any:
        start = time.thread_time()
        result = run()
        found.setdefault(name, []).append(1e6 * (time.thread_time() - start))
        return result

    def step() -> None:
        merged = timed("merging", lambda: native.merged_weight(weight, factors))
        timed("forward", lambda: x @ merged.T)
        grad_x = timed("backward", lambda: grad @ weight)
        timed("gradients", lambda: native.backward(x, grad, factors, grad_x))

    for _ in range(rounds):
        step()
        for name, tokens in (("few", IN_CACHE), ("none", 0)):
            again(tokens)
            timed(name, lambda: again(tokens))  # noqa: B023
    median = {name: statistics.median(times) for name, times in found.items()}
    found_parts = {
        "frozen": (median["forward"] + median["backward"]) / case.tokens,
        "merging": median["merging"] / case.tokens,
        "gradients": median["gradients"] / case.tokens,
        "in_cache": (median["few"] - median["none"]) / IN_CACHE,
        "call": median["none"] / case.tokens,
    }
    return {"title": case.title, **case.record(), **{k: round(v, 3) for k, v in found_parts.items()}}
