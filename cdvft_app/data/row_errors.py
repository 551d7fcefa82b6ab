"""Rows of a file that are left out, by what is wrong with them, in sentences.

It imports nothing of the app: exports have it beside their apply.py as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

MAX_NAMED = 5  # rows of one kind of fault
MAX_KINDS = 200


class Finding(str):
    """A sentence on what is wrong or to be known; `columns` are those that it is about, none: the whole.

    `steps` are ways to mend it, any one of them (`catalog/cleaning.py`).
    """

    columns: tuple[str, ...]
    steps: tuple[str, ...]

    def __new__(cls, sentence: str, *columns: str, steps: tuple[str, ...] = ()) -> Finding:
        made = super().__new__(cls, sentence)
        made.columns, made.steps = columns, steps
        return made


_ROW_OF_A_FILE = re.compile(r".*, row \d+", re.DOTALL)


def _place(row: int | str) -> tuple[str, str]:
    """Return a row as a sentence names it, and what it is one of: rows, or files.

    Of several files a row is said by its file, too; the number of one that holds a picture is a text.
    """
    if isinstance(row, int) or row.isdecimal():
        return f"row {int(row):,}", "row"
    return f"“{row}”", "row" if _ROW_OF_A_FILE.fullmatch(row) else "file"


@dataclass
class RowErrors:
    """Rows that are left out, by what is wrong with them.

    A row is the number of its line in the file, the head's being 1, or the name of a file.
    """

    found: dict[tuple[str, str, str], list[Any]] = field(default_factory=dict)
    counts: dict[tuple[str, str, str], int] = field(default_factory=dict)

    def add(self, row: int | str, what: str, advice: str, column: str = "") -> None:
        kind = (what, advice, column)
        if kind not in self.counts and len(self.counts) >= MAX_KINDS:
            kind = ("something else is wrong with it", "look at the file", "")
        self.counts[kind] = self.counts.get(kind, 0) + 1
        named = self.found.setdefault(kind, [])
        if len(named) < MAX_NAMED:
            named.append(row)

    def add_counted(self, rows: Sequence[Any], count: int, what: str, advice: str, column: str) -> None:
        """Add `count` rows with one kind of fault at once, of which `rows` are named."""
        for row in rows:
            self.add(row, what, advice, column)
        if (what, advice, column) in self.counts:
            self.counts[what, advice, column] += count - len(rows)

    @property
    def count(self) -> int:
        return sum(self.counts.values())

    def sentences(self, title: str = "") -> list[Finding]:
        """Return a sentence for each kind of fault, with its rows.

        “reviews”, row 214, column “stars”: it is empty; 2 rows like it (301, 318). Give it a value.
        """
        lines = []
        for kind, count in self.counts.items():
            what, advice, column = kind
            first, *others = self.found[kind]
            where, things = _place(first)
            where = f"“{title}”, {where}" if title else f"{where[:1].upper()}{where[1:]}"
            if column:
                where += f", column “{column}”"
            more = ""
            if count > 1:
                named = ", ".join(f"{one:,}" if isinstance(one, int) else str(one) for one in others)
                rest = ", …" if count - 1 > len(others) else ""
                more = f"; {count - 1:,} {things}{'s' if count > 2 else ''} like it ({named}{rest})"
            sentence = f"{where}: {what}{more}. {advice[:1].upper()}{advice[1:]}."
            lines.append(Finding(sentence, *([column] if column else [])))
        return lines

    def kept(self) -> list[dict[str, Any]]:
        """Return the faults as `of` reads them, of JSON types."""
        return [
            {"what": what, "advice": advice, "column": column, "count": count, "rows": self.found[kind]}
            for kind, count in self.counts.items()
            for what, advice, column in [kind]
        ]

    @classmethod
    def of(cls, kept: Iterable[dict[str, Any]]) -> RowErrors:
        faults = cls()
        for one in kept:
            kind = (one["what"], one["advice"], one["column"])
            faults.counts[kind], faults.found[kind] = one["count"], list(one["rows"])
        return faults
