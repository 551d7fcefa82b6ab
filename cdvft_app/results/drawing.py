"""A digit drawn by hand as one of the data that a run learned from: as large, as central, white on black."""

from __future__ import annotations

import base64
import binascii
import io
import math
from typing import TYPE_CHECKING, Any

from cdvft_app.results.errors import ResultsError

if TYPE_CHECKING:
    import numpy as np

SIDE = 64
"""Entries of a drawing, each way."""
SIDES = {"mnist": 28, "digits": 8}
"""By dataset, the pixels of its images each way; of the data that can be drawn."""


def digit(drawing: object, dataset: str) -> bytes:
    """A PNG as the dataset's own images are.

    Args:
        drawing: 64 x 64 signed bytes, row by row, in base64; what is not 0 is drawn.
        dataset: a key of `SIDES`.

    Raises:
        ResultsError: it is no drawing, or nothing is drawn.
    """
    ink = _read(drawing)
    picture = _as_mnist(ink) if dataset == "mnist" else _as_digits(ink)
    return _png(picture)


def _read(drawing: object) -> np.ndarray:
    """What is drawn, cut out: (h, w) of 0 and 255."""
    import numpy as np

    if not drawing:
        raise ResultsError("Nothing is drawn yet. Draw a digit, or choose an image.")
    try:
        if not isinstance(drawing, str) or len(drawing) > 2 * SIDE**2:
            raise ValueError
        ink = np.frombuffer(base64.b64decode(drawing, validate=True), np.int8).reshape(SIDE, SIDE) != 0
    except (binascii.Error, ValueError):
        raise ResultsError(f"The drawing is not one of {SIDE} x {SIDE} entries; draw it anew.") from None
    if not ink.any():
        raise ResultsError("Nothing is drawn yet. Draw a digit, or choose an image.")
    rows, columns = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.uint8) * 255


def _as_mnist(ink: np.ndarray) -> np.ndarray:
    """Into 20 x 20 pixels at its own proportions, and its centre of mass into the middle of 28 x 28.

    Source: LeCun, Cortes, Burges, "The MNIST database of handwritten digits".
    """
    import numpy as np

    scale = 20 / max(ink.shape)
    small = _resized(ink, *(max(1, round(scale * side)) for side in ink.shape))
    sheet, mass = np.zeros((28, 28), np.uint8), small.sum()
    corner = []
    for axis, side in enumerate(small.shape):
        centre = float((small.sum(1 - axis) * np.arange(side)).sum() / mass)
        corner.append(min(max(round(14 - centre), 0), 28 - side))
    top, left = corner
    sheet[top : top + small.shape[0], left : left + small.shape[1]] = small
    return sheet


def _as_digits(ink: np.ndarray) -> np.ndarray:
    """Into 32 rows and 20 columns, of which each 4 x 4 become a pixel of 8 x 8 by the share that is drawn.

    A narrow one is widened to at most twice its proportions. Source: Alpaydin, Kaynak, "Optical Recognition
    of Handwritten Digits", UCI, 1998, whose bitmaps NIST's programs brought to that size.
    """
    import numpy as np

    height, width = ink.shape
    wide = min(20, max(4, math.ceil(2 * width * 32 / height)))
    sheet, left = np.zeros((32, 32), np.uint8), (32 - wide) // 2
    sheet[:, left : left + wide] = _resized(ink, 32, wide)
    return np.round(sheet.reshape(8, 4, 8, 4).mean((1, 3))).astype(np.uint8)


def _resized(ink: np.ndarray, height: int, width: int) -> np.ndarray:
    """Each pixel is the mean of what lies under it."""
    import numpy as np
    from PIL import Image

    return np.asarray(Image.fromarray(ink).resize((width, height), Image.Resampling.BOX))


def as_seen(png: bytes, side: int) -> bytes:
    """A PNG of what a model of that input size gets: the digit enlarged by bicubic interpolation."""
    import numpy as np
    from PIL import Image

    opened = Image.open(io.BytesIO(png), formats=("PNG",))
    return _png(np.asarray(opened.resize((side, side), Image.Resampling.BICUBIC)))


def _png(picture: Any) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return file.getvalue()
