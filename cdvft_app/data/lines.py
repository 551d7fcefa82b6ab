"""A text file's lines, in any usual encoding: UTF-8, UTF-16, UTF-32 by its mark, or else Windows-1252.

UTF-16 is known by its mark or its zeros. In a file that is UTF-8 but for some lines, those are read as
Windows-1252 and listed in `mixed`.
"""

from __future__ import annotations

import codecs
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cdvft_app.data.row_errors import RowErrors
from cdvft_app.data.source import DataRefused, Limits
from cdvft_app.progress import Progress

MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # which begins with that of UTF-16
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
NAMES = {
    "utf-8": "UTF-8",
    "utf-8-sig": "UTF-8",
    "utf-16": "UTF-16",
    "utf-16-le": "UTF-16",
    "utf-16-be": "UTF-16",
    "utf-32": "UTF-32",
    "cp1252": "Windows-1252 (Western)",
}
BLANK = " \t\r\n"
_HEAD = 4096  # bytes; what a file begins with
_MOSTLY = 0.7  # share of zeros at every other byte by which UTF-16 is known that has no mark
_CHUNK = 1 << 20
NAMED = 5  # places in a note


def encoding_of(path: Path) -> str:
    """Return a codec of `NAMES`; of UTF-8 and Windows-1252 the one that fits more of the lines with letters
    beyond ASCII.

    Raises:
        DataRefused: it is not a text file.
    """
    with path.open("rb") as file:
        start = file.read(_HEAD)
        known = _by_beginning(start)
        if known:
            return known
        if b"\x00" in start:
            raise DataRefused(
                f"“{path.name}” is not a text file. Give a CSV, TSV, Excel, JSON, JSONL or Parquet file, or "
                "a zip of pictures."
            )
        file.seek(0)
        good = bad = 0
        for raw in file:
            if raw.isascii():
                continue
            try:
                raw.decode("utf-8")
                good += 1
            except UnicodeDecodeError:
                bad += 1
    return "cp1252" if bad > good else "utf-8"


def first_letters(path: Path) -> str:
    """Return the first letters of a file without leading blanks; the file need not be text."""
    with path.open("rb") as file:
        start = file.read(_HEAD)
    return start.decode(_by_beginning(start) or "latin-1", "ignore").lstrip(BLANK)


def as_utf8(path: Path, encoding: str, work: Path) -> Path:
    """Return the file itself if it is plain UTF-8, else a copy of it in `work` that is."""
    if encoding == "utf-8":
        return path
    copy = work / f"utf-8 {path.name}"
    with (
        path.open(encoding=encoding, errors="replace", newline="") as text,
        copy.open("w", encoding="utf-8", newline="") as file,
    ):
        while chunk := text.read(_CHUNK):
            file.write(chunk)
    return copy


def _by_beginning(start: bytes) -> str | None:
    """Return the encoding that a file's first bytes tell; None where they do not."""
    for mark, name in MARKS:
        if start.startswith(mark):
            return name
    for name, zeros, letters in (
        ("utf-16-le", start[1::2], start[::2]),
        ("utf-16-be", start[::2], start[1::2]),
    ):
        if zeros and zeros.count(0) > _MOSTLY * len(zeros) and 0 not in letters:
            return name
    return None


def _line_reader(file: io.BufferedReader, end: bytes) -> Callable[[int], bytes]:
    """Return a function that reads a line with its end, or so many bytes of a longer one."""
    if end == b"\n":
        return file.readline
    bytes_as_letters = io.TextIOWrapper(file, "latin-1", newline=end.decode())
    return lambda most: bytes_as_letters.readline(most).encode("latin-1")


@dataclass
class Lines:
    """A file's lines with their numbers. `mixed` are those that were read as Windows-1252 among others."""

    path: Path
    limits: Limits
    progress: Progress
    faults: RowErrors
    encoding: str = "utf-8"
    mixed: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.encoding = encoding_of(self.path)

    def __iter__(self) -> Iterator[tuple[int, str]]:
        self.mixed.clear()
        if self.encoding.startswith(("utf-16", "utf-32")):
            with self.path.open(encoding=self.encoding, errors="replace", newline=None) as text:
                yield from self._counted(line.rstrip("\n") for line in text)
            return
        yield from self._counted(self._decoded())

    def _counted(self, lines: Iterator[str]) -> Iterator[tuple[int, str]]:
        size, done = max(self.path.stat().st_size, 1), 0
        for number, line in enumerate(lines, 1):
            done += len(line) + 1
            if number % 50_000 == 0:
                self.progress(min(done / size, 1.0), f"Reading row {number:,}")
            yield number, line

    def _decoded(self) -> Iterator[str]:
        most = self.limits.cell_characters * 8
        with self.path.open("rb") as file:
            start = file.read(most)
            file.seek(len(codecs.BOM_UTF8) if self.encoding == "utf-8-sig" else 0)
            end = b"\r" if b"\r" in start and b"\n" not in start else b"\n"  # Excel writes so for old Macs
            readline = _line_reader(file, end)
            number = 0
            while raw := readline(most):
                if len(raw) == most and not raw.endswith(end):
                    while (rest := readline(most)) and not rest.endswith(end):
                        pass
                    number += 1
                    self.faults.add(number, f"it is longer than {most:,} bytes", "shorten it")
                    yield ""
                    continue
                for part in raw.rstrip(b"\r\n").split(b"\r"):
                    number += 1
                    try:
                        yield part.decode("cp1252" if self.encoding == "cp1252" else "utf-8")
                    except UnicodeDecodeError:
                        self.mixed.append(number)
                        yield part.decode("cp1252", "replace")

    def notes(self) -> Iterator[str]:
        """Yield a sentence on the lines that were read as Windows-1252 among others, if there are any."""
        if self.mixed:
            many = len(self.mixed) > 1
            where = ", ".join(f"{number:,}" for number in self.mixed[:NAMED])
            where += ", …" if self.mixed[NAMED:] else ""
            yield (
                f"{len(self.mixed):,} line{'s' if many else ''} ({where}) {'are' if many else 'is'} not "
                "UTF-8 and read as Windows-1252; look whether the letters are right."
            )
