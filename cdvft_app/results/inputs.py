"""What somebody gave to be answered, checked: texts, pairs of texts and pictures, from a person or a file."""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from cdvft_app.results.errors import ResultsError
from cdvft_app.results.finished_run import FinishedRun

MOST_INPUTS = 1000
MOST_CHARACTERS = 10_000
MOST_BYTES = 20 * 2**20
HOTTEST, LONGEST_ANSWER = 2, 512
MOST_PIXELS = 4096  # a side
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF")


def takes_pairs(run: FinishedRun) -> bool:
    return len(run.plan.dataset.text_columns) == 2


def texts(run: FinishedRun, given: Sequence[str], second: Sequence[str] = ()) -> list[Any]:
    """Texts as the run's task takes them: each by itself, or with its `second` as a pair.

    Raises:
        ResultsError: which of them cannot be answered, and why.
    """
    if run.plan.model.kind == "image":
        raise ResultsError("This run is about images; give it an image.")
    if not given and not second:
        raise ResultsError("There is nothing to answer; write at least one text.")
    pairs = takes_pairs(run)
    if pairs and len(second) != len(given):
        raise ResultsError("This run compares two texts; give both, each first text with its second one.")
    if second and not pairs:
        raise ResultsError("This run reads one text at a time; leave out the second one.")
    _check_count(len(given))
    for place, text in enumerate([*given, *second], 1):
        if not text.strip():
            raise ResultsError(f"Text {place} is empty; write at least a word.")
        if len(text) > MOST_CHARACTERS:
            raise ResultsError(
                f"Text {place} has {len(text):,} characters; at most {MOST_CHARACTERS:,} are read."
            )
    return list(zip(given, second, strict=True)) if pairs else list(given)


def prompt(run: FinishedRun, given: object) -> str:
    """A prompt for a race whose models write.

    Raises:
        ResultsError: why it cannot be answered.
    """
    if run.plan.model.kind != "generation":
        raise ResultsError("The models of this race write nothing; they answer with a class or a number.")
    if not isinstance(given, str) or not given.strip():
        raise ResultsError("There is nothing to answer; write a prompt.")
    (checked,) = texts(run, [given.strip()])
    return checked


def how_to_write(temperature: Any, length: Any, seed: Any) -> dict[str, float | int]:
    """What a person chose for it, as numbers in their ranges.

    Raises:
        ResultsError: which ranges there are.
    """
    with suppress(TypeError, ValueError, OverflowError):
        chosen = {"temperature": float(temperature), "length": int(length), "seed": int(seed)}
        if (
            0 <= chosen["temperature"] <= HOTTEST
            and 1 <= chosen["length"] <= LONGEST_ANSWER
            and 0 <= chosen["seed"] < 2**31
        ):
            return chosen
    raise ResultsError(
        f"Give a temperature from 0 to {HOTTEST}, a length from 1 to {LONGEST_ANSWER} tokens, and a seed of "
        "0 or more."
    )


def picture(run: FinishedRun, data: bytes, name: str = "The image") -> Any:
    """A PIL image out of a file's bytes.

    Raises:
        ResultsError: why it cannot be used.
    """
    from PIL import Image

    if run.plan.model.kind != "image":
        raise ResultsError("This run is about texts; give it a text.")
    if len(data) > MOST_BYTES:
        raise ResultsError(f"{name} is too large; at most {MOST_BYTES // 2**20} MiB are read.")
    try:
        opened = Image.open(io.BytesIO(data), formats=FORMATS)
        if max(opened.size) > MOST_PIXELS:
            width, height = opened.size
            raise ResultsError(
                f"{name} has {width:,} x {height:,} pixels; at most {MOST_PIXELS:,} a side are read."
            )
        opened.load()
        return opened.convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        raise ResultsError(f"{name} cannot be read; give a whole {', '.join(FORMATS)} file.") from None


def decoded(text: str) -> bytes:
    """An image's bytes out of base64, with or without "data:image/png;base64," before it.

    Raises:
        ResultsError: it is no base64.
    """
    try:
        return base64.b64decode(text.partition("base64,")[2] or text, validate=True)
    except ValueError:
        raise ResultsError("image: give the bytes of an image file in base64.") from None


def picture_file(run: FinishedRun, path: Path) -> Any:
    """The same out of a file by its path."""
    return picture(run, _read(path), str(path))


def table(run: FinishedRun, path: Path) -> list[Any]:
    """The inputs in a CSV file with a head: the column `text` (and `second`), or `image` with paths.

    Raises:
        ResultsError: what is wrong with the file or with one of its rows.
    """
    try:
        rows = list(csv.DictReader(io.StringIO(_read(path).decode("utf-8-sig"))))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ResultsError(f"{path} is no CSV file in UTF-8: {error}.") from None
    column = "image" if run.plan.model.kind == "image" else "text"
    columns = [column, *(["second"] if takes_pairs(run) else [])]
    lacking = [name for name in columns if not rows or rows[0].get(name) is None]
    if lacking:
        raise ResultsError(f"{path} needs rows under a head with the column {' and '.join(columns)}.")
    _check_count(len(rows))
    if column == "image":
        return [picture_file(run, path.parent / row["image"]) for row in rows]
    second = [row["second"] or "" for row in rows] if takes_pairs(run) else []
    return texts(run, [row["text"] or "" for row in rows], second)


def _check_count(count: int) -> None:
    if not 1 <= count <= MOST_INPUTS:
        raise ResultsError(f"Got {count:,} inputs; give from 1 to {MOST_INPUTS:,} at a time.")


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ResultsError(f"{path} is too large; at most {MOST_BYTES // 2**20} MiB are read.")
        return path.read_bytes()
    except OSError as error:
        raise ResultsError(f"{path} cannot be read: {error.strerror or error}.") from None
