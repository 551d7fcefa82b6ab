"""Who may change a run, and who may see it.

A browser holds the token that a run was started with, and its cookie the token's `viewer_key`, which finds
the runs and changes none. What is kept is the key's hash: neither a history nor a run's file lets anybody
present what a browser does.
"""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import re
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cdvft_app.settings.environment import environment
from cdvft_app.store.records import COLUMNS, RunRecord, record

TOKEN_LIMIT = 200
KEY = re.compile(r"[0-9a-f]{64}")
_HASH_MARK = "2:"  # tells the hash of a key from a key, which format 11 of the history kept


def viewer_key(token: str) -> str:
    """Return the key that a browser's cookie presents: the SHA-256 of its token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def key_hash(key: str) -> str:
    """Return the hash of a `viewer_key`, which the history and the runs' folders keep."""
    return _HASH_MARK + hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def token_hash(token: str) -> str:
    """Return the hash that the history and the runs' folders keep of a token."""
    return key_hash(viewer_key(token))


def owner_hash(token: str | None) -> str | None:
    """Return the hash of the owner with this token; None for the terminal, which has no token."""
    return None if token is None else token_hash(token)


def upgraded_hash(found: str | None) -> str | None:
    """Return an owner's hash in today's form; what format 11 kept, the key itself, is hashed."""
    return key_hash(found) if found and KEY.fullmatch(found) else found


def owns(token: object, owner: str | None) -> bool:
    """Return whether the token is of the owner with this hash, or of a run without one: see `owns_unowned`.

    The hashes are compared in constant time.
    """
    if not isinstance(token, str) or not 0 < len(token) <= TOKEN_LIMIT:
        return False
    if owner is None:
        return owns_unowned()
    return hmac.compare_digest(token_hash(token), owner)


def owns_unowned() -> bool:
    """Return whether everybody who opens the page owns the runs without an owner, those of a terminal.

    On one's own machine it is: there is nobody else. A server that others reach has its operator for them.
    """
    known = environment()
    return not known.public and known.logins is None


@dataclass(frozen=True)
class Viewer:
    """Sees what is neither private nor hidden, and every run of its own.

    Args:
        owner: the hash of the token by which it owns runs; None: it owns none.
        everything: whether it sees all runs: the app itself, a terminal, the operator.
        name: the name that replaces a name of others' runs, which then have nothing else that their owners
            typed; None: all stays.
    """

    owner: str | None = None
    everything: bool = False
    name: Callable[[RunRecord], str] | None = None

    def condition(self) -> tuple[str, tuple[object, ...]]:
        """Return SQL and its values for the runs that the viewer sees."""
        if self.everything:
            return "TRUE", ()
        mine, values = owned_by(self.owner)
        return f"(private = 0 AND hidden = 0 OR {mine})", values

    def select(self, connection: sqlite3.Connection, rest: str, *values: object) -> list[RunRecord]:
        """Return the runs it sees among those of `rest`: a condition, and what follows one in a SELECT."""
        seen, owner = self.condition()
        query = f"SELECT {COLUMNS}, token_hash FROM runs WHERE {seen} AND {rest}"
        return [self._record(row) for row in connection.execute(query, (*owner, *values))]

    def rows(
        self, connection: sqlite3.Connection, run_id: str, found: list[dict[str, Any]]
    ) -> list[dict[str, Any]]:
        """Return the rows of a run; where names are hidden, so is what its owner typed, with its answers."""
        if not any(row.get("own") for row in found):
            return found
        row = connection.execute("SELECT token_hash FROM runs WHERE id = ?", (run_id,)).fetchone()
        if self._knows(row and row["token_hash"]):
            return found
        return [
            {name: value[:-1] if isinstance(value, list) else value for name, value in row.items()}
            if row.get("own")
            else row
            for row in found
        ]

    def _knows(self, owner: str | None) -> bool:
        """Return whether this viewer may see what the owner of a run typed."""
        return self.everything or self.name is None or (owner is not None and owner == self.owner)

    def _record(self, row: sqlite3.Row) -> RunRecord:
        columns = dict(row)
        owner = columns.pop("token_hash")
        found = record(columns)
        if self.name is None or self._knows(owner):
            return found
        settings = found.settings.model_copy(update={"own_prompt": None})
        return dataclasses.replace(found, name=self.name(found), settings=settings)


def owned_by(owner: str | None) -> tuple[str, tuple[object, ...]]:
    """Return SQL and its values for the runs of the owner with this token's hash."""
    unowned = "token_hash IS NULL OR " if owns_unowned() else ""
    return f"({unowned}token_hash = ?)", (owner,)


EVERYTHING = Viewer(everything=True)
