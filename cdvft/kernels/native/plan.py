"""How the compiled library transforms so many entries: radixes and twiddle factors."""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import torch
from torch import Tensor

RADIXES = (7, 5, 3, 8, 4, 2)
FIRST_RADIXES = (8, 4, 7, 5, 3, 2)
WINDOW = 16
"""Columns loaded together; the first pass can follow at once where what it combines is a multiple apart."""


@functools.lru_cache
def radixes_of(p: int) -> tuple[int, ...] | None:
    """The radix of each pass in turn; None where p has a prime factor above 7."""
    first = next((r for r in FIRST_RADIXES if p % (WINDOW * r) == 0), 1)
    radixes, p = [first], p // first
    for radix in RADIXES:
        while p % radix == 0:
            radixes.append(radix)
            p //= radix
    return tuple(radixes) if p == 1 else None


class Plan(NamedTuple):
    """A transform of length p: its radixes, its factors, its mirrors, and the addresses of all three.

    factors: (2 p - 1), every pass's twiddle factors, then of each frequency, in the digit-reversed order in
        which the passes leave them, the turn by which it is delayed by one entry
    mirrors: (p), of each frequency in that order, the place of its negative
    """

    radixes: Tensor
    factors: Tensor
    mirrors: Tensor
    addresses: tuple[int, int, int]


@functools.lru_cache
def plan_for(p: int) -> Plan:
    """The plan of a length that `radixes_of` knows: on the CPU, whatever torch's default device is."""
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
    return Plan(passes, factors, mirrors, (passes.data_ptr(), factors.data_ptr(), mirrors.data_ptr()))


def _digit_reversed(p: int, radixes: tuple[int, ...]) -> Tensor:
    """The frequencies in the order in which the passes leave them: (p)."""
    return _arange(p).view(radixes[::-1]).permute(*reversed(range(len(radixes)))).flatten()


def _arange(n: int) -> Tensor:
    return torch.arange(n, device="cpu")
