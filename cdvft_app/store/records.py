"""A run as a frozen record, read from its row in the history, and the store's errors."""

from __future__ import annotations

import dataclasses
import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cdvft_app.settings import RunSettings
from cdvft_app.store.identifiers import no_run, possible_id


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
    `visitor` is whose seconds it spends on a public server. Only its owner sees a run that is `private`, by
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

    @property
    def whole_seconds(self) -> float | None:
        """From the first loading to the end; None before it, and for a resumed run."""
        if self.ended is None or self.started is None or self.queued != self.created:
            return None
        return self.ended - self.started

    @property
    def is_job(self) -> bool:
        """Whether it trains as a Job of the hub: it costs this machine nothing, and cannot go on here."""
        return JOB in self.result


COLUMNS = ", ".join(field.name for field in dataclasses.fields(RunRecord))


def record(columns: Mapping[str, Any]) -> RunRecord:
    values = dict(columns)
    values["settings"] = RunSettings.model_validate_json(values["settings"])
    values["result"] = json.loads(values["result"])
    values["forecast"] = json.loads(values["forecast"] or "null")
    values |= {flag: bool(values[flag]) for flag in ("sweep", "private", "hidden")}
    return RunRecord(**values)


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
