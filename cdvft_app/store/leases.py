"""Who trains a run now: a lease with an epoch, which its holder renews as long as it lives.

`acquire` and `next` give a run to a holder, in state `preparing`, with the next epoch, under which the holder
and its children write. When a holder is gone, whoever looks first ends its run as `interrupted` and moves the
epoch on, so that one that was only slow can write no more: its run may be in other hands by then.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import suppress

from cdvft_app.store import processes, states, waiting
from cdvft_app.store.database import Database
from cdvft_app.store.records import LeaseLost, RunRecord, StoreError, kept, select

RENEWAL_SECONDS = 5.0
"""How often a holder renews its lease, which ends after `states.LEASE_SECONDS` without."""
LOOK_SECONDS = 1.0
INTERRUPTED = "The program ended while this run was training. Resume goes on from its last checkpoint."


class Leases:
    """`RunStore.leases`; any thread and process may use it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._next_look = 0.0

    def look(self) -> None:
        """`expire`, before anybody is told of runs; at most once a second."""
        now = time.monotonic()
        if now >= self._next_look:
            self._next_look = now + LOOK_SECONDS
            with suppress(StoreError):  # of a disk that is full: what is known is shown
                self.expire()

    def acquire(self, run_id: str, holder: str) -> RunRecord:
        """Take a run that waits, or one that ended early; `epoch` of the record is the lease's.

        Raises:
            UnknownRun, IllegalTransition: it is gone, or somebody else has it.
        """
        with self._database.writing() as connection:
            number = kept(connection, run_id)["number"]
            states.move(connection, number, "preparing", process=holder)
            return select(connection, "WHERE number = ?", number)[0]

    def next(self, holder: str) -> RunRecord | None:
        """`acquire` the run whose turn it is; no two holders get the same one."""
        with self._database.writing() as connection:
            number = waiting.first(connection)
            if number is None:
                return None
            states.move(connection, number, "preparing", process=holder)
            return select(connection, "WHERE number = ?", number)[0]

    def join(self, run_id: str, epoch: int, process: str) -> None:
        """Name a process that trains for the holder, and still can end the run well when that is gone."""
        with self._database.writing() as connection:
            require(connection, run_id, epoch)
            run = kept(connection, run_id)
            known = select(connection, "WHERE number = ?", run["number"])[0].process
            states.update(connection, run["number"], {"process": f"{known} {process}"})

    def renew(self, run_id: str, epoch: int) -> None:
        """Keep the lease for another while; `LeaseLost` if it is no longer this one."""
        with self._database.writing() as connection:
            require(connection, run_id, epoch)
            states.update(connection, kept(connection, run_id)["number"], {"lease_until": states.lease_end()})

    def expire(self) -> list[str]:
        """End the runs whose holders are gone as `interrupted`; their ids."""
        if not self._gone():
            return []  # most often: without waiting for the lock of those who write
        with self._database.writing() as connection:
            gone = _gone(connection)
            for row in gone:
                states.move(connection, row["number"], "interrupted", INTERRUPTED)
                states.update(connection, row["number"], {"epoch": row["epoch"] + 1})
        return [row["id"] for row in gone]

    def _gone(self) -> list[sqlite3.Row]:
        with self._database.reading() as connection:
            return _gone(connection)


def require(connection: sqlite3.Connection, run_id: str, epoch: int | None) -> None:
    """`LeaseLost` unless the run's lease has this epoch; None: whoever asks needs none."""
    if epoch is None:
        return
    query = "SELECT 1 FROM runs WHERE number = ? AND epoch = ? AND state IN (?, ?, ?)"
    number = kept(connection, run_id)["number"]
    if connection.execute(query, (number, epoch, *states.ACTIVE)).fetchone() is None:
        raise LeaseLost(f"The lease on run {run_id} (epoch {epoch}) has ended; others may have it now.")


def _gone(connection: sqlite3.Connection) -> list[sqlite3.Row]:
    """Active runs that nobody living holds. The operating system knows of processes on this machine, which
    may be asleep with it or wait for a full disk; of others only the lease tells."""
    active = connection.execute(
        "SELECT number, id, epoch, process, lease_until FROM runs WHERE state IN (?, ?, ?) ORDER BY number",
        states.ACTIVE,
    ).fetchall()
    return [row for row in active if not _held(row["process"] or "", row["lease_until"] or 0.0)]


def _held(holders: str, until: float) -> bool:
    known = [processes.alive(name) for name in holders.split()]
    return until > time.time() if None in known or not known else any(known)
