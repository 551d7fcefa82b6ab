"""The order of the queue: races before sweeps, visitors in turn, then first come, first served.

A sweep has many runs that nobody watches one by one; a race must not wait for more than the one that trains.
On a public server visitors take turns: the first run of each comes before the second of any, and among
visitors whoever had no turn for longest is next. Elsewhere runs have no visitor, and the order is first come.
"""

from __future__ import annotations

import sqlite3

# Each waiting run with its round: which one of its visitor's it is, counting those that train now.
_WAITING = """
    WITH waiting AS (
        SELECT number, id, sweep, queued, coalesce(turns.taken, 0) AS taken,
            row_number() OVER (PARTITION BY sweep, runs.visitor ORDER BY queued, number)
            + (SELECT count(*) FROM runs AS busy WHERE busy.visitor = runs.visitor
               AND busy.state IN ('preparing', 'running', 'stopping')) AS round
        FROM runs LEFT JOIN turns ON turns.visitor = runs.visitor WHERE state = 'queued'
    )
"""
_ORDER = "sweep, round, taken, queued, number"


# An owner of whose runs none trains.
_IDLE_OWNER = """ NOT EXISTS (
    SELECT 1 FROM runs AS busy JOIN runs AS mine ON mine.number = waiting.number
    WHERE busy.token_hash = mine.token_hash AND busy.state IN ('preparing', 'running', 'stopping'))"""


def first(connection: sqlite3.Connection, one_each: bool = False) -> int | None:
    """The number of the run that is taken next; with `one_each`, of those whose owner trains none."""
    able = _IDLE_OWNER if one_each else "TRUE"
    query = f"{_WAITING} SELECT number FROM waiting WHERE {able} ORDER BY {_ORDER} LIMIT 1"
    row = connection.execute(query).fetchone()
    return row and row[0]


def conditions(
    owner: str | None, sweep: bool | None, visitor: str | None = None
) -> tuple[str, tuple[object, ...]]:
    """SQL for runs of the owner with this token's hash, of sweeps or of races, of a visitor; None: of any."""
    filters = {"token_hash": owner, "sweep": sweep, "visitor": visitor}
    filters = {column: value for column, value in filters.items() if value is not None}
    return " AND ".join(["TRUE", *(f"{column} = ?" for column in filters)]), tuple(filters.values())


def count(
    connection: sqlite3.Connection, owner: str | None, sweep: bool | None, visitor: str | None = None
) -> int:
    """How many of those runs wait."""
    wanted, values = conditions(owner, sweep, visitor)
    query = f"SELECT count(*) FROM runs WHERE state = 'queued' AND {wanted}"
    return connection.execute(query, values).fetchone()[0]


def place(connection: sqlite3.Connection, run_id: str) -> int | None:
    """1 for the run that is taken next; None for a run that does not wait."""
    ranked = f"SELECT id, row_number() OVER (ORDER BY {_ORDER}) AS place FROM waiting"
    row = connection.execute(f"{_WAITING} SELECT place FROM ({ranked}) WHERE id = ?", (run_id,)).fetchone()
    return row and row[0]
