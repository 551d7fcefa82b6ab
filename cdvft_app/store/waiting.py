"""The order in which queued runs are taken: races before sweeps, then whoever has waited longest.

A sweep has many runs that nobody watches one by one; a race must not wait for more than the one that trains.
"""

from __future__ import annotations

import sqlite3

ORDER = "sweep, queued, number"


def first(connection: sqlite3.Connection) -> int | None:
    """The number of the run that is taken next."""
    row = connection.execute(
        f"SELECT number FROM runs WHERE state = 'queued' ORDER BY {ORDER} LIMIT 1"
    ).fetchone()
    return row and row["number"]


def conditions(owner: str | None, sweep: bool | None) -> tuple[str, tuple[object, ...]]:
    """SQL for runs of the owner with this token's hash, of sweeps or of races; None: of any."""
    given = {"token_hash": owner, "sweep": sweep}
    given = {column: value for column, value in given.items() if value is not None}
    return " AND ".join(["TRUE", *(f"{column} = ?" for column in given)]), tuple(given.values())


def count(connection: sqlite3.Connection, owner: str | None, sweep: bool | None) -> int:
    """How many of those runs wait."""
    wanted, values = conditions(owner, sweep)
    query = f"SELECT count(*) FROM runs WHERE state = 'queued' AND {wanted}"
    return connection.execute(query, values).fetchone()[0]


def place(connection: sqlite3.Connection, run_id: str) -> int | None:
    """1 for the run that is taken next; None for a run that does not wait."""
    row = connection.execute(
        "SELECT (SELECT count(*) FROM runs WHERE state = 'queued'"
        " AND (sweep, queued, number) <= (mine.sweep, mine.queued, mine.number))"
        " FROM runs AS mine WHERE id = ? AND state = 'queued'",
        (run_id,),
    ).fetchone()
    return row and row[0]
