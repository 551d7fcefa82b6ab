"""Numbers as the page gets them."""

from __future__ import annotations

import base64

import numpy as np


def floats(sent: str) -> np.ndarray:
    """Little-endian float32 in base64."""
    return np.frombuffer(base64.b64decode(sent), "<f4")
