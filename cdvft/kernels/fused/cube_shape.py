"""4096 = 16^3 as three stages of 16: what it costs, its matrix and twiddles, and the order of its spectra.

With w_n = exp(-2 pi i / n), inputs x[256 j1 + 16 j2 + j3] and frequencies k1 + 16 k2 + 256 k3 the stages are

    sum over j1 of w_16^{j1 k1}, times w_4096^{k1 (16 j2 + j3)}
    sum over j2 of w_16^{j2 k2}, times w_256^{k2 j3}
    sum over j3 of w_16^{j3 k3}
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from cdvft.kernels.fused.plan import Plan, plan_for

SIDE = 16


@dataclass(frozen=True)
class Cube:
    """What `Plan` says of widths in two stages, of the one in three."""

    width: int = SIDE**3
    entries: int = SIDE**3
    waste: float = 0.0
    group: int = 1
    warps: int = 8
    """Each holds 32 of a tile's 256 columns; with 16 warps registers spill."""
    split: int = 2
    """Passes of the gradients beyond the first: by x and first, by last, by c."""
    flops: int = 3 * 4 * SIDE**4
    """In the products of one transform, a token: for two, three stages of 4 real products of 2 x 16^4."""
    table_entries: int = 2 * (SIDE**2 + 2 * SIDE**3)


CUBE = Cube()


def shape_for(width: int) -> Plan | Cube | None:
    """How a whole circulant is transformed; None where no tile is large enough."""
    return CUBE if width == CUBE.width else plan_for(width)


@functools.lru_cache(maxsize=8)
def tables(device: torch.device) -> Tensor:
    """The DFT matrix, then both twiddles as tiles lie: of each the real part, the imaginary one."""
    j = torch.arange(SIDE**2, device="cpu")
    k = j[:SIDE, None]
    parts = [
        _turns(k * j[:SIDE], SIDE),
        _turns(k * j, SIDE**3),
        _turns(k * (j // SIDE), SIDE**2),  # rows k2, columns 16 j3 + k1
    ]
    return torch.cat([part.flatten() for part in parts]).to(device)


def _turns(exponents: Tensor, n: int) -> Tensor:
    """exp(-2 pi i e / n), real and imaginary parts apart."""
    angles = (exponents % n).double() * (-2 * math.pi / n)
    return torch.stack([angles.cos(), angles.sin()]).float()
