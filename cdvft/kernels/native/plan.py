"""How the compiled library transforms so many entries, complex or real: radixes and twiddle factors."""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import torch
from torch import Tensor

RADIXES = (7, 5, 3, 8, 4, 2)
REAL_RADIXES = (7, 5, 3, 8, 4)
"""Odd ones first, so that complex transforms of all that follows have lengths of powers of two."""
FIRST_RADIXES = (7, 8, 5, 3, 4)
"""The radixes that a first pass may have: one of 8 leaves more that stays in the cache than one of 3 or 5."""
WINDOW = 16
"""Columns loaded together; the first pass can follow at once where what it combines is a multiple apart."""


@functools.lru_cache
def radixes_of(p: int) -> tuple[int, ...] | None:
    """The radix of each pass of a complex transform in turn; None where p has a prime factor above 7."""
    radixes = []
    for radix in RADIXES:
        while p % radix == 0:
            radixes.append(radix)
            p //= radix
    return tuple(radixes) if p == 1 else None


def real_radixes_of(p: int) -> tuple[int, ...]:
    """The radix of each pass of a real transform: of even r it leaves 2 p / r entries, of odd r p / r."""
    radixes: list[int] = []
    while p > 2:
        order = REAL_RADIXES if radixes else FIRST_RADIXES
        fit = [r for r in order if p % (r if radixes else WINDOW * r) == 0]
        radix = next(iter(fit or [r for r in order if p % r == 0]))
        radixes.append(radix)
        p = _left(p, radix)
    return tuple(radixes)


def _left(p: int, radix: int) -> int:
    return p // radix * (1 if radix % 2 else 2)


class ComplexPlan(NamedTuple):
    """A complex transform of length p: its radixes, its factors, its mirrors, and the addresses of all three.

    factors: (2 p - 1), every pass's twiddle factors, then of each frequency, in the digit-reversed order in
        which the passes leave them, the turn by which it is delayed by one entry
    mirrors: (p), of each frequency in that order, the place of its negative
    """

    radixes: Tensor
    factors: Tensor
    mirrors: Tensor
    addresses: tuple[int, int, int]


_complex_plans: dict[int, ComplexPlan] = {}
"""By length. Never dropped or replaced: C code gets their addresses, which prepared calls keep."""


def complex_plan_for(p: int) -> ComplexPlan:
    """Return the plan of a length that `radixes_of` knows, on the CPU, whatever torch's default device is."""
    # Of two that are made at the same time, one alone is ever returned.
    return _complex_plans.get(p) or _complex_plans.setdefault(p, _new_complex_plan(p))


def _new_complex_plan(p: int) -> ComplexPlan:
    radixes = radixes_of(p)
    assert radixes is not None
    turns, length = [torch.empty(0, dtype=torch.float64, device="cpu")], p
    for radix in radixes:
        steps = _arange(length // radix)[:, None] * (1 + _arange(radix - 1))
        turns.append(steps.double().flatten() / length)
        length //= radix
    frequencies = _digit_reversed(p, radixes)
    turns.append(frequencies.double() / p)
    mirrors = frequencies.argsort()[-frequencies % p].to(torch.int32)
    factors = torch.exp(-2j * math.pi * torch.cat(turns)).to(torch.complex64)
    passes = torch.tensor(radixes, dtype=torch.int32, device="cpu")
    return ComplexPlan(passes, factors, mirrors, (passes.data_ptr(), factors.data_ptr(), mirrors.data_ptr()))


class RealPlan(NamedTuple):
    """A transform of a real signal of length p, as `real.h` has it.

    levels: (passes + 1, 5), the C struct `level` of each pass
    kept: the tensors that `levels` has the addresses of
    """

    levels: Tensor
    kept: tuple[object, ...]

    @property
    def address(self) -> int:
        return self.levels.data_ptr()


_real_plans: dict[int, RealPlan] = {}
"""By length, kept as `_complex_plans` are."""


def real_plan_for(p: int) -> RealPlan:
    """Return the plan of a real transform of a length that `radixes_of` knows."""
    return _real_plans.get(p) or _real_plans.setdefault(p, _new_real_plan(p))


def _new_real_plan(p: int) -> RealPlan:
    levels: list[tuple[int, ...]] = []
    kept: list[object] = []
    length = p
    for radix in real_radixes_of(p):
        m = length // radix
        steps = _arange(m)[:, None] * (1 + _arange((radix - 1) // 2))
        turns = torch.exp(-2j * math.pi * steps.double() / length).to(torch.complex64)
        plan = complex_plan_for(m)
        levels.append((radix, m, turns.data_ptr(), *plan.addresses[:2]))
        kept += [turns, plan]
        length = _left(length, radix)
    levels.append((0, length, 0, 0, 0))
    return RealPlan(torch.tensor(levels, dtype=torch.int64, device="cpu"), tuple(kept))


def _digit_reversed(p: int, radixes: tuple[int, ...]) -> Tensor:
    """Return the frequencies in the order in which the passes leave them: (p)."""
    return _arange(p).view(radixes[::-1]).permute(tuple(reversed(range(len(radixes))))).flatten()


def _arange(n: int) -> Tensor:
    return torch.arange(n, device="cpu")
