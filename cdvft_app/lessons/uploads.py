"""A visitor's own matrix: a small .npy file or picture, read with strict limits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

MOST_BYTES = 2_000_000
MOST_PIXELS = 4_000_000
LARGEST = 256


def read_matrix(file: Path, n: int) -> Tensor:
    """The square matrix in a file: a .npy array as it is, or a PNG or JPEG as n x n brightness around zero.

    Raises:
        ValueError: with what is wrong with the file, and what would go.
    """
    if file.stat().st_size > MOST_BYTES:
        raise ValueError(f"The file has {file.stat().st_size:,} bytes; at most {MOST_BYTES:,} go.")
    return _array(file) if file.suffix.lower() == ".npy" else _image(file, n)


def _array(file: Path) -> Tensor:
    try:
        array = np.load(file, allow_pickle=False)
    except (ValueError, OSError, EOFError):
        raise ValueError("The file is no array that numpy.save wrote without pickling.") from None
    if not isinstance(array, np.ndarray) or array.ndim != 2 or array.shape[0] != array.shape[1]:
        raise ValueError(f"The array has shape {getattr(array, 'shape', '?')}; a square matrix is needed.")
    if not 2 <= len(array) <= LARGEST:
        raise ValueError(f"The matrix is {len(array)} x {len(array)}; sides from 2 to {LARGEST} go.")
    if array.dtype.kind not in "fiub":
        raise ValueError(f"The array holds {array.dtype}; real numbers are needed.")
    return torch.from_numpy(array.astype(np.float64))


def _image(file: Path, n: int) -> Tensor:
    try:
        with Image.open(file, formats=("PNG", "JPEG")) as image:
            if image.width * image.height > MOST_PIXELS:
                raise ValueError(
                    f"The picture is {image.width} x {image.height}; at most {MOST_PIXELS:,} pixels go."
                )
            side = min(image.size)
            left, top = (image.width - side) // 2, (image.height - side) // 2
            square = image.convert("L").crop((left, top, left + side, top + side)).resize((n, n))
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError):
        raise ValueError("The file is neither a .npy array nor a PNG or JPEG picture.") from None
    pixels = torch.from_numpy(np.asarray(square, dtype=np.float64).copy())
    return pixels - pixels.mean()
