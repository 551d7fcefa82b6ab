"""What is drawn on the page's pad of 64 x 64 entries, which it sends as signed bytes in base64."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

SIDE = 64


def read_drawing(drawing: object, advice: str) -> np.ndarray:
    """Return the entries -1, 0 and 1, int8, (64, 64), from as many signed bytes, row by row.

    `advice` is a sentence for whoever has drawn nothing.

    Raises:
        ValueError: it is no such drawing, or nothing is drawn.
    """
    import numpy as np

    nothing = f"Nothing is drawn yet. {advice}"
    if not drawing:
        raise ValueError(nothing)
    try:
        if not isinstance(drawing, str) or len(drawing) > 2 * SIDE**2:
            raise ValueError
        entries = np.frombuffer(base64.b64decode(drawing, validate=True), np.int8).reshape(SIDE, SIDE)
    except ValueError:
        raise ValueError(f"The drawing is not one of {SIDE} x {SIDE} entries; draw it anew.") from None
    if not entries.any():
        raise ValueError(nothing)
    return np.sign(entries)
