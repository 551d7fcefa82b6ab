"""The store of runs: a SQLite database, which is the source of truth, and a folder per run for large files.

Every method is one transaction; it may be called from any thread and from several processes at once. Readers
ask for rows after a cursor and wait for no writer. Whatever the disk refuses is raised as a `StoreError`.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from copy import copy
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

from cdvft_app.events import Checkpoint, Done, Event
from cdvft_app.settings import RunSettings
from cdvft_app.settings.environment import runs_folder
from cdvft_app.store import leases, owners, queue, recorded, records, rows, states
from cdvft_app.store.database import EMPTY, Database, copy_database, set_aside, store_errors
from cdvft_app.store.datasets import Datasets
from cdvft_app.store.folders import FACTS, Folders, Rebuilt
from cdvft_app.store.leases import Leases
from cdvft_app.store.measurements import Measurements
from cdvft_app.store.owners import EVERYTHING, Viewer
from cdvft_app.store.queue import Spending
from cdvft_app.store.records import (
    IllegalTransition,
    NotOwner,
    RunRecord,
    StoreError,
    UnknownRun,
    compared_pairs,
    no_run,
    possible_id,
    require_name,
    require_number,
    select,
    visible_name,
)
from cdvft_app.store.states import RunState

HISTORY = "history.sqlite"


REBUILT = (
    "The database was {damage} and was rebuilt from the run folders: {count} restored, each as of its last "
    "checkpoint. Measured times, quotas and the list of uploaded data start empty."
)
LOST_FOLDERS = " {count} folders cannot be read; the log names them."
SET_ASIDE = " The previous database is kept as {name}."
log = logging.getLogger(__name__)


class RunStore:
    """All runs under `folder` (created if missing): `history.sqlite` and `runs/<id>/`.

    A missing or damaged database is rebuilt from the folders.

    Attributes:
        notice: What was rebuilt on opening, as a message; "" if nothing was.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.root = Path(folder).expanduser().resolve()
        with store_errors(self.root):
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            (self.root / "runs").mkdir(mode=0o700, exist_ok=True)
            with suppress(OSError):  # it belongs to another user
                (self.root / "runs").chmod(0o700)
        self._database = Database(self.root / HISTORY)
        self.folders = Folders(self.root / "runs", self._database)
        rebuilt = Rebuilt()

        def fill(connection: sqlite3.Connection) -> None:
            nonlocal rebuilt
            rebuilt = self.folders.rebuild(connection)

        self.notice = _notice(*self._database.prepare(fill), rebuilt)
        if self.notice:
            log.warning("%s", self.notice)
        for name, why in rebuilt.lost.items():
            log.warning("The run folder %s is not restored: %s", name, why)
        self.measurements = Measurements(self._database)
        self.datasets = Datasets(self._database)
        self.leases = Leases(self._database)
        self.spending = Spending(self._database)
        self._viewer: Callable[[], Viewer] = lambda: EVERYTHING
        self._unkept_ends: dict[str, tuple[RunState, str]] = {}

    def seen_by(self, viewer: Callable[[], Viewer]) -> RunStore:
        """Return a store on the same history that finds only what the `viewer`, asked each time, may see."""
        seen = copy(self)
        seen._viewer = viewer
        return seen

    @classmethod
    def default(cls) -> RunStore:
        """Return the store in RUNS_DIR, else in the user's cache folder."""
        return cls(runs_folder())

    def close(self) -> None:
        self._database.close()

    # Making and finding runs

    def create(
        self,
        settings: Sequence[RunSettings],
        token: str | None,
        name: str = "",
        process: str | None = None,
        forecasts: Sequence[Mapping[str, Any] | None] = (),
        *,
        sweep: bool = False,
        group_id: str | None = None,
        visitor: str | None = None,
        private: bool = False,
        family: int | None = None,
    ) -> list[RunRecord]:
        """Create a group of queued runs, in order. With `process` they skip the queue: it trains them now.

        `forecasts` are what was promised of them, in the same order; missing ones are None. With `group_id`
        they join that group, behind its others, of which `family` is how many pairs all its runs compare.
        On a public server their seconds are counted for `visitor`. Nobody but the owner sees those that are
        `private`.
        """
        shared = {
            "group_id": group_id or secrets.token_hex(16),
            "token_hash": owners.owner_hash(token),
            "sweep": sweep,
            "visitor": visitor,
            "private": private,
            "family": compared_pairs(settings, sweep) if family is None else family,
        }
        with self._creating() as (connection, created):
            query = "SELECT coalesce(max(position) + 1, 0) FROM runs WHERE group_id = ?"
            first = connection.execute(query, (shared["group_id"],)).fetchone()[0]
            for position, (one, forecast) in enumerate(zip_longest(settings, forecasts), first):
                values = {**shared, "position": position, "name": visible_name(name)}
                created.append(_insert(connection, one, values, forecast, process))
                self.folders.save(connection, created[-1].id)
        return created

    def add_to_group(self, run_id: str, settings: RunSettings, process: str | None = None) -> RunRecord:
        """Add a run to the group of this one, with the same owner, name and visibility.

        It is queued; with `process` it skips the queue, which trains it now.
        """
        same = "name, group_id, token_hash, sweep, visitor, private, family"
        with self._creating() as (connection, created):
            query = f"SELECT {same} FROM runs WHERE id = ?"
            member = connection.execute(query, (possible_id(run_id),)).fetchone()
            if member is None:
                raise UnknownRun(no_run(run_id))
            query = "SELECT max(position) + 1 FROM runs WHERE group_id = ?"
            position = connection.execute(query, (member["group_id"],)).fetchone()[0]
            created.append(_insert(connection, settings, {**member, "position": position}, None, process))
            self.folders.save(connection, created[-1].id)
        return created[-1]

    def get(self, run_id: object) -> RunRecord | None:
        """Return the run, or None for anything that is not the id of one."""
        finds = self._recorded if recorded.has_run(run_id) else self._seen
        found = finds("id = ?", possible_id(run_id))
        return found[0] if found else None

    def require(self, run_id: object) -> RunRecord:
        """Return the run; raise `UnknownRun` where there is none."""
        found = self.get(run_id)
        if found is None:
            raise UnknownRun(no_run(run_id))
        return found

    def ids_beginning(self, short_id: str) -> list[str]:
        """Return the ids of up to two runs that begin with this: one is found, or there are several."""
        shipped = [run_id for run_id in recorded.ids() if run_id.startswith(short_id)]
        own = self._seen("substr(id, 1, ?) = ? LIMIT 2", len(short_id), short_id)
        return [*(run.id for run in own), *shipped][:2]

    def history(self, limit: int | None = 100, token: str | None = None) -> list[RunRecord]:
        """Return the latest runs, the newest first, or all with None; with `token`, its owner's only."""
        mine, values = queue.conditions(owners.owner_hash(token), None)
        most = -1 if limit is None else max(limit, 0)  # to SQLite -1 is no limit
        return self._seen(f"{mine} ORDER BY number DESC LIMIT ?", *values, most)

    def finished(self, limit: int = 100) -> list[RunRecord]:
        """Return the runs that ended as they should, the latest first."""
        return self._seen("state = 'finished' ORDER BY number DESC LIMIT ?", max(limit, 0))

    def interrupted(self) -> list[RunRecord]:
        """Return the runs that ended with the program that trained or followed them, the latest first."""
        return self._seen("state = 'interrupted' ORDER BY number DESC")

    def group(self, group_id: object) -> list[RunRecord]:
        """Return the runs of one race, in their order; one whose group is damaged is alone."""
        wanted = possible_id(group_id)
        finds = self._recorded if recorded.has_group(wanted) else self._seen
        found = finds("group_id = ? ORDER BY position, number", wanted)
        return found or [run for run in self._seen("id = ?", wanted) if run.group_id == run.id]

    def recorded(self) -> list[RunRecord]:
        """Return the race that ships with the program, in its order; no other list of runs has it."""
        return self._recorded("TRUE ORDER BY position, number") if recorded.ids() else []

    def groups(
        self, limit: int, token: str | None = None, sweeps: bool | None = None
    ) -> list[list[RunRecord]]:
        """Return the latest groups, each in its order; with `token` its owner's, with `sweeps` its kind."""
        seen, viewer = self._viewer().condition()
        conditions, values = queue.conditions(owners.owner_hash(token), sweeps)
        order = "GROUP BY group_id ORDER BY latest DESC LIMIT ?"
        query = f"SELECT max(number) AS latest FROM runs WHERE {seen} AND {conditions} {order}"
        with self._database.reading() as connection:
            found = connection.execute(query, (*viewer, *values, max(limit, 0))).fetchall()
        same = "group_id = (SELECT group_id FROM runs WHERE number = ?) ORDER BY position, number"
        return [group for row in found if (group := self._seen(same, row["latest"]))]

    def label_of(self, run: RunRecord) -> str:
        """Return "LoRA r = 8": the run's label in its race; of a sweep's many runs that of the run alone."""
        return records.label_in(run, [] if run.sweep else self.group(run.group_id))

    def _seen(self, rest: str, *values: object) -> list[RunRecord]:
        self.leases.look()
        with self._database.reading() as connection:
            found = self._viewer().select(connection, rest, *values)
        return [self._with_end(run) for run in found] if self._unkept_ends else found

    def _recorded(self, rest: str, *values: object) -> list[RunRecord]:
        with self._history_of_recorded().reading() as connection:
            return [replace(run, recorded=True) for run in EVERYTHING.select(connection, rest, *values)]

    def _history_of_recorded(self) -> Database:
        with store_errors(recorded.FOLDER):
            return recorded.database()

    def _history_of(self, run_id: object) -> Database:
        """Return the history that has the run: this one, or that of the runs that ship with the program."""
        return self._history_of_recorded() if recorded.has_run(run_id) else self._database

    def _with_end(self, run: RunRecord) -> RunRecord:
        end = self._unkept_ends.get(run.id)
        if end is None or run.state not in states.ACTIVE:
            return run
        return replace(run, state=end[0], reason=end[1])

    def folder(self, run_id: str) -> Path:
        """Return the folder of the run's checkpoints and weights; the id is looked up, never joined."""
        if recorded.has_run(run_id):
            return recorded.FOLDER / run_id
        with self._database.reading() as connection:
            require_number(connection, run_id)
        return self.folders.path / run_id

    def make_folder(self, run_id: str) -> Path:
        """Return the run's folder, created if it is missing. Only a run of the database has one."""
        with self._database.reading() as connection:
            require_number(connection, run_id)
        return self.folders.make(run_id)

    # Events and rows

    def append(self, run_id: str, event: Event, epoch: int | None = None) -> int:
        """Keep an event as a row and bring the run's columns up to date; return the row's cursor.

        With `epoch`, that of the lease under which the run is trained: `LeaseLost` if it has ended.

        `Started` makes a preparing run running; `Done` ends the run in its state; after a `Checkpoint`, which
        has no row, and at the end `run.json` is written. A step that comes again after a resume replaces the
        rows from that step on.
        """
        with self._database.writing() as connection:
            leases.require(connection, run_id, epoch)
            number = require_number(connection, run_id)
            if isinstance(event, Checkpoint):
                cursor = rows.last(connection, run_id)
            else:
                cursor = rows.append(connection, number, event)
            if isinstance(event, Checkpoint | Done):
                self._save(connection, run_id)
        return cursor

    def save(self, run_id: str) -> None:
        """Write `run.json` of a run that continues elsewhere."""
        with self._database.writing() as connection, store_errors(Path(FACTS)):
            require_number(connection, run_id)
            self.folders.save(connection, run_id)

    def _save(self, connection: sqlite3.Connection, run_id: str) -> None:
        """Write `run.json` if the disk has space: the database has it all."""
        with suppress(OSError):
            self.folders.save(connection, run_id)

    def rows(
        self, run_id: object, after: int = 0, kinds: Sequence[str] | None = None, limit: int = 5000
    ) -> tuple[list[dict[str, Any]], int]:
        """Return at most `limit` rows after the cursor `after`, oldest first, and the next cursor.

        A row has `cursor`, `kind`, `step` (None: the event has none) and the event's other fields. A training
        step not above the one before it means that the run was resumed there: what came from it on is void.
        """
        with self._history_of(run_id).reading() as connection:
            found, cursor = rows.after(connection, possible_id(run_id), after, kinds, limit)
            return self._viewer().rows(connection, possible_id(run_id), found), cursor

    def last_row(self, run_id: object) -> int:
        """Return the cursor of the run's latest row; 0 where it has none."""
        with self._history_of(run_id).reading() as connection:
            return rows.last(connection, possible_id(run_id))

    # States

    def state(self, run_id: object) -> RunState | None:
        """Return the run's state alone: cheap enough to ask at every step."""
        with self._history_of(run_id).reading() as connection:
            row = connection.execute("SELECT state FROM runs WHERE id = ?", (possible_id(run_id),)).fetchone()
        return row and row["state"]

    def set_state(
        self,
        run_id: str,
        state: RunState,
        reason: str | None = None,
        process: str | None = None,
        epoch: int | None = None,
    ) -> None:
        """Move a run to `state`, or raise `IllegalTransition`; with `epoch`, as for `append`."""
        with self._database.writing() as connection:
            leases.require(connection, run_id, epoch)
            leases.move(connection, require_number(connection, run_id), state, reason, process)
            if state in states.FINAL:
                self._save(connection, run_id)

    def show_end(self, run_id: str, state: RunState, reason: str) -> None:
        """Show an end to whoever looks at it in this program, as long as the disk refuses to keep one."""
        self._unkept_ends[run_id] = state, reason

    def forget_end(self, run_id: str) -> None:
        """The end is kept now, or another program says how the run goes on."""
        self._unkept_ends.pop(run_id, None)

    def ask_to_stop(self, run_id: str) -> None:
        """A waiting run stops at once, one that trains becomes `stopping`; an ended one raises."""
        _require_changeable(run_id)
        with self._database.writing() as connection:
            number = require_number(connection, run_id)
            found = records.select(connection, "WHERE number = ?", number)[0]
            if found.state == "queued":
                leases.move(connection, number, "stopped", "Stopped before it began.")
                self._save(connection, run_id)
            elif found.state in states.FINAL:
                raise IllegalTransition(f"“{found.name}” has already ended ({found.state}).")
            elif found.state in states.STOPPABLE:
                leases.move(connection, number, "stopping")

    def queued(self, token: str | None = None, sweep: bool | None = None, visitor: str | None = None) -> int:
        """Return how many runs wait; with `token` its owner's only, with `visitor` those counted for it, and
        with `sweep` those of sweeps, or of races."""
        with self._database.reading() as connection:
            return queue.count(connection, owners.owner_hash(token), sweep, visitor)

    def counts(self) -> dict[str, int]:
        """Return the number of runs in each state; a state without any is left out."""
        with self._database.reading() as connection:
            return dict(connection.execute("SELECT state, COUNT(*) FROM runs GROUP BY state").fetchall())

    def queue_place(self, run_id: object) -> int | None:
        """Return the run's place in the queue, 1 for the next one; None for a run that does not wait."""
        with self._database.reading() as connection:
            return queue.place(connection, possible_id(run_id))

    # What only the owner may do

    def owner(self, run_id: object, token: object) -> bool:
        """Return whether `token` is the one the run was started with."""
        with self._database.reading() as connection:
            query = "SELECT token_hash FROM runs WHERE id = ?"
            row = connection.execute(query, (possible_id(run_id),)).fetchone()
        return row is not None and owners.owns(token, row["token_hash"])

    def require_owner(self, run_id: object, token: object) -> RunRecord:
        """Return the run, if `token` owns it; else raise `UnknownRun` or `NotOwner`."""
        found = self.require(run_id)
        _require_changeable(run_id)
        if not self.owner(run_id, token):
            raise NotOwner("Only the browser that started this run may change it.")
        return found

    def rename(self, run_id: str, name: str, token: str) -> None:
        self.require_owner(run_id, token)
        self._update(run_id, name=require_name(name))

    def set_private(self, run_id: str, private: bool, token: str) -> None:
        """Set whether only its owner sees the run; a run on uploaded data, whose rows it shows, always is."""
        run = self.require_owner(run_id, token)
        if run.settings.data and not private:
            raise StoreError("A race on your own data stays private: who sees it can read and take its rows.")
        self._update(run_id, private=private)

    def hide(self, run_id: str, hidden: bool) -> None:
        """Set, for the operator, whether only its owner sees the run, whatever the owner chose."""
        self._update(run_id, hidden=hidden)

    def set_visitor(self, run_id: str, visitor: str | None) -> None:
        """Set the visitor whose seconds the run spends from now on; None on a server that is not public."""
        self._update(run_id, visitor=visitor)

    def _update(self, run_id: str, **changed: object) -> None:
        _require_changeable(run_id)
        with self._database.writing() as connection:
            leases.update(connection, require_number(connection, run_id), changed)
            self.folders.change(connection, run_id, changed)

    def delete(self, run_id: str, token: str) -> None:
        """Remove the run, for its owner alone."""
        self.require_owner(run_id, token)
        self.remove(run_id)

    def remove(self, run_id: str) -> None:
        """Delete the run, its rows and its folder; refused while it trains."""
        _require_changeable(run_id)
        self.leases.expire()
        with self._database.writing() as connection:
            number = require_number(connection, run_id)
            found = records.select(connection, "WHERE number = ?", number)[0]
            if found.state in states.ACTIVE:
                raise IllegalTransition(f"“{found.name}” is {found.state}; stop it first, then delete it.")
            connection.execute("DELETE FROM runs WHERE number = ?", (number,))
            self.folders.discard(run_id)
        with suppress(StoreError):  # what the disk keeps of it is removed at the next start
            self.folders.sweep()

    @contextmanager
    def _creating(self) -> Iterator[tuple[sqlite3.Connection, list[RunRecord]]]:
        """A transaction, and the list of the runs it creates, whose folders are removed if it fails."""
        created: list[RunRecord] = []
        try:
            with self._database.writing() as connection:
                yield connection, created
        except BaseException:
            for run in created:
                shutil.rmtree(self.folders.path / run.id, ignore_errors=True)
            raise


def _insert(
    connection: sqlite3.Connection,
    settings: RunSettings,
    values: Mapping[str, Any],
    forecast: Mapping[str, Any] | None,
    process: str | None,
) -> RunRecord:
    """Insert a queued run inside the caller's transaction; with `process`, one that it trains already."""
    now = time.time()
    row = {
        **values,
        "id": secrets.token_hex(16),  # no id begins with "-", as options do
        "name": values["name"] or settings.recipe,
        "settings": settings.model_dump_json(),
        "method": settings.method.key,
        "state": "queued",
        "created": now,
        "queued": now,
        "forecast": json.dumps(forecast) if forecast else None,
    }
    columns, places = ", ".join(row), ", ".join("?" * len(row))
    query = f"INSERT INTO runs ({columns}) VALUES ({places}) RETURNING number"
    number = connection.execute(query, tuple(row.values())).fetchone()["number"]
    if process is not None:
        leases.move(connection, number, "preparing", process=process)
    return select(connection, "WHERE number = ?", number)[0]


def rebuild(root: Path) -> str:
    """Set the database in `root` aside and rebuild it from the run folders; return the notice.

    Raises:
        StoreError: There is no database, or a program has it open.
    """
    with store_errors(root / HISTORY):
        set_aside(root / HISTORY)
    with closing(RunStore(root)) as store:
        return store.notice


def backup(root: Path, target: Path) -> None:
    """Copy the database and the folders to `target`, a folder to be created, while servers may run.

    Raises:
        StoreError: There is no database, the target exists, or the disk refuses it.
    """
    if not (root / HISTORY).is_file():
        raise StoreError(f"{root} has no database. Set RUNS_DIR to the folder that has it.")
    if target.exists():
        raise StoreError(f"{target} exists. Name a folder that does not.")
    with store_errors(target):
        target.mkdir(mode=0o700, parents=True)
        copy_database(root / HISTORY, target / HISTORY)
        left_out = shutil.ignore_patterns(f"{HISTORY}*", "*.unfinished")
        for source in (path for path in root.iterdir() if not path.name.startswith((HISTORY, "."))):
            if source.is_dir():
                with suppress(shutil.Error):  # of files that were removed meanwhile
                    shutil.copytree(source, target / source.name, ignore=left_out)
            else:
                shutil.copy2(source, target / source.name)


def _notice(damage: str, aside: Path | None, rebuilt: Rebuilt) -> str:
    """Return what was rebuilt; "" if there was nothing to rebuild."""
    if not (rebuilt.ids or rebuilt.lost or (aside and damage != EMPTY)):
        return ""
    message = REBUILT.format(damage=damage, count=f"{len(rebuilt.ids)} runs")
    if rebuilt.lost:
        message += LOST_FOLDERS.format(count=len(rebuilt.lost))
    return message + (SET_ASIDE.format(name=aside.name) if aside else "")


def _require_changeable(run_id: object) -> None:
    """Raise `NotOwner` for a run that ships with the program."""
    if recorded.has_run(run_id):
        raise NotOwner(f"Run {run_id} was recorded and ships with the program; no one may change it.")
