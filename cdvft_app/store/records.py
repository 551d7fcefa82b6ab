"""A run as a frozen record, what its row in the history and the files of its folder may say, and errors.

A folder or a history may come from a stranger's file, a damaged disk or a later version: nothing is believed
before it is checked, and each number has bounds that SQLite, the page and its scripts can hold. A row that
cannot be read is a record all the same, a damaged entry: one among the others of a list, which is never
trained and can be deleted.
"""

from __future__ import annotations

import dataclasses
import json
import re
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from math import comb
from pathlib import Path
from typing import Annotated, Any, get_type_hints

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    StringConstraints,
    ValidationError,
    WrapValidator,
    create_model,
)
from pydantic_core import from_json

from cdvft_app import events
from cdvft_app.errors import UserError
from cdvft_app.methods import METHODS, labels
from cdvft_app.settings import NO_EARLY_STOPPING, RunSettings
from cdvft_app.store import states
from cdvft_app.store.states import RunState

RATE = "learning_rate"
MAX_COMPARED_SETTINGS = 4
"""Of one method alone, whose settings are compared in pairs; a larger grid along its dimensions."""


def compared_pairs(runs: Sequence[RunSettings], sweep: bool) -> int:
    """Return how many pairs of a race or sweep are compared: the judge corrects for them.

    It is counted when the runs are asked for, so that a run that fails or is deleted changes no verdict.
    Each method is compared with each other by its best setting, and in a sweep the values of each
    dimension. Of learning rates only neighbours are compared. The settings of one method alone are compared
    with each other.
    """
    methods = list(dict.fromkeys(run.method.key for run in runs))
    settings = len({run.method for run in runs})
    between = comb(len(methods), 2) or (comb(settings, 2) if settings <= MAX_COMPARED_SETTINGS else 0)
    return between + (sum(_along(runs, key) for key in described(methods)) if sweep else 0)


def described(methods: Sequence[str]) -> list[str]:
    """Return the methods whose dimensions are judged: CDVFT alone where it took part."""
    return ["cdvft"] if "cdvft" in methods else list(methods)


def _along(runs: Sequence[RunSettings], method: str) -> int:
    """Return the number of pairs of values of a method's sizes, and of neighbouring learning rates."""
    own = [run.method for run in runs if run.method.key == method]
    counts = {
        name: len({getattr(one, name) for one in own}) for name in ([*own[0].sizes(), RATE] if own else [])
    }
    return sum(count - 1 if name == RATE else comb(count, 2) for name, count in counts.items())


class StoreError(UserError):
    """The store cannot do it; the text is a sentence for the page."""


class UnknownRun(StoreError):
    """No run has this id."""


class NotOwner(StoreError):
    """The token is not the one the run was started with."""


class IllegalTransition(StoreError):
    """The run's state does not allow the action."""


class LeaseLost(StoreError):
    """The lease under which a process wanted to write has ended."""


# Ids and names as they come from outside

ID = re.compile(r"[A-Za-z0-9_-]{22,32}")  # 16 random bytes, as hex or as base64
NAME_LIMIT = 120


def possible_id(value: object) -> str:
    """Return the value if it has the form of an id, else an empty text, which no run has."""
    return value if isinstance(value, str) and ID.fullmatch(value) else ""


def no_run(run_id: object) -> str:
    return f"There is no run {str(run_id)[:40]!r}; it may have been deleted."


def visible_name(name: str) -> str:
    """Return the name in one line without control characters, of at most `NAME_LIMIT` characters."""
    printable = "".join(character if character.isprintable() else " " for character in name[:1000])
    return " ".join(printable.split())[:NAME_LIMIT]


def require_name(name: str) -> str:
    """Return the name as `visible_name`; raise `StoreError` where nothing of it is visible."""
    if not (visible := visible_name(name)):
        raise StoreError(f"A name needs at least one visible character; got {name[:40]!r}.")
    return visible


def shortened(text: str, length: int) -> str:
    """Return at most `length` characters of the text, and an ellipsis in place of the others."""
    return text if len(text) <= length else f"{text[:length]}…"


# What `run.json` and `rows.jsonl` may say

MAX_COUNT = 10**15  # below 2**53, beyond which a browser's numbers are not exact
MAX_STEPS = 10**9
MAX_TIME = 2 * 10**11  # seconds since 1970: the year 8307, which any calendar can show
MAX_SECONDS = 10**10
MAX_JSON = 2_000_000  # characters of settings, of a result, of a row
MAX_REMEMBERED = 10_000  # characters of a run's row whose record is kept in memory; most have 2,000


def _require_object(text: str) -> str:
    if not isinstance(from_json(text, allow_inf_nan=False), dict):
        raise ValueError("it must be a JSON object")
    return text


JsonObject = Annotated[str, Field(max_length=MAX_JSON), AfterValidator(_require_object)]
Line = Annotated[str, StringConstraints(max_length=200)]
Time = Annotated[FiniteFloat, Field(ge=0, le=MAX_TIME)]
Seconds = Annotated[FiniteFloat, Field(ge=0, le=MAX_SECONDS)]
Count = Annotated[int, Field(ge=0, le=MAX_COUNT)]
Positive = Annotated[FiniteFloat, Field(gt=0, le=1e30)]
NonNegative = Annotated[FiniteFloat, Field(ge=0, le=1e30)]
Steps = Annotated[int, Field(ge=0, le=MAX_STEPS)]


def _fields(event: Any) -> dict[str, Any]:
    """Return an event's fields as `events.encode` does, each with type and default, for `create_model`."""
    hints, wanted = get_type_hints(event), {}
    for field in dataclasses.fields(event):
        hint = {int: Count, int | None: Count, Path: str}.get(hints[field.name], hints[field.name])
        wanted[field.name] = (hint | None, ... if field.default is dataclasses.MISSING else None)
    if event is events.Note:
        wanted["level"] = wanted.pop("kind")
    return wanted


def _schema(name: str, fields: dict[str, Any]) -> type[BaseModel]:
    config = ConfigDict(extra="ignore", strict=True, allow_inf_nan=False)
    return create_model(name, __config__=config, **fields)


IN_RESULT = ("started", "lent", "sent", "placed", "done")
"""The events whose values are in the run's result."""
_AT_STEP = {kind for kind, event in events.KINDS.items() if "step" in _fields(event)}
_DATA = {
    kind: _schema(kind, {name: of for name, of in _fields(event).items() if name != "step"})
    for kind, event in events.KINDS.items()
}
# What a run's result has of its events, as far as they have come.
_RESULT = _schema(
    "result",
    {name: (of, None) for kind in IN_RESULT for name, (of, _) in _fields(events.KINDS[kind]).items()},
)


class _Range(BaseModel):
    value: NonNegative
    low: NonNegative
    high: NonNegative


class _Counted(BaseModel):
    steps: Positive
    evaluations: Positive = 1  # which earlier versions do not say
    step_flops: Positive
    training_flops: Positive
    evaluation_flops: Positive
    step_bytes: NonNegative


class _Evaluating(BaseModel):
    seconds: NonNegative
    last_seconds: NonNegative


class _Forecast(BaseModel):
    """The part of a forecast that the history reads."""

    counted: _Counted | None = None
    seconds: _Range | None = None
    whole_seconds: _Range | None = None
    evaluating: _Evaluating | None = None


def _require_result(text: str) -> str:
    _RESULT.model_validate_json(text)
    return text


def _sound_forecast(text: Any, check: Callable[[Any], Any]) -> str | None:
    """Return the forecast; None where it cannot be read: it was a promise, and the run goes on without."""
    try:
        found: str | None = check(text)
        if found is not None:
            _Forecast.model_validate_json(found)
    except ValidationError:
        return None
    return found


class RunFacts(BaseModel):
    """`run.json`: a run's row in the history, without what only that history can mean; others are ignored.

    The settings are any object: those of a later version are kept as they are.
    """

    model_config = ConfigDict(extra="ignore")

    id: str = Field(pattern=f"^{ID.pattern}$")
    group_id: Line
    position: int = Field(0, ge=0, le=100_000)
    token_hash: Line | None = None
    name: str = Field(max_length=1000)
    settings: JsonObject
    method: Line
    state: RunState
    reason: str | None = Field(None, max_length=20_000)
    step: Steps = 0
    total_steps: Steps | None = None
    trainable_parameters: Count | None = None
    metric_name: Line | None = None
    metric: FiniteFloat | None = None
    seconds: Seconds | None = None
    device: Line | None = None
    result: Annotated[JsonObject, AfterValidator(_require_result)] = "{}"
    created: Time
    queued: Time
    started: Time | None = None
    ended: Time | None = None
    forecast: Annotated[JsonObject | None, WrapValidator(_sound_forecast)] = None
    sweep: bool = False
    visitor: Line | None = None
    private: bool = False
    hidden: bool = False
    family: int | None = Field(None, ge=0, le=10**6)


class RowFacts(BaseModel):
    """A line of `rows.jsonl`. `data` has the event's fields but for its step; of a kind that is not known
    here, as from a later version, it is any object."""

    model_config = ConfigDict(extra="ignore")

    kind: str = Field(max_length=40)
    step: Steps | None
    data: JsonObject


def is_row(kind: object, step: object, data: Any) -> bool:
    """Return whether a row has the values of its kind; a row of an unknown kind may have any."""
    if not (step is None and kind not in _AT_STEP) and not (isinstance(step, int) and 0 <= step <= MAX_STEPS):
        return False
    try:
        if kind in _DATA and len(data) <= MAX_JSON:
            _DATA[kind].model_validate_json(data)  # once a row and poll: no second reading of the same text
        else:
            RowFacts.model_validate({"kind": kind, "step": step, "data": data})
    except (ValueError, TypeError):  # pydantic's are ValueErrors, as text that is no UTF-8 is
        return False
    return True


# Records

# In the result of a run that was sent, of one that trains in slices, and of one that trains on a cluster.
JOB, LENT, NODE = "job_address", "lent_seconds", "node"


@dataclass(frozen=True)
class RunRecord:
    """One run. `metric` is the latest evaluation's until the end; times are seconds since 1970.

    `result` holds the fields of `Started`, `Lent`, `Sent`, `Placed` and `Done` as far as they have come;
    `adapter_folder` in it is relative to the run's folder. `process` names who holds its lease, `epoch`
    counts its leases.
    `forecast` is the prediction from before the run, None where there was none. `sweep`: it is a sweep's.
    `visitor` is whose seconds it spends on a public server. `defect`: why it is shown and not trained, in a
    sentence: it is damaged, or of a newer version. Only its owner sees a run that is `private`, by
    the owner's wish, or `hidden`, by the operator's. `family`: how many pairs its group compares. `recorded`:
    it ships with the program, and was trained elsewhere.
    """

    id: str
    group_id: str
    position: int
    name: str
    settings: RunSettings
    method: str
    state: states.RunState
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
    family: int | None = None
    defect: str | None = None
    recorded: bool = False

    @property
    def origin(self) -> str:
        """When and where it was trained, as of one that ships with the program."""
        made = datetime.fromtimestamp(self.created, UTC)
        return f"on {made.day} {made:%B %Y}, {self.device}"

    @property
    def whole_seconds(self) -> float | None:
        """Seconds from the first loading to the end; None before it, and for a resumed run."""
        if self.ended is None or self.started is None or self.queued != self.created:
            return None
        return self.ended - self.started

    @property
    def damaged(self) -> bool:
        """Whether the run's row cannot be read; its settings are then a replacement."""
        return self.defect == DAMAGED

    @property
    def is_job(self) -> bool:
        """Whether it trains as a Job of the hub: it costs this machine nothing, and cannot go on here."""
        return JOB in self.result

    @property
    def is_resumable(self) -> bool:
        """Whether it can go on from its last checkpoint."""
        return self.state in states.RESUMABLE and not self.is_job and not self.defect

    @property
    def is_left_on_cluster(self) -> bool:
        """Whether it still trains on a cluster although the process that followed it has ended."""
        return (
            self.state == "interrupted"
            and self.reason == LEFT_ON_CLUSTER
            and self.process is not None
            and not self.defect
        )

    @property
    def is_left_job(self) -> bool:
        """Whether a Job trained on, or still does, while nobody followed it: it can be followed again."""
        return self.state == "interrupted" and bool(self.result.get("job_id")) and not self.defect

    def require_resumable(self) -> None:
        """Raise `IllegalTransition`, with the reason, unless the run can go on."""
        if self.defect:
            raise IllegalTransition(self.defect)
        if self.is_job:
            raise IllegalTransition(
                f"“{self.name}” was sent to the hub as a Job; start it here, or send it anew."
            )
        if not self.is_resumable:
            able = " or ".join(states.RESUMABLE)
            raise IllegalTransition(
                f"“{self.name}” is {self.state}; only a run that is {able} can be resumed."
            )

    def require_left_job(self) -> None:
        """Raise `IllegalTransition` unless the Job can be followed again."""
        if not self.is_left_job:
            raise IllegalTransition(
                f"“{self.name}” is no Job that is left to be followed; it is {self.state}."
            )


NO_COLUMNS = ("defect", "recorded")
COLUMNS = ", ".join(field.name for field in dataclasses.fields(RunRecord) if field.name not in NO_COLUMNS)
LEFT_ON_CLUSTER = (
    "The program that followed this run has ended. The run goes on on the cluster, and is followed again "
    "when the program is started anew."
)
DAMAGED = (
    "This entry is damaged and cannot be read. Whoever runs this program can have it restored: "
    "`python -m cdvft_app doctor`."
)
NEWER = (
    "This run was made by a newer version of the app, which knows settings that this one does not: {}. It is "
    "shown without them; update the app to train it."
)
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
    """Return the record of a row of `runs`, whatever it holds. Equal rows share one, so nobody changes it."""
    is_usual = sum(len(one) for one in columns.values() if isinstance(one, str | bytes)) <= MAX_REMEMBERED
    read = _record if is_usual else _record.__wrapped__
    return read(tuple(columns), *columns.values())


@lru_cache(maxsize=2048)
def _record(names: tuple[str, ...], *of_row: Any) -> RunRecord:
    columns = dict(zip(names, of_row, strict=True))
    facts, defect = _facts(columns)
    settings, settings_defect = _settings(facts.settings)
    if settings is None:
        key = facts.method if facts.method in METHODS else next(iter(METHODS))
        settings = RunSettings.model_validate({"method": key})
    if (defect := defect or settings_defect) == DAMAGED:
        state = facts.state if facts.state in states.ACTIVE else "failed"  # its holder will end it
        facts = facts.model_copy(update={"state": state, "reason": DAMAGED})
    if not possible_id(facts.group_id):  # by its own id its owner can still name its race
        facts = facts.model_copy(update={"group_id": facts.id})
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
    """Return the settings as far as this version knows them, and what is wrong with them."""
    try:
        settings = RunSettings.model_validate_json(text)
        if "keep" not in settings.model_fields_set:  # of a version that always kept the last step, of all
            settings = settings.model_copy(update={"keep": "last", **NO_EARLY_STOPPING})
        return settings, None
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
    """Return the JSON object in a column; an empty one where it is damaged."""
    try:
        found = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def select(connection: sqlite3.Connection, rest: str, *values: object) -> list[RunRecord]:
    """Return the runs of a SELECT whose clauses after FROM are `rest`."""
    return [record(dict(row)) for row in connection.execute(f"SELECT {COLUMNS} FROM runs {rest}", values)]


def require_run(connection: sqlite3.Connection, run_id: object) -> sqlite3.Row:
    """Return the `number` and the `folder` of the run with this id; raise `UnknownRun` without one."""
    query = "SELECT number, folder FROM runs WHERE id = ?"
    row = connection.execute(query, (possible_id(run_id),)).fetchone()
    if row is None:
        raise UnknownRun(no_run(run_id))
    return row


def label_in(run: RunRecord, race: Sequence[RunRecord]) -> str:
    """Return "LoRA r = 8": the run's method with all that tells it from others of its race."""
    if run.damaged:
        return "Damaged entry"
    label, rows = labels([one.settings.method for one in (run, *race)])[0], run.settings.train_examples
    fewer = race and rows is not None and rows != race[0].settings.train_examples
    return f"{label}, {rows:,} rows" if fewer else label
