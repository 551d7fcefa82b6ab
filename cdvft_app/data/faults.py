"""What is wrong with somebody's data: refusals, and faults by row and column."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

MAX_NAMED = 5  # rows of one kind of fault
MAX_KINDS = 200


class DataRefused(Exception):
    """The data cannot be taken; a sentence that says why, and what to do."""


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

    @property
    def count(self) -> int:
        return sum(self.counts.values())

    def sentences(self, title: str = "") -> list[str]:
        """“reviews”, row 214, column “stars”: it is empty; 2 rows like it (301, 318). Give it a value."""
        lines = []
        for kind, count in self.counts.items():
            what, advice, column = kind
            first, *others = self.found[kind]
            where = f"row {first:,}" if isinstance(first, int) else f"“{first}”"
            where = f"“{title}”, {where}" if title else f"{where[:1].upper()}{where[1:]}"
            if column:
                where += f", column “{column}”"
            more = ""
            if count > 1:
                things = "row" if isinstance(first, int) else "file"
                named = ", ".join(f"{one:,}" if isinstance(one, int) else str(one) for one in others)
                rest = ", …" if count - 1 > len(others) else ""
                more = f"; {count - 1:,} {things}{'s' if count > 2 else ''} like it ({named}{rest})"
            lines.append(f"{where}: {what}{more}. {advice[:1].upper()}{advice[1:]}.")
        return lines

    def kept(self) -> list[dict[str, Any]]:
        """As JSON."""
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
