"""A text file in any usual encoding, as UTF-8 lines that a parser can take.

In a file that is UTF-8 but for some lines, those are read as Windows-1252 and listed in `mixed`.
"""

from __future__ import annotations

import codecs
import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cdvft_app.data.encodings import encoding_of
from cdvft_app.data.faults import DataRefused, Faults
from cdvft_app.data.limits import Limits
from cdvft_app.data.source import Progress

QUOTE_LINES = 50  # over so many lines a quoted value may go; one that goes on is taken for never closed
_OPENS = re.compile(r'(?:^|[,;\t|])\s*"')


@dataclass
class Lines:
    """A file's lines with their numbers. `mixed` are those that were read as Windows-1252 among others."""

    path: Path
    limits: Limits
    progress: Progress
    faults: Faults
    encoding: str = "utf-8"
    mixed: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.encoding = encoding_of(self.path)

    def __iter__(self) -> Iterator[tuple[int, str]]:
        self.mixed.clear()
        if self.encoding.startswith("utf-16"):
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
            if self.encoding == "utf-8-sig":
                file.read(len(codecs.BOM_UTF8))
            number = 0
            while raw := file.readline(most):
                if len(raw) == most and not raw.endswith(b"\n"):
                    while (rest := file.readline(most)) and not rest.endswith(b"\n"):
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


def write_records(lines: Lines, out: Path) -> tuple[array[int], bool]:
    """Write what is to be parsed as CSV: UTF-8, one kind of line end, no empty line, each quote closed.

    Returns:
        The number of the line where each record begins, and whether there are quoted values.
    """
    begins: array[int] = array("q")
    quoted = False
    most = lines.limits.rows + 1
    with out.open("w", encoding="utf-8", newline="\n") as file:
        for start, record in _records(lines, lines.faults):
            if not record.strip():
                continue
            if len(begins) > most:
                raise DataRefused(
                    f"It has more than {lines.limits.rows:,} rows, the most that is taken. Give a part of it."
                )
            quoted = quoted or '"' in record
            begins.append(start)
            file.write(record + "\n")
    return begins, quoted


def _records(lines: Lines, faults: Faults) -> Iterator[tuple[int, str]]:
    """Lines, those of one quoted value joined; a quotation mark that is never closed is a fault."""
    waiting: list[tuple[int, str]] = []

    def unclosed() -> Iterator[tuple[int, str]]:
        # The first of them is at fault; the others are looked at anew, each by itself.
        first, *others = waiting
        waiting.clear()
        faults.add(first[0], "a quotation mark is opened and never closed", "close it, or write it twice")
        for one in others:
            yield from take(*one)

    def take(number: int, line: str) -> Iterator[tuple[int, str]]:
        odd = line.count('"') % 2 == 1
        if not waiting and not (odd and _OPENS.search(line)):
            yield number, line
            return
        waiting.append((number, line))
        if odd and len(waiting) > 1:
            record = waiting[0][0], "\n".join(text for _, text in waiting)
            waiting.clear()
            yield record
        elif len(waiting) > QUOTE_LINES:
            yield from unclosed()

    for number, line in lines:
        yield from take(number, line)
    while waiting:
        yield from unclosed()
