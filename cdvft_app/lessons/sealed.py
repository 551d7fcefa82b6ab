"""Questions with fresh numbers, drawn and graded by the server."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from cdvft.blocks import parameter_count


@dataclass(frozen=True)
class DrawnQuestion:
    prompt: str
    answer: int


def _shift(drawn: random.Random) -> DrawnQuestion:
    n = drawn.choice((8, 12, 16))
    one, other = drawn.randrange(1, n), drawn.randrange(1, n)
    return DrawnQuestion(
        f"c and x have {n} numbers, counted from 0. Of c only number {one} is not zero, of x only "
        f"number {other}. "
        "Which number of circ(c) x is not zero?",
        (one + other) % n,
    )


def _rank(drawn: random.Random) -> DrawnQuestion:
    n = drawn.choice((12, 16, 20))
    zeros, pairs = drawn.randrange(2, n // 2), drawn.randrange(2, n // 3)
    return DrawnQuestion(
        f"d = {n}. The first {zeros} numbers of a₁ are zero, no other of it and none of a₃; in FFT(c) "
        f"{pairs} pairs of waves are silenced, and nothing else. "
        "What is the rank of diag(a₃) circ(c) diag(a₁)?",
        min(n - zeros, n - 2 * pairs),
    )


def _numbers(drawn: random.Random) -> DrawnQuestion:
    p = drawn.choice((32, 48, 64, 96))
    d_in, d_out = p * drawn.randrange(2, 9), p * drawn.randrange(2, 9)
    return DrawnQuestion(
        f"A layer from {d_in} to {d_out}, CDVFT with m = 2 and blocks of side p = {p}: how many numbers are "
        "trained?",
        parameter_count(d_out, d_in, 2, p),
    )


KINDS: dict[str, Callable[[random.Random], DrawnQuestion]] = {
    "shift": _shift,
    "rank": _rank,
    "blocks": _numbers,
}
"""By the lesson that a question is on."""


def draw(kind: str, drawn: random.Random | None = None) -> DrawnQuestion:
    return KINDS[kind](drawn or random.SystemRandom())
