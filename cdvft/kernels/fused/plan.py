"""Plans of transforms: the DFT of a real signal as a few matrix products, for tensor cores.

A DFT of length d = R n1 n2 is a butterfly of R values, written out, and for each output of the butterfly two
products with DFT matrices of n1 and n2, with a twiddle between (Cooley, Tukey, 1965; as matrix products: Fu
et al., "FlashFFTConv", 2023). A signal is real and is one token's alone: outputs s and R - s of the butterfly
are conjugates, of which one is transformed, and outputs 0 and R / 2 are real, so that their first product
takes two real products in place of four.

Tiles have powers of two from 16 on as their sides; where n1 or n2 is none, tables and inputs are zero in the
rest of the tile, which is exact, and costs `Plan.waste`. The signal itself is never padded: a cyclic product
of length d is none of a greater length.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

RADIXES = range(1, 9)
"""With larger ones the signal does not fit into registers, and compiling takes minutes."""
WIDEST = 4096
SIDE = 16
"""Rows of a tile, the smallest number that tensor cores support."""
COLUMNS = (16, 32, 64)


@dataclass(frozen=True)
class Plan:
    """d = radix x rows x columns, in tiles of SIDE x tile_columns."""

    radix: int
    rows: int
    columns: int
    tile_columns: int

    @property
    def width(self) -> int:
        """d, the length of the transform."""
        return self.radix * self.rows * self.columns

    @property
    def parts(self) -> int:
        """Number of outputs of the butterfly that are transformed: one of each conjugate pair."""
        return self.radix // 2 + 1

    @property
    def tile(self) -> int:
        """Entries of a tile."""
        return SIDE * self.tile_columns

    @property
    def waste(self) -> float:
        """Share of the signal's tiles that is masked: 0 for 2^k from 256 on, and some multiples of these."""
        return 1 - self.width / (self.radix * self.tile)

    @property
    def flops(self) -> int:
        """Multiplications and additions in the matrix products of one token's transform, masked ones too."""
        real = 2 - self.radix % 2
        first = 2 * real + 4 * (self.parts - real)
        return 2 * self.tile * (SIDE * first + self.tile_columns * 4 * self.parts)

    @property
    def warps(self) -> int:
        """Warps of a program, which holds a token: one for 8 columns, as tensor cores yield them."""
        return self.tile_columns // 8

    @property
    def resident(self) -> int:
        """Programs that run at a time on a multiprocessor of 65,536 registers, each with partial sums."""
        return max(1, 8 // self.warps)


@dataclass(frozen=True)
class KernelPlan(Plan):
    """What the kernels are compiled for: a plan, and how its products are rounded.

    precision: "fp16", "tf32", or "tf32x3" for three products of tf32 in place of one
    """

    precision: str


@functools.lru_cache
def plan_for(width: int) -> Plan | None:
    """The plan with the fewest FLOPs, then the smallest radix; None where no tiles fit into registers."""
    found = [
        Plan(radix, length // columns, columns, tile_columns)
        for radix in RADIXES
        for length in ([width // radix] if width % radix == 0 else [])
        for tile_columns in COLUMNS
        for columns in range(1, tile_columns + 1)
        if length % columns == 0 and length // columns <= SIDE and width <= WIDEST
    ]
    return min(found, key=lambda plan: (plan.flops, plan.radix, -plan.columns), default=None)


@functools.lru_cache(maxsize=64)
def tables(plan: Plan, device: torch.device) -> Tensor:
    """DFT matrices and twiddles as one float32 tensor; of each the real part, then the imaginary one.

    With w_n = exp(-2 pi i / n), inputs x[r n1 n2 + n2 j1 + j2] and frequencies R (k1 + n1 k2) + s, part s of
    the spectrum is ((left_s @ y_s) * twiddle_s) @ right for output y_s of the butterfly, where

        left_s[k1, j1]    = w_n1^{j1 k1} w_{R n1}^{j1 s}
        twiddle_s[k1, j2] = w_d^{j2 (R k1 + s)}
        right[j2, k2]     = w_n2^{j2 k2}

    left_s and twiddle_s for each part s in turn, then right, padded with zeros to the tiles' sides.
    """
    radix, n1, n2 = plan.radix, plan.rows, plan.columns
    j1, j2 = torch.arange(n1, device="cpu"), torch.arange(n2, device="cpu")
    found = []
    for s in range(plan.parts):
        frequencies = radix * j1 + s
        found.append(_turns(frequencies[:, None] * j1, radix * n1, SIDE, SIDE))
        found.append(_turns(frequencies[:, None] * j2, plan.width, SIDE, plan.tile_columns))
    found.append(_turns(j2[:, None] * j2, n2, plan.tile_columns, plan.tile_columns))
    return torch.cat([one.flatten() for one in found]).to(device)


def _turns(exponents: Tensor, n: int, rows: int, columns: int) -> Tensor:
    """exp(-2 pi i e / n), real then imaginary parts, padded with zeros to the size of a tile."""
    angles = (exponents % n).double() * (-2 * math.pi / n)
    both = torch.stack([angles.cos(), angles.sin()])
    return F.pad(both, (0, columns - both.shape[2], 0, rows - both.shape[1])).float()


@functools.lru_cache(maxsize=64)
def orders(plan: Plan, device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Between half a spectrum and tiles, in which frequency R (k1 + n1 k2) + s is entry [s, k2, k1].

    Both as real numbers: a half spectrum (d // 2 + 1, 2), and tiles (parts, 2, tile_columns, SIDE).

    Returns:
        of each number of the tiles, which of the half spectrum it is, and its factor: 0 for a masked one, -1
        for a conjugate's imaginary part; the same of each number of the half spectrum
    """
    radix, n1, n2, d = plan.radix, plan.rows, plan.columns, plan.width
    s, is_imaginary, k2, k1 = torch.meshgrid(
        *(torch.arange(n, device="cpu") for n in (plan.parts, 2, plan.tile_columns, SIDE)), indexing="ij"
    )
    frequency, is_there = radix * (k1 + n1 * k2) + s, (k1 < n1) & (k2 < n2)
    folded = torch.minimum(frequency, d - frequency)
    number = torch.where(is_there, 2 * folded + is_imaginary, 0)
    factor = is_there * torch.where(frequency == folded, 1, 1 - 2 * is_imaginary)
    half, is_imaginary = torch.meshgrid(
        torch.arange(d // 2 + 1, device="cpu"), torch.arange(2, device="cpu"), indexing="ij"
    )
    is_part = half % radix < plan.parts
    own = torch.where(is_part, half, d - half)
    k, s = own // radix, own % radix
    entry = ((2 * s + is_imaginary) * plan.tile_columns + k // n1) * SIDE + k % n1
    back = torch.where(is_part, 1, 1 - 2 * is_imaginary)
    return (
        number.to(device),
        factor.to(device, torch.float32),
        entry.to(device),
        back.to(device, torch.float32),
    )
