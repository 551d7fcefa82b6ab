"""What somebody gave to be answered, checked: texts, pairs of texts, pictures and drawn digits.

A digit drawn by hand becomes one of the data that a run learned from: as large, as central, white on black.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cdvft_app.catalog.conversations import prompt_in
from cdvft_app.data.drawing import read_drawing
from cdvft_app.data.pictures import PictureReader, UnusablePicture, as_png
from cdvft_app.data.source import LIMITS
from cdvft_app.results.finished_run import FinishedRun, ResultsError

if TYPE_CHECKING:
    import numpy as np

MAX_INPUTS = 1000
MAX_CHARACTERS = 10_000
MAX_BYTES = 20 * 2**20
MAX_TEMPERATURE, MAX_ANSWER_TOKENS = 2, 512
DRAWN_SIDES = {"mnist": 28, "digits": 8}
"""By dataset, the pixels of its images each way; of the data that can be drawn."""


def takes_pairs(run: FinishedRun) -> bool:
    return len(run.plan.dataset.text_columns) == 2


def texts(run: FinishedRun, given: Sequence[str], second: Sequence[str] = ()) -> list[Any]:
    """Check texts and return them as the run's task takes them: single, or paired with their `second`.

    Raises:
        ResultsError: which of them cannot be answered, and why.
    """
    if run.plan.model.kind == "image":
        raise ResultsError("This run is about images; give it an image.")
    if not given and not second:
        raise ResultsError("Enter at least one text.")
    pairs = takes_pairs(run)
    if pairs and len(second) != len(given):
        raise ResultsError("This run compares two texts; give both, each first text with its second one.")
    if second and not pairs:
        raise ResultsError("This run reads one text at a time; leave out the second one.")
    _check_count(len(given))
    for place, text in enumerate([*given, *second], 1):
        if not text.strip():
            raise ResultsError(f"Text {place} is empty; write at least a word.")
        if len(text) > MAX_CHARACTERS:
            raise ResultsError(
                f"Text {place} has {len(text):,} characters; at most {MAX_CHARACTERS:,} are read."
            )
    return list(zip(given, second, strict=True)) if pairs else list(given)


def prompt(run: FinishedRun, given: object) -> str:
    """Check and return a prompt for a model that writes; several turns are as `conversations.transcript`.

    Raises:
        ResultsError: why it cannot be answered.
    """
    if run.plan.model.kind != "generation":
        raise ResultsError("The models of this race write nothing; they answer with a class or a number.")
    if not isinstance(given, str) or not given.strip():
        raise ResultsError("Enter a prompt.")
    (checked,) = texts(run, [given.strip()])
    return prompt_in(checked)


def how_to_write(temperature: Any, length: Any, seed: Any) -> dict[str, float | int]:
    """Return the chosen temperature, length and seed as numbers in their ranges.

    Raises:
        ResultsError: which ranges there are.
    """
    with suppress(TypeError, ValueError, OverflowError):
        chosen = {"temperature": float(temperature), "length": int(length), "seed": int(seed)}
        if (
            0 <= chosen["temperature"] <= MAX_TEMPERATURE
            and 1 <= chosen["length"] <= MAX_ANSWER_TOKENS
            and 0 <= chosen["seed"] < 2**31
        ):
            return chosen
    raise ResultsError(
        f"Give a temperature from 0 to {MAX_TEMPERATURE}, a length from 1 to {MAX_ANSWER_TOKENS} tokens, and "
        "a seed of 0 or more."
    )


def picture(run: FinishedRun, data: bytes, name: str = "The image") -> Any:
    """Return the RGB image of PIL in a file's bytes.

    Raises:
        ResultsError: why it cannot be used.
    """
    if run.plan.model.kind != "image":
        raise ResultsError("This run is about texts; give it a text.")
    try:
        return PictureReader(LIMITS).read(data).convert("RGB")
    except UnusablePicture as error:
        raise ResultsError(f"{name} cannot be used: {error}. Give another one.") from None


def decoded(text: str) -> bytes:
    """Decode an image's bytes from base64, with or without "data:image/png;base64," before it.

    Raises:
        ResultsError: it is no base64.
    """
    try:
        return base64.b64decode(text.partition("base64,")[2] or text, validate=True)
    except ValueError:
        raise ResultsError("image: give the bytes of an image file in base64.") from None


def picture_file(run: FinishedRun, path: Path) -> Any:
    """Read a picture, as `picture` does, from a file."""
    return picture(run, _read(path), str(path))


def _check_count(count: int) -> None:
    if not 1 <= count <= MAX_INPUTS:
        raise ResultsError(f"Got {count:,} inputs; give from 1 to {MAX_INPUTS:,} at a time.")


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ResultsError(f"{path} is too large; at most {MAX_BYTES // 2**20} MiB are read.")
        return path.read_bytes()
    except OSError as error:
        raise ResultsError(f"{path} cannot be read: {error.strerror or error}.") from None


def drawn_digit(drawing: object, dataset: str) -> bytes:
    """Return the drawing as a PNG like the dataset's own images.

    Args:
        drawing: 64 x 64 signed bytes, row by row, in base64; what is not 0 is drawn.
        dataset: a key of `DRAWN_SIDES`.

    Raises:
        ResultsError: it is no drawing, or nothing is drawn.
    """
    from PIL import Image

    try:
        ink = _cropped(read_drawing(drawing, "Draw a digit, or choose an image.") != 0)
    except ValueError as error:
        raise ResultsError(str(error)) from None
    return as_png(Image.fromarray(_as_mnist(ink) if dataset == "mnist" else _as_digits(ink)))


def _cropped(ink: np.ndarray) -> np.ndarray:
    """Return the rectangle (h, w) of 0 and 255 that holds all that is drawn."""
    import numpy as np

    rows, columns = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.uint8) * 255


def _as_mnist(ink: np.ndarray) -> np.ndarray:
    """Fit the digit into 20 x 20 pixels, and its centre of mass into the middle of 28 x 28.

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
    """Fit the digit into 32 rows and 20 columns; each pixel of 8 x 8 is the inked share of 4 x 4 of them.

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
    """Resize by area: each pixel is the mean of what lies under it."""
    import numpy as np
    from PIL import Image

    return np.asarray(Image.fromarray(ink).resize((width, height), Image.Resampling.BOX))


def digit_as_seen(digit: bytes, side: int) -> bytes:
    """Return a PNG of what a model of that input size gets: the digit enlarged by bicubic interpolation."""
    from PIL import Image

    opened = Image.open(io.BytesIO(digit), formats=("PNG",))
    return as_png(opened.resize((side, side), Image.Resampling.BICUBIC))
