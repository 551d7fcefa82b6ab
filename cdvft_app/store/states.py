"""The states of a run, their transitions, and the one function that changes a state."""

from __future__ import annotations

import sqlite3
import time

from cdvft_app.store import spending
from cdvft_app.store.processes import moment
from cdvft_app.store.records import IllegalTransition, RunRecord

ACTIVE = ("preparing", "running", "stopping")
UNFINISHED = ("queued", *ACTIVE)
RESUMABLE = ("stopped", "failed", "interrupted")
FINAL = ("finished", *RESUMABLE)
LEASE_SECONDS = 20.0

# A run that a terminal trains goes from its end to `preparing` without waiting in the queue.
TRANSITIONS: dict[str, tuple[str, ...]] = {
    "queued": ("preparing", "stopped"),
    "preparing": ("running", "stopping", *FINAL),
    "running": ("stopping", *FINAL),
    "stopping": FINAL,
    "finished": (),
    **{state: ("queued", "preparing") for state in RESUMABLE},
}
STATES = tuple(TRANSITIONS)


def is_resumable(run: RunRecord) -> bool:
    return run.state in RESUMABLE and not run.is_job and not run.defect


def is_left_job(run: RunRecord) -> bool:
    """Whether a Job trained on, or still does, while nobody followed it: it can be followed again."""
    return run.state == "interrupted" and bool(run.result.get("job_id")) and not run.defect


def check_left_job(run: RunRecord) -> None:
    if not is_left_job(run):
        raise IllegalTransition(f"“{run.name}” is no Job that is left to be followed; it is {run.state}.")


def check_resumable(run: RunRecord) -> None:
    if run.defect:
        raise IllegalTransition(run.defect)
    if run.is_job:
        raise IllegalTransition(f"“{run.name}” was sent to the hub as a Job; start it here, or send it anew.")
    if run.state not in RESUMABLE:
        able = " or ".join(RESUMABLE)
        raise IllegalTransition(f"“{run.name}” is {run.state}; only a run that is {able} can be resumed.")


def move(
    connection: sqlite3.Connection,
    number: int,
    state: str,
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
    possible = TRANSITIONS.get(previous, ())
    if state not in possible:
        allowed = " or ".join(possible) or "nothing else"
        raise IllegalTransition(f"This run is {previous}; it can become {allowed}, not {state}.")
    now = time.time()
    changed: dict[str, object] = {"state": state, "reason": reason}
    if state in FINAL:
        changed["ended"] = now
    elif state == "queued":
        changed |= {"queued": now, "ended": None, "process": None}
    elif state == "preparing":
        changed |= {"started": now, "ended": None, "process": process, "began": moment()}
        changed |= {"epoch": run["epoch"] + 1} | lease_end()
        spending.take_turn(connection, visitor, now)
    if previous in ACTIVE and state in FINAL and run["started"] is not None:
        seconds, charged = spending.taken(run, now)
        changed["ended"] = run["started"] + seconds
        spending.charge(connection, visitor, "training", charged, now)
    if previous in RESUMABLE:  # the run goes on, so its `done` row is void
        connection.execute("DELETE FROM rows WHERE run_id = ? AND kind = 'done'", (run["id"],))
    update(connection, number, changed)


def lease_end() -> dict[str, object]:
    """The columns of a lease that is given or renewed now: when it ends, unless it is renewed."""
    return {"lease_until": time.time() + LEASE_SECONDS, "leased": moment(LEASE_SECONDS)}


def update(connection: sqlite3.Connection, number: int, changed: dict[str, object]) -> None:
    assignments = ", ".join(f"{column} = ?" for column in changed)
    connection.execute(f"UPDATE runs SET {assignments} WHERE number = ?", (*changed.values(), number))
