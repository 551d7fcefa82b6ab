"""Ids and names as they come from outside: what can be one, and how one is quoted."""

from __future__ import annotations

import re

ID = re.compile(r"[A-Za-z0-9_-]{22,32}")  # 16 random bytes, as hex or as base64
NAME_LIMIT = 120


def possible_id(value: object) -> str:
    """The value if it can be an id at all, else one that no run has."""
    return value if isinstance(value, str) and ID.fullmatch(value) else ""


def no_run(run_id: object) -> str:
    return f"There is no run {str(run_id)[:40]!r}; it may have been deleted."


def one_line(name: str) -> str:
    """The name in one line without control characters, of at most 120 characters."""
    printable = "".join(character if character.isprintable() else " " for character in name[:1000])
    return " ".join(printable.split())[:NAME_LIMIT]
