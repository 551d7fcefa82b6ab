"""Which process trains a run: a lease with an epoch (a fencing token), which its holder renews; and the one
function that changes a run's state.

`acquire` and `next` give a run to a holder, in state `preparing`, with the next epoch, under which the holder
and its children write. When a holder has died, the next process that looks ends its run as `interrupted` and
increments the epoch, so that a holder that was only slow can write no more: another may train its run by now.
"""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import suppress
from typing import Any

from cdvft_app.store import processes, queue, states
from cdvft_app.store.database import Database
from cdvft_app.store.processes import moment
from cdvft_app.store.records import (
    JOB,
    LEFT_ON_CLUSTER,
    NODE,
    IllegalTransition,
    LeaseLost,
    RunRecord,
    StoreError,
    json_object,
    require_number,
    select,
)

LEASE_SECONDS = 20.0
RENEWAL_SECONDS = 5.0
"""How often a holder renews its lease, which ends after `LEASE_SECONDS` without."""
LOOK_SECONDS = 1.0
LEFT_JOB = "The program that followed this Job has ended. The Job itself goes on, or has ended: see {}."
PROGRAM_ENDED = "The program ended while this run was training. Resume goes on from its last checkpoint."


class Leases:
    """`RunStore.leases`; any thread and process may use it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._next_look = 0.0

    def look(self) -> None:
        """Call `expire` before runs are read, at most once a second."""
        now = time.monotonic()
        if now >= self._next_look:
            self._next_look = now + LOOK_SECONDS
            with suppress(StoreError):  # on a full disk runs are shown as they were
                self.expire()

    def acquire(self, run_id: str, holder: str) -> RunRecord:
        """Take a run that waits, or one that ended early; `epoch` of the record is the lease's.

        Raises:
            UnknownRun, IllegalTransition: there is no such run, or another holder has it.
        """
        with self._database.writing() as connection:
            number = require_number(connection, run_id)
            (run,) = select(connection, "WHERE number = ?", number)
            if run.defect:
                raise IllegalTransition(run.defect)
            move(connection, number, "preparing", process=holder)
            return select(connection, "WHERE number = ?", number)[0]

    def next(self, holder: str, one_each: bool = False) -> RunRecord | None:
        """Acquire, as `acquire`, the run whose turn it is; no two holders get the same one.

        With `one_each` an owner has one at a time. One that cannot be read, or is of a newer version, ends.
        """
        with self._database.writing() as connection:
            while (number := queue.first(connection, one_each)) is not None:
                (run,) = select(connection, "WHERE number = ?", number)
                if run.defect is None:
                    move(connection, number, "preparing", process=holder)
                    return select(connection, "WHERE number = ?", number)[0]
                move(connection, number, "stopped", run.defect)
            return None

    def join(self, run_id: str, epoch: int, process: str) -> None:
        """Add a process that trains for the holder, and can still end the run well if the holder dies."""
        with self._database.writing() as connection:
            require(connection, run_id, epoch)
            number = require_number(connection, run_id)
            holders = select(connection, "WHERE number = ?", number)[0].process
            update(connection, number, {"process": f"{holders} {process}"})

    def renew(self, run_id: str, epoch: int) -> None:
        """Extend the lease; `LeaseLost` if its epoch is no longer this one."""
        with self._database.writing() as connection:
            require(connection, run_id, epoch)
            update(connection, require_number(connection, run_id), lease_end())

    def expire(self) -> list[str]:
        """End the runs whose holders have died as `interrupted`; their ids."""
        with self._database.reading() as connection:
            if not _orphaned(connection):
                return []  # the usual case, without waiting for the write lock
        with self._database.writing() as connection:
            orphaned = _orphaned(connection)
            for row in orphaned:
                why = interruption(json_object(row["result"]))
                move(connection, row["number"], "interrupted", why)
                update(connection, row["number"], {"epoch": row["epoch"] + 1})
        return [row["id"] for row in orphaned]


def require(connection: sqlite3.Connection, run_id: str, epoch: int | None) -> None:
    """Raise `LeaseLost` unless the run's lease has this epoch; with None the caller needs no lease."""
    if epoch is None:
        return
    query = f"SELECT 1 FROM runs WHERE number = ? AND epoch = ? AND state IN {states.sql(states.ACTIVE)}"
    number = require_number(connection, run_id)
    if connection.execute(query, (number, epoch)).fetchone() is None:
        raise LeaseLost(f"The lease on run {run_id} (epoch {epoch}) has ended; others may have it now.")


def _orphaned(connection: sqlite3.Connection) -> list[sqlite3.Row]:
    """Return the active runs whose holders have died.

    On this machine the operating system tells, since sleep or a full disk may delay a living holder's
    renewals; on other machines the lease alone.
    """
    active = connection.execute(
        "SELECT number, id, CAST(epoch AS INTEGER) AS epoch, CAST(process AS TEXT) AS process,"
        " CAST(lease_until AS REAL) AS lease_until, result FROM runs"
        f" WHERE state IN {states.sql(states.ACTIVE)} ORDER BY number"
    ).fetchall()
    return [row for row in active if not _held(row["process"] or "", row["lease_until"] or 0.0)]


def interruption(result: dict[str, Any]) -> str:
    """Return why a run with this result is interrupted when the program ends that trained or followed it."""
    if JOB in result:
        return LEFT_JOB.format(result[JOB] or "among yours on the hub")
    return LEFT_ON_CLUSTER if NODE in result else PROGRAM_ENDED


def _held(holders: str, lease_until: float) -> bool:
    living = [processes.alive(name) for name in holders.split()]
    return lease_until > time.time() if None in living or not living else any(living)


def move(
    connection: sqlite3.Connection,
    number: int,
    state: states.RunState,
    reason: str | None = None,
    process: str | None = None,
) -> None:
    """Change a run's state inside the caller's transaction, or raise `IllegalTransition`."""
    query = (
        "SELECT id, state, CAST(epoch AS INTEGER) AS epoch, visitor, CAST(started AS REAL) AS started,"
        " CAST(lease_until AS REAL) AS lease_until, result, began, leased FROM runs WHERE number = ?"
    )
    run = connection.execute(query, (number,)).fetchone()
    previous, visitor = run["state"], run["visitor"]
    possible = states.STATES[previous].next if previous in states.STATES else ()
    if state not in possible:
        allowed = " or ".join(possible) or "nothing else"
        raise IllegalTransition(f"This run is {previous}; it can become {allowed}, not {state}.")
    now = time.time()
    changed: dict[str, object] = {"state": state, "reason": reason}
    if state in states.FINAL:
        changed["ended"] = now
    elif state == "queued":
        changed |= {"queued": now, "ended": None, "process": None}
    elif state == "preparing":
        changed |= {"started": now, "ended": None, "process": process, "began": moment()}
        changed |= {"epoch": run["epoch"] + 1} | lease_end()
        result = json_object(run["result"])
        if result.pop(NODE, None) is not None:  # where it trained before says nothing of now
            changed["result"] = json.dumps(result)
        queue.take_turn(connection, visitor, now)
    if previous in states.ACTIVE and state in states.FINAL and run["started"] is not None:
        seconds, charged = queue.taken(run, now)
        changed["ended"] = run["started"] + seconds
        queue.charge(connection, visitor, "training", charged, now)
    if previous in states.RESUMABLE:  # the run goes on, so its `done` row is void
        connection.execute("DELETE FROM rows WHERE run_id = ? AND kind = 'done'", (run["id"],))
    update(connection, number, changed)


def lease_end() -> dict[str, object]:
    """Return the columns of a lease that is given or renewed now: when it ends, unless it is renewed."""
    return {"lease_until": time.time() + LEASE_SECONDS, "leased": moment(LEASE_SECONDS)}


def update(connection: sqlite3.Connection, number: int, changed: dict[str, object]) -> None:
    assignments = ", ".join(f"{column} = ?" for column in changed)
    connection.execute(f"UPDATE runs SET {assignments} WHERE number = ?", (*changed.values(), number))
