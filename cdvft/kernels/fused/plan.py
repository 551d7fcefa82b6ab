"""How a width is cut into what tensor cores multiply: a DFT as a few matrix products.

A DFT of length d = R n1 n2 is a butterfly of R values, written out, and per output of the butterfly two
products with DFT matrices of n1 and n2, with a twiddle between (Cooley, Tukey, 1965; as matrix products: Fu
et al., "FlashFFTConv", 2023). Sides of tiles are powers of two from 16 on; where n1 or n2 is none, tables and
inputs are zero in the rest of the tile, which is exact, and costs `Plan.waste`. The signal itself is never
padded: a cyclic product of length d is none of a greater length.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

RADIXES = (1, 2, 3, 4)
"""Butterflies that `device` has written out."""
ROWS = 16
"""Rows of a tile, the least that tensor cores take."""
COLUMNS = (16, 32, 64)


@dataclass(frozen=True)
class Plan:
    """d = radix x rows x columns, in `radix` tiles of ROWS x tile_columns."""

    radix: int
    rows: int
    columns: int
    tile_columns: int

    @property
    def width(self) -> int:
        """d, the length of the transform."""
        return self.radix * self.rows * self.columns

    @property
    def entries(self) -> int:
        """Entries of all tiles together; d where nothing is masked."""
        return self.radix * ROWS * self.tile_columns

    @property
    def waste(self) -> float:
        """Share of the tiles' entries that are masked: 0 for 2^k and 3 x 2^k from 256 on."""
        return 1 - self.width / self.entries

    @property
    def geometry(self) -> tuple[int, ...]:
        """RADIX, ROWS, COLUMNS, N1, N2: what kernels are compiled for."""
        return self.radix, self.rows, self.columns, ROWS, self.tile_columns

    @property
    def flops(self) -> int:
        """Multiplications and additions in the matrix products of one transform, a token.

        Two tokens share a complex transform: 8 entries (ROWS + tile_columns) for both.
        """
        return 4 * self.entries * (ROWS + self.tile_columns)

    @property
    def table_entries(self) -> int:
        """float32 numbers of the DFT matrices and twiddles that each program reads."""
        turns = (self.radix - 1) * ROWS + self.radix * ROWS * self.tile_columns
        return 2 * (ROWS**2 + turns + self.tile_columns**2)

    @property
    def group(self) -> int:
        """Signals, of two tokens each, that a program carries side by side: narrow tiles fill their warps so.

        Triton deals products that follow one another to warps by columns if there are more of them than rows,
        else by rows, of which a warp takes 16: warps beyond the first would all do the same.
        """
        return 2 if self.tile_columns == ROWS else 1

    @property
    def split(self) -> bool:
        """Whether gradients take two passes, by x and first, by last and c: registers do not hold all."""
        return self.radix > 3

    @property
    def reload(self) -> bool:
        """Whether gradients read tokens again for each part of their spectra: registers do not hold both."""
        return self.radix == 3 and self.tile_columns == COLUMNS[-1]

    @property
    def warps(self) -> int:
        """Warps of a program: one for 8 columns, which is what an instruction of the tensor cores yields."""
        return self.group * self.tile_columns // 8


@functools.lru_cache
def plan_for(width: int) -> Plan | None:
    """The factors with the fewest FLOPs, then the widest rows; None where no tile is large enough.

    A radix of 4 comes last, for its gradients take two passes.
    """
    found = [
        Plan(radix, rows, columns, tile_columns)
        for radix in RADIXES
        for tile_columns in COLUMNS
        if width % radix == 0
        for rows, columns in _factors(width // radix, tile_columns)
    ]
    return min(found, key=lambda plan: (plan.split, plan.flops, plan.radix, -plan.columns), default=None)


def _factors(length: int, most_columns: int) -> list[tuple[int, int]]:
    return [
        (length // columns, columns)
        for columns in range(1, most_columns + 1)
        if length % columns == 0 and length // columns <= ROWS
    ]


MULTIPROCESSOR_WARPS = 8
"""Warps whose threads can have 255 registers each on one multiprocessor, of 65,536 in all."""


def programs_per_multiprocessor(warps: int) -> int:
    """How many persistent programs one multiprocessor is given."""
    return max(1, MULTIPROCESSOR_WARPS // warps)
