"""A text file in any usual encoding, as UTF-8 lines that a parser can take.

In a file that is UTF-8 but for some lines, those are read as Windows-1252 and listed in `mixed`.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cdvft_app.data.encodings import encoding_of
from cdvft_app.data.faults import RowErrors
from cdvft_app.data.limits import Limits
from cdvft_app.data.source import Progress


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
