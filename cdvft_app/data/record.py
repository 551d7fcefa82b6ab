"""One record of a CSV or TSV file, and its quotation marks.

A value may stand in quotation marks, with spaces around them, and then holds separators, line ends, and
quotation marks written twice (RFC 4180). In other values a quotation mark is a letter like others.
"""

from __future__ import annotations

import re
from typing import Literal

State = Literal["whole", "open", "broken", "doubtful"]
_INSIDE = re.compile(r'[^"]*(?:""[^"]*)*')


class Marks:
    """Quotation marks by where they stand, for such separators."""

    def __init__(self, separators: str) -> None:
        by, space = f"[{re.escape(separators)}]", "" if separators == " " else " *"
        self.value = re.compile(f"[^{re.escape(separators)}]*")
        self.opening = re.compile(f'{space}"')
        self.closing = re.compile(f'"{space}({by}|$)')
        # One that opens a value, or one that would close a value that was opened before.
        self.outer = re.compile(f'(?P<opens>(?:^|{by}){space}")|"{space}(?:{by}|$)')


class Record:
    """One record, line by line; `values` are those that are whole so far."""

    def __init__(self, marks: Marks) -> None:
        self.values: list[str] = []
        self._marks = marks
        self._open: list[str] = []  # the lines of a value in quotes
        self._lines = 0

    def take(self, line: str) -> State:
        """The record after one more line. It is doubtful where a value beside one of several lines has a
        quotation mark: most likely one that should open a value closed one that was opened by mistake."""
        doubtful, place = False, 0
        self._lines += 1
        while place <= len(line):
            opening = None if self._open else self._marks.opening.match(line, place)
            if not self._open and not opening:
                value = self._marks.value.match(line, place)[0]  # type: ignore[index]  # it may be empty
                self.values.append(value)
                doubtful = doubtful or (self._lines > 1 and '"' in value)
                place += len(value) + 1
                continue
            inside = _INSIDE.match(line, opening.end() if opening else place)
            assert inside  # it may be empty
            self._open.append(inside[0])
            if inside.end() == len(line):
                return "open"
            closing = self._marks.closing.match(line, inside.end())
            if not closing:
                return "broken"
            self.values.append("\n".join(self._open).replace('""', '"'))
            self._open = []
            place = closing.end() + (not closing[1])
        return "doubtful" if doubtful else "whole"
