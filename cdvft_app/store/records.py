"""A run as a frozen record, read from its row in the history, and the store's errors.

A row that cannot be read is a record all the same, a damaged entry: one among the others of a list, which is
never trained and can be deleted.
"""

from __future__ import annotations

import dataclasses
import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pydantic import ValidationError

from cdvft_app.methods import METHODS
from cdvft_app.settings import RunSettings
from cdvft_app.store.identifiers import no_run, possible_id
from cdvft_app.store.run_facts import RunFacts


class StoreError(Exception):
    """The store cannot do it; the text is a sentence for the page."""


class UnknownRun(StoreError):
    """No run has this id."""


class NotOwner(StoreError):
    """The token is not the one the run was started with."""


class IllegalTransition(StoreError):
    """The run's state does not allow the action."""


class LeaseLost(StoreError):
    """The lease under which a process wanted to write has ended."""


# In the result of a run that was sent, and of one that trains in slices.
JOB, LENT = "job_address", "lent_seconds"


@dataclass(frozen=True)
class RunRecord:
    """One run. `metric` is the latest evaluation's until the end; times are seconds since 1970.

    `result` holds the fields of `Started`, `Lent`, `Sent` and `Done` as far as they have come;
    `adapter_folder` in it is relative to the run's folder. `process` names who holds its lease, `epoch`
    counts its leases.
    `forecast` is the prediction from before the run, None where there was none. `sweep`: it is a sweep's.
    `visitor` is whose seconds it spends on a public server. `defect`: why it is shown and not trained, in a
    sentence: it is damaged, or of a newer version. Only its owner sees a run that is `private`, by
    the owner's wish, or `hidden`, by the operator's. `family`: how many pairs its group compares.
    """

    id: str
    group_id: str
    position: int
    name: str
    settings: RunSettings
    method: str
    state: str
    reason: str | None
    step: int
    total_steps: int | None
    trainable_parameters: int | None
    metric_name: str | None
    metric: float | None
    seconds: float | None
    device: str | None
    result: dict[str, Any]
    created: float
    queued: float
    started: float | None
    ended: float | None
    process: str | None
    epoch: int
    forecast: dict[str, Any] | None
    sweep: bool
    visitor: str | None
    private: bool
    hidden: bool
    family: int | None = None  # runs of before, and recorded ones
    defect: str | None = None

    @property
    def whole_seconds(self) -> float | None:
        """From the first loading to the end; None before it, and for a resumed run."""
        if self.ended is None or self.started is None or self.queued != self.created:
            return None
        return self.ended - self.started

    @property
    def damaged(self) -> bool:
        """Whether it cannot be read: its settings stand for some that nobody knows any more."""
        return self.defect == DAMAGED

    @property
    def is_job(self) -> bool:
        """Whether it trains as a Job of the hub: it costs this machine nothing, and cannot go on here."""
        return JOB in self.result


COLUMNS = ", ".join(field.name for field in dataclasses.fields(RunRecord) if field.name != "defect")
DAMAGED = (
    "This entry is damaged and cannot be read. Whoever runs this program can have it restored: "
    "`python -m cdvft_app doctor`."
)
NEWER = (
    "This run was made by a newer version of the app, which knows settings that this one does not: {}. It is "
    "shown without them; update the app to train it."
)
_ACTIVE = ("preparing", "running", "stopping")
# What stands for what a damaged entry does not say.
_UNREADABLE = {
    "id": "0" * 32,
    "group_id": "",
    "name": "Damaged entry",
    "settings": "{}",
    "method": "",
    "state": "failed",
    "created": 0.0,
    "queued": 0.0,
    "private": True,
}


def record(columns: Mapping[str, Any]) -> RunRecord:
    """The record of a row of `runs`; whatever the row holds."""
    facts, defect = _facts(columns)
    settings, settings_defect = _settings(facts.settings)
    if settings is None:
        key = facts.method if facts.method in METHODS else next(iter(METHODS))
        settings = RunSettings.model_validate({"method": key})
    if (defect := defect or settings_defect) == DAMAGED:
        state = facts.state if facts.state in _ACTIVE else "failed"  # its holder will end it
        facts = facts.model_copy(update={"state": state, "reason": DAMAGED})
    process, epoch = columns["process"], columns["epoch"]
    values = facts.model_dump(exclude={"token_hash"}) | {
        "settings": settings,
        "method": settings.method.key,
        "result": json.loads(facts.result),
        "forecast": json.loads(facts.forecast or "null"),
        "process": process if isinstance(process, str) else None,
        "epoch": epoch if isinstance(epoch, int) else 0,
        "defect": defect,
    }
    return RunRecord(**values)


def _facts(columns: Mapping[str, Any]) -> tuple[RunFacts, str | None]:
    try:
        return RunFacts.model_validate(columns), None
    except ValidationError as error:
        wrong = {one["loc"][0] for one in error.errors(include_url=False, include_input=False)}
    kept = {name: value for name, value in columns.items() if name not in wrong}
    return RunFacts.model_validate({**_UNREADABLE, **kept}), DAMAGED


@lru_cache(maxsize=4096)
def _settings(text: str) -> tuple[RunSettings | None, str | None]:
    """The settings as far as this version knows them, and what is wrong with them."""
    try:
        return RunSettings.model_validate_json(text), None
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)
    if any(one["type"] != "extra_forbidden" for one in problems):
        return None, DAMAGED
    values = json.loads(text)
    for one in problems:
        _remove(values, one["loc"])
    try:
        known = RunSettings.model_validate(values)
    except ValidationError:
        return None, DAMAGED
    return known, NEWER.format(", ".join(str(one["loc"][-1])[:40] for one in problems[:3]))


def _remove(values: Any, path: tuple[int | str, ...]) -> None:
    """Remove what a validation error's path names; a part that is no key says which model was validated."""
    for part in path[:-1]:
        if isinstance(values, dict) and part in values:
            values = values[part]
    if isinstance(values, dict):
        values.pop(path[-1], None)


def json_object(text: object) -> dict[str, Any]:
    """A column that holds a JSON object; empty where it is damaged."""
    try:
        found = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def select(connection: sqlite3.Connection, rest: str, *values: object) -> list[RunRecord]:
    """The runs of a SELECT whose clauses after FROM are `rest`."""
    return [record(dict(row)) for row in connection.execute(f"SELECT {COLUMNS} FROM runs {rest}", values)]


def require_run(connection: sqlite3.Connection, run_id: object) -> sqlite3.Row:
    """The `number` and the `folder` of the run that has this id, or `UnknownRun`."""
    query = "SELECT number, folder FROM runs WHERE id = ?"
    row = connection.execute(query, (possible_id(run_id),)).fetchone()
    if row is None:
        raise UnknownRun(no_run(run_id))
    return row
