"""The order of the queue, and the seconds of this machine that visitors take.

Races come before sweeps, visitors take turns, then it is first come, first served. A sweep has many runs
that nobody watches one by one; a race must not wait for more than the one that trains. On a public server the
first run of each visitor comes before the second of any, and among visitors whoever had no turn for longest
is next. Elsewhere runs have no visitor, and the order is first come.
"""

from __future__ import annotations

import sqlite3
import time

from cdvft_app.store import states
from cdvft_app.store.database import Database
from cdvft_app.store.owners import owned_by
from cdvft_app.store.processes import moment, seconds_between
from cdvft_app.store.records import JOB, LENT, NODE, json_object

KEPT_DAYS = 31

# Each waiting run with its round: which one of its visitor's it is, counting those that train now.
_WAITING = f"""
    WITH waiting AS (
        SELECT number, id, sweep, queued, coalesce(turns.taken, 0) AS taken,
            row_number() OVER (PARTITION BY sweep, runs.visitor ORDER BY queued, number)
            + (SELECT count(*) FROM runs AS busy WHERE busy.visitor = runs.visitor
               AND busy.state IN {states.sql(states.ACTIVE)}) AS round
        FROM runs LEFT JOIN turns ON turns.visitor = runs.visitor WHERE state = 'queued'
    )
"""
_ORDER = "sweep, round, taken, queued, number"


# An owner of whose runs none trains.
_IDLE_OWNER = f""" NOT EXISTS (
    SELECT 1 FROM runs AS busy JOIN runs AS mine ON mine.number = waiting.number
    WHERE busy.token_hash = mine.token_hash AND busy.state IN {states.sql(states.ACTIVE)})"""


def first(connection: sqlite3.Connection, one_each: bool = False) -> int | None:
    """Return the number of the run that is taken next; with `one_each`, only of owners who train none."""
    able = _IDLE_OWNER if one_each else "TRUE"
    query = f"{_WAITING} SELECT number FROM waiting WHERE {able} ORDER BY {_ORDER} LIMIT 1"
    row = connection.execute(query).fetchone()
    return row and row[0]


def conditions(
    owner: str | None, sweep: bool | None, visitor: str | None = None
) -> tuple[str, tuple[object, ...]]:
    """Return SQL and its values for the runs of an owner (a token's hash), of sweeps or races, of a visitor.

    None selects those of any.
    """
    filters = {"sweep": sweep, "visitor": visitor}
    filters = {column: value for column, value in filters.items() if value is not None}
    mine, mine_values = ("TRUE", ()) if owner is None else owned_by(owner)
    return " AND ".join([mine, *(f"{column} = ?" for column in filters)]), (*mine_values, *filters.values())


def count(
    connection: sqlite3.Connection, owner: str | None, sweep: bool | None, visitor: str | None = None
) -> int:
    """Return how many of the runs that `conditions` selects wait."""
    wanted, values = conditions(owner, sweep, visitor)
    query = f"SELECT count(*) FROM runs WHERE state = 'queued' AND {wanted}"
    return connection.execute(query, values).fetchone()[0]


def place(connection: sqlite3.Connection, run_id: str) -> int | None:
    """Return the run's place in the queue, 1 for the next one; None for a run that does not wait."""
    ranked = f"SELECT id, row_number() OVER (ORDER BY {_ORDER}) AS place FROM waiting"
    row = connection.execute(f"{_WAITING} SELECT place FROM ({ranked}) WHERE id = ?", (run_id,)).fetchone()
    return row and row[0]


def charge(
    connection: sqlite3.Connection, visitor: str | None, what: str, seconds: float, now: float
) -> None:
    """Count seconds that end at `now`, inside the caller's transaction; without a visitor, none."""
    if visitor is not None and seconds > 0:
        connection.execute("INSERT INTO spent VALUES (?, ?, ?, ?)", (visitor, what, now, seconds))
        connection.execute("DELETE FROM spent WHERE ended < ?", (now - KEPT_DAYS * 86_400,))


def taken(run: sqlite3.Row, now: float) -> tuple[float, float]:
    """Return the seconds since an active run was taken from the queue, and how many of them it is charged.

    The latter are 0 for a run that does not keep this machine busy: as a Job, between two slices, or while it
    waits for a node of a cluster; those executors charge what such runs take.
    A dead program's lease has ended before.
    """
    seconds = seconds_between(run["began"], moment())
    leased = seconds_between(run["began"], run["leased"])
    if seconds is None or leased is None:  # of another machine, or of a time before it was started anew
        seconds, leased = now - run["started"], (run["lease_until"] or now) - run["started"]
    elsewhere = {JOB, LENT, NODE} & json_object(run["result"]).keys()
    return seconds, 0.0 if elsewhere else max(0.0, min(seconds, leased))


def take_turn(connection: sqlite3.Connection, visitor: str | None, now: float) -> None:
    """Record that a run of this visitor is taken from the queue."""
    if visitor is not None:
        connection.execute("INSERT OR REPLACE INTO turns VALUES (?, ?)", (visitor, now))


class Spending:
    """`RunStore.spending`; any thread and process may use it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def charge(self, visitor: str, what: str, seconds: float) -> None:
        """Count seconds that have just ended."""
        with self._database.writing() as connection:
            charge(connection, visitor, what, seconds, time.time())

    def since(self, visitor: str, begin: float) -> list[tuple[float, float]]:
        """Return (end, seconds) of all that was counted after `begin`, the oldest first."""
        query = (
            "SELECT ended, seconds FROM spent WHERE visitor = ? AND ended > ? AND typeof(ended) = 'real'"
            " AND typeof(seconds) = 'real' ORDER BY ended"
        )
        with self._database.reading() as connection:
            return [(row["ended"], row["seconds"]) for row in connection.execute(query, (visitor, begin))]

    def running(self, visitor: str) -> float:
        """Return the seconds of the visitor's runs that train now; they are charged when these end."""
        query = (
            "SELECT began, leased, result, CAST(started AS REAL) AS started,"
            " CAST(lease_until AS REAL) AS lease_until FROM runs WHERE visitor = ?"
            f" AND state IN {states.sql(states.ACTIVE)} AND started IS NOT NULL"
        )
        with self._database.reading() as connection:
            runs = connection.execute(query, (visitor,)).fetchall()
        return sum(taken(run, time.time())[1] for run in runs)

    def promised(self, visitor: str) -> float:
        """Return the seconds that the visitor's waiting and training runs take by their forecasts."""
        query = (
            "SELECT coalesce(sum(CASE WHEN json_valid(forecast)"
            " THEN json_extract(forecast, '$.whole_seconds.value') END), 0) FROM runs"
            f" WHERE visitor = ? AND state IN {states.sql(states.UNFINISHED)}"
        )
        with self._database.reading() as connection:
            return connection.execute(query, (visitor,)).fetchone()[0]
