"""DFT matrices and twiddles of a plan, as one flat float32 tensor that the kernels read.

With w_n = exp(-2 pi i / n), inputs x[r n1 n2 + n2 j1 + j2] and frequencies R (k1 + n1 k2) + s, output s of
the butterfly over r needs

    turn_s[j1]        = w_{R n1}^{j1 s}
    left[k1, j1]      = w_n1^{j1 k1}
    twiddle_s[k1, j2] = w_d^{j2 (R k1 + s)}
    right[j2, k2]     = w_n2^{j2 k2}

so that FFT(x)[s] = ((left @ (turn_s * y_s)) * twiddle_s) @ right, where turn_0 = 1 is left out. Both matrices
are symmetric: the inverse takes the same, conjugate.
"""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor
from torch.nn import functional as F

from cdvft.kernels.fused.plan import ROWS, Plan


@functools.lru_cache(maxsize=64)
def tables(plan: Plan, device: torch.device) -> Tensor:
    """left, turn_s from s = 1 on, twiddle_s, right: of each the real part, the imaginary one, padded."""
    radix, n1, n2 = plan.radix, plan.rows, plan.columns
    j1, j2 = torch.arange(n1, device="cpu"), torch.arange(n2, device="cpu")
    rows, columns = ROWS, plan.tile_columns
    parts = [
        _turns(j1[:, None] * j1, n1, rows, rows),
        *(_turns(j1[:, None] * s, radix * n1, rows, 1) for s in range(1, radix)),
        *(_turns((radix * j1 + s)[:, None] * j2, plan.width, rows, columns) for s in range(radix)),
        _turns(j2[:, None] * j2, n2, columns, columns),
    ]
    return torch.cat([part.flatten() for part in parts]).to(device)


def _turns(exponents: Tensor, n: int, rows: int, columns: int) -> Tensor:
    """exp(-2 pi i e / n), real and imaginary parts apart, with zeros up to the tile's size."""
    angles = (exponents % n).double() * (-2 * math.pi / n)
    both = torch.stack([angles.cos(), angles.sin()])
    return F.pad(both, (0, columns - both.shape[2], 0, rows - both.shape[1])).float()
