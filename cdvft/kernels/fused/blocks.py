"""Launches for blocks of circulants: `update` and `gradients` as `operators` has them for whole ones.

A pass is three launches forward (the circulants' spectra; the input's; the products with what follows) and
seven backward (those of circulants, input and gradient, products with either, the circulants' gradient as a
spectrum, and as itself), besides torch's sums over programs; batches go in pieces of `MOST_BYTES`.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

import torch
from torch import Tensor

from cdvft.kernels.fused.device import signal_kernel, spectrum_kernel
from cdvft.kernels.fused.device_blocks import combine_kernel, correlate_kernel, spectra_kernel
from cdvft.kernels.fused.launch import launched
from cdvft.kernels.fused.plan import ROWS, Plan
from cdvft.kernels.fused.tables_operator import tables_for

MOST_BYTES = 64 << 20
"""Of spectra at once: beside a model's activations little."""
STRIP = 256
"""Entries of a spectrum that a program sums over tokens: a tile has a multiple."""
CORRELATING = 32
"""Programs that share the tokens of one circulant's gradient."""


class Blocks:
    """One circulant (q1, q2, p) and what its launches need.

    Args:
        c: (q1, q2, p), float32, in one piece
        plan: for p
        precision: of the transforms' products
        resident: programs that run at once
    """

    def __init__(self, c: Tensor, plan: Plan, precision: str, resident: int) -> None:
        self.q1, self.q2, self.p = c.shape
        self.plan, self.precision, self.resident = plan, precision, resident
        self.tables = tables_for(plan, c)
        self.spectrum = c.new_empty(self.q1, self.q2, plan.radix, 2, ROWS, plan.tile_columns)
        launched(spectrum_kernel, plan.warps)[(self.q1 * self.q2,)](
            self.spectrum, c, self.tables, *plan.geometry, GROUP=plan.group
        )

    def pieces(self, tokens: int) -> Iterator[slice]:
        """Rows whose spectra fit into `MOST_BYTES`, groups of tokens whole."""
        group = 2 * self.plan.group
        rows = MOST_BYTES // (4 * self.plan.entries * max(self.q1, self.q2)) // group * group
        return (slice(start, start + max(group, rows)) for start in range(0, tokens, max(group, rows)))

    def spectra(self, rows: Tensor, diagonal: Tensor, scale: float, blocks: int) -> Tensor:
        """FFT(scale diagonal * rows): (pairs, blocks, R, 2, N1, N2)."""
        plan = self.plan
        pairs = -(-len(rows) // (2 * plan.group)) * plan.group
        found = rows.new_empty(pairs, blocks, plan.radix, 2, ROWS, plan.tile_columns, dtype=torch.float32)
        launched(spectra_kernel, plan.warps)[self._grid(len(rows), blocks)](
            found, rows, diagonal, self.tables, scale, len(rows), rows.shape[1], 0, *plan.geometry,
            GROUP=plan.group, PRECISION=self.precision,
        )  # fmt: skip
        return found

    def combine(
        self, spectra: Tensor, diagonal: Tensor, alpha: float, out: Tensor | None, others: Tensor | None,
        *, add: bool, transposed: bool, tokens: int, bias: Tensor | None = None,
    ) -> Tensor | None:  # fmt: skip
        """out = alpha diagonal * v + bias, v = C u, or C^T u if transposed; sum over tokens of others * v."""
        outer, inner = (self.q2, self.q1) if transposed else (self.q1, self.q2)
        grid, plan, size = self._grid(tokens, outer), self.plan, diagonal.numel()
        shares = None if others is None else spectra.new_empty(grid[0] * plan.group, outer * self.p)
        places = (spectra if t is None else t for t in (out, shares, others))  # for none, what is not touched
        launched(combine_kernel, plan.warps)[grid](
            *places, spectra, self.spectrum, diagonal, diagonal if bias is None else bias, self.tables,
            alpha, tokens, size, inner,
            *((1, self.q2) if transposed else (self.q2, 1)), 0, *plan.geometry, GROUP=plan.group,
            CONJUGATE=transposed, STORE=out is not None, ADD=add, BIAS=bias is not None,
            SHARE=others is not None, PRECISION=self.precision,
        )  # fmt: skip
        return None if shares is None else shares.sum(0)[:size]

    def correlate(self, u: Tensor, h: Tensor) -> Tensor:
        """Gradient by the circulant: Re IFFT(sum over tokens of conj(u_j) h_i)."""
        plan, programs = self.plan, max(1, min(len(u), CORRELATING))
        shares = u.new_empty(programs, self.q1, self.q2, *u.shape[2:])
        launched(correlate_kernel, plan.warps)[(programs, self.q1 * self.q2, plan.entries // STRIP)](
            shares, u, h, len(u), self.q1, self.q2, ENTRIES=plan.entries, TILE=ROWS * plan.tile_columns,
            STRIP=STRIP,
        )  # fmt: skip
        by_c = u.new_empty(self.q1, self.q2, self.p)
        launched(signal_kernel, plan.warps)[(self.q1 * self.q2,)](
            by_c, shares.sum(0), self.tables, *plan.geometry, GROUP=plan.group, PRECISION=self.precision
        )
        return by_c

    def _grid(self, tokens: int, blocks: int) -> tuple[int, int]:
        groups = -(-tokens // (2 * self.plan.group))
        return max(1, min(groups, self.resident // blocks)), blocks


def update(
    blocks: Blocks, x: Tensor, first: Tensor, last: Tensor, alpha: float, out: Tensor | None,
    bias: Tensor | None,
) -> Tensor:  # fmt: skip
    """As `operators.update`."""
    y = x.new_empty(len(x), last.numel()) if out is None else out
    for rows in blocks.pieces(len(x)):
        u = blocks.spectra(x[rows], first, 1.0, blocks.q2)
        blocks.combine(
            u, last, alpha, y[rows], None,
            add=out is not None, transposed=False, tokens=len(x[rows]), bias=bias,
        )  # fmt: skip
    return y


def gradients(
    blocks: Blocks, x: Tensor, grad: Tensor, first: Tensor, last: Tensor, alpha: float,
    grad_x: Tensor | None, needs_x: bool,
) -> tuple[Tensor | None, Tensor, Tensor, Tensor]:  # fmt: skip
    """As `operators.gradients`.

    With u = first x, h = alpha last grad and v = circ(c) u: g_u = circ(c)^T h, g_x = first g_u, and sums over
    tokens: g_first = sum x g_u, g_last = alpha sum grad v, g_c = Re IFFT(sum conj(FFT u) FFT h).
    """
    add = grad_x is not None
    if grad_x is None and needs_x:
        grad_x = torch.empty_like(x)
    found: list[tuple[Tensor, Tensor, Tensor]] = []
    for rows in blocks.pieces(len(x)):
        xs, gs = x[rows], grad[rows]
        u, h = blocks.spectra(xs, first, 1.0, blocks.q2), blocks.spectra(gs, last, alpha, blocks.q1)
        to = None if grad_x is None else grad_x[rows]
        from_h = blocks.combine(h, first, 1.0, to, xs, add=add, transposed=True, tokens=len(xs))
        from_u = blocks.combine(u, last, 1.0, None, gs, add=False, transposed=False, tokens=len(xs))
        assert from_h is not None and from_u is not None
        found.append((from_h, from_u, blocks.correlate(u, h)))
    if not found:
        by_c = first.new_zeros(blocks.q1, blocks.q2, blocks.p)
        return grad_x, torch.zeros_like(first), torch.zeros_like(last), by_c
    by_first, by_last, by_c = (functools.reduce(torch.add, of) for of in zip(*found, strict=True))
    return grad_x, by_first, alpha * by_last, by_c
