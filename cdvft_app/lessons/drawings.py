"""A drawing from the page as a matrix."""

from __future__ import annotations

import base64
import binascii

import numpy as np
import torch
from torch import Tensor

SIDE = 64


def read_drawing(drawing: object) -> Tensor:
    """(64, 64) entries -1, 0 and 1 from as many signed bytes, row by row, in base64.

    Raises:
        ValueError: it is no such drawing, or nothing is drawn.
    """
    if not drawing:
        raise ValueError("Nothing is drawn yet. Draw something, or press one of the shapes beside the pad.")
    try:
        assert isinstance(drawing, str) and len(drawing) <= 2 * SIDE**2
        levels = np.frombuffer(base64.b64decode(drawing, validate=True), np.int8)
        entries = levels.reshape(SIDE, SIDE)
    except (AssertionError, binascii.Error, ValueError):
        raise ValueError(f"The drawing is not one of {SIDE} x {SIDE} entries; draw it anew.") from None
    if not entries.any():
        raise ValueError("Nothing is drawn yet. Draw something, or press one of the shapes beside the pad.")
    return torch.from_numpy(np.sign(entries).astype(np.float64))
