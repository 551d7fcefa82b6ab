"""A visitor's own matrix: a small .npy file or a picture, read with strict limits.

`matrix_as_lists` is for a child that has limits of the system's; this module imports no torch for it.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.lib import format as npy
from PIL import Image, UnidentifiedImageError

MAX_BYTES = 2_000_000
MAX_PIXELS = 4_000_000
LARGEST = 256
MAX_HEADER = 1000  # bytes; numpy.save writes 118 for a matrix
NO_ARRAY = "The file is no array that numpy.save wrote without pickling."


def matrix_as_lists(file: str, n: int, _progress: object) -> list[list[float]]:
    """`read_matrix` as JSON can hold it; `ValueError` where a number in it is not finite."""
    matrix = read_matrix(Path(file), n)
    if not np.isfinite(matrix).all():
        raise ValueError("The target holds NaN or infinite entries. Replace them by numbers first.")
    rows: list[list[float]] = matrix.tolist()
    return rows


def read_matrix(file: Path, n: int) -> np.ndarray:
    """The square matrix in a file: a .npy array as it is, or a PNG or JPEG as n x n brightness around zero.

    Raises:
        ValueError: with what is wrong with the file, and what would go.
    """
    if file.stat().st_size > MAX_BYTES:
        raise ValueError(f"The file has {file.stat().st_size:,} bytes; at most {MAX_BYTES:,} go.")
    return _array(file) if file.suffix.lower() == ".npy" else _image(file, n)


def _array(file: Path) -> np.ndarray:
    """Return the array, read only after its header says that it is small: a header may claim any size."""
    with file.open("rb") as opened:
        shape, dtype = _header(opened)
        if len(shape) != 2 or shape[0] != shape[1]:
            raise ValueError(f"The array has shape {str(shape)[:60]}; a square matrix is needed.")
        if not 2 <= shape[0] <= LARGEST:
            raise ValueError(f"The matrix is {shape[0]} x {shape[0]}; sides from 2 to {LARGEST} go.")
        if dtype.kind not in "fiub":
            raise ValueError(f"The array holds {str(dtype)[:60]}; real numbers are needed.")
        try:
            opened.seek(0)
            array = np.load(opened, allow_pickle=False)
        except (ValueError, OSError, EOFError):
            raise ValueError(NO_ARRAY) from None
    return array.astype(np.float64)


def _header(opened: BinaryIO) -> tuple[tuple[int, ...], np.dtype]:
    try:
        if npy.read_magic(opened) != (1, 0):  # others are for names of fields
            raise ValueError
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            shape, _, dtype = npy.read_array_header_1_0(opened, max_header_size=MAX_HEADER)
        if dtype.hasobject:
            raise ValueError
    except Exception:  # an untrusted header goes through Python's parser, which fails in many ways
        raise ValueError(NO_ARRAY) from None
    return shape, dtype


def _image(file: Path, n: int) -> np.ndarray:
    try:
        with Image.open(file, formats=("PNG", "JPEG")) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ValueError(
                    f"The picture is {image.width} x {image.height}; at most {MAX_PIXELS:,} pixels go."
                )
            side = min(image.size)
            left, top = (image.width - side) // 2, (image.height - side) // 2
            square = _grey(image.crop((left, top, left + side, top + side))).resize((n, n))
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError):
        raise ValueError("The file is neither a .npy array nor a PNG or JPEG picture.") from None
    pixels = np.asarray(square, dtype=np.float64)
    if (pixels == pixels[0, 0]).all():
        raise ValueError("The picture is of one brightness, so nothing is left to fit. Choose another one.")
    return pixels - pixels.mean()


def _grey(image: Image.Image) -> Image.Image:
    """Brightness from 0 to 255 as it is seen: 16 bits scaled instead of cut, what is transparent on white."""
    if image.mode.startswith("I"):
        return Image.fromarray((np.asarray(image) / 257).round().astype(np.uint8))
    if image.has_transparency_data:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    return image.convert("L")
