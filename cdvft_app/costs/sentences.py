"""Labels of a cost table's rows, and which of them has the least of a quantity."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cdvft_app.costs.quantities import Row
from cdvft_app.methods import METHODS, flat

TOLERANCE = 0.015  # relative; closer than this, two amounts are called alike


def label(row: Row) -> str:
    """Return the method with its setting: LoRA r = 8."""
    if row["setting"] is None:
        return METHODS[row["method"]].title
    method = flat.method_of(row["method"], row["setting"])
    return method.label([name for name, value in method.sizes().items() if value is not None])


def least(rows: Sequence[Row], value: Callable[[Row], float]) -> list[Row]:
    """Return the row with the least, and those level with it."""
    best = min(rows, key=value)
    return [best, *(row for row in rows if row is not best and value(row) < (1 + TOLERANCE) * value(best))]
