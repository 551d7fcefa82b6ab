"""A run as a frozen record of its row in the database, the bounds of its values, and the store's errors.

A row may come from a damaged disk: each value is checked, with bounds that SQLite and browsers can hold. A
row that cannot be read is a record all the same, a damaged entry, which is never trained and can be deleted.
"""

from __future__ import annotations

import dataclasses
import re
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from math import comb
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, FiniteFloat, TypeAdapter, ValidationError
from pydantic_core import from_json

from cdvft_app import events
from cdvft_app.errors import UserError
from cdvft_app.methods import METHODS, labels
from cdvft_app.settings import RunSettings
from cdvft_app.store import states
from cdvft_app.store.states import RunState

LEARNING_RATE = "learning_rate"
MAX_COMPARED_SETTINGS = 4
"""Settings of one method alone that are compared in pairs; a larger grid is compared along its dimensions."""


def compared_pairs(runs: Sequence[RunSettings], sweep: bool) -> int:
    """Return how many pairs of a race or sweep are compared, for which the comparison is corrected.

    It is counted on creation, so that a run that fails or is deleted changes no result. Each method is
    compared with each other by its best setting, and in a sweep the values of each dimension; of learning
    rates only neighbors. The settings of one method alone are compared with each other.
    """
    methods = list(dict.fromkeys(run.method.key for run in runs))
    settings = len({run.method for run in runs})
    between = comb(len(methods), 2) or (comb(settings, 2) if settings <= MAX_COMPARED_SETTINGS else 0)
    return between + (sum(_along(runs, key) for key in described(methods)) if sweep else 0)


def described(methods: Sequence[str]) -> list[str]:
    """Return the methods whose dimensions are compared: CDVFT alone if it takes part."""
    return ["cdvft"] if "cdvft" in methods else list(methods)


def _along(runs: Sequence[RunSettings], method: str) -> int:
    """Return the number of pairs of values of a method's sizes, and of neighboring learning rates."""
    own = [run.method for run in runs if run.method.key == method]
    names = [*own[0].sizes(), LEARNING_RATE] if own else []
    counts = {name: len({getattr(one, name) for one in own}) for name in names}
    return sum(count - 1 if name == LEARNING_RATE else comb(count, 2) for name, count in counts.items())


class StoreError(UserError):
    """The store cannot do it; the text is a message for the app's users."""


class UnknownRun(StoreError):
    """No run has this id."""


class NotOwner(StoreError):
    """The token is not the one the run was started with."""


class IllegalTransition(StoreError):
    """The run's state does not allow the action."""


class LeaseLost(StoreError):
    """The lease under which a process wanted to write has ended."""


# Ids and names from outside

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
    """Return the name as `visible_name`; raise `StoreError` if nothing of it is visible."""
    if not (visible := visible_name(name)):
        raise StoreError(f"A name needs at least one visible character; got {name[:40]!r}.")
    return visible


def shortened(text: str, length: int) -> str:
    """Return at most `length` characters of the text, followed by an ellipsis if it is longer."""
    return text if len(text) <= length else f"{text[:length]}…"


# The bounds of a run's values

MAX_COUNT = 10**15  # below 2**53, beyond which a browser's numbers are not exact
MAX_STEPS = 10**9
MAX_TIME = 2 * 10**11  # seconds since 1970: the year 8307, which any calendar can show
MAX_JSON = 2_000_000  # characters of settings, of a result, of an event
MAX_REMEMBERED = 10_000  # characters of a row whose record stays in memory; most have 2,000


def _parsed(value: object) -> object:
    """Return the JSON in a column's text."""
    if isinstance(value, str | bytes) and len(value) > MAX_JSON:
        raise ValueError("it is too long")
    if not isinstance(value, str):
        return value
    return from_json(value.encode("utf-8", "surrogateescape"), allow_inf_nan=False)


def _forecast(value: object) -> object:
    """Return the forecast; None if it cannot be read, since the run needs none."""
    try:
        found = _parsed(value)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


Id = Annotated[str, Field(pattern=f"^{ID.pattern}$")]
Line = Annotated[str, Field(max_length=200)]
Time = Annotated[FiniteFloat, Field(ge=0, le=MAX_TIME)]
Count = Annotated[int, Field(ge=0, le=MAX_COUNT)]
Steps = Annotated[int, Field(ge=0, le=MAX_STEPS)]

# In the result of a run that was sent, of one that trains in slices, and of one that trains on a cluster.
JOB, LENT, NODE = "job_address", "lent_seconds", "node"
IN_RESULT = ("started", "lent", "sent", "placed", "done")
"""The events whose values are in the run's result."""


@dataclass(frozen=True)
class RunRecord:
    """One run. `metric` is the latest evaluation's until the end; times are seconds since 1970.

    Attributes:
        result: The fields of `Started`, `Lent`, `Sent`, `Placed` and `Done` so far; `adapter_folder` in it is
            relative to the run's folder.
        process: Who holds its lease.
        epoch: The number of its lease.
        forecast: The estimate from before the run.
        visitor: Whose quota it spends on a public server.
        private, hidden: Only the owner sees it; set by the owner, and by the operator.
        family: How many pairs its group compares.
        defect: Why it is shown and not trained.
        recorded: It ships with the program.
    """

    id: Id
    group_id: Id
    position: Annotated[int, Field(ge=0, le=100_000)]
    name: Annotated[str, Field(max_length=1000)]
    settings: Annotated[RunSettings, BeforeValidator(_parsed)]
    method: Line
    state: RunState
    created: Time
    queued: Time
    reason: Annotated[str | None, Field(max_length=20_000)] = None
    step: Steps = 0
    total_steps: Steps | None = None
    trainable_parameters: Count | None = None
    metric_name: Line | None = None
    metric: FiniteFloat | None = None
    seconds: Annotated[FiniteFloat | None, Field(ge=0, le=10**10)] = None
    device: Line | None = None
    result: Annotated[dict[str, Any], BeforeValidator(_parsed)] = field(default_factory=dict)
    started: Time | None = None
    ended: Time | None = None
    process: str | None = None
    epoch: Annotated[int, Field(ge=0, le=MAX_COUNT)] = 0
    forecast: Annotated[dict[str, Any] | None, BeforeValidator(_forecast)] = None
    sweep: bool = False
    visitor: Line | None = None
    private: bool = False
    hidden: bool = False
    family: Annotated[int | None, Field(ge=0, le=10**6)] = None
    defect: str | None = None
    recorded: bool = False

    @property
    def origin(self) -> str:
        """When and where a run that ships with the program was trained."""
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
        """Whether it trains as an HF Job: it costs this machine nothing, and cannot be resumed here."""
        return JOB in self.result

    @property
    def is_resumable(self) -> bool:
        """Whether it can be resumed from its last checkpoint."""
        return self.state in states.RESUMABLE and not self.is_job and not self.defect

    @property
    def is_left_on_cluster(self) -> bool:
        """Whether it still trains on a cluster although the process that followed it has ended."""
        left = self.state == "interrupted" and self.reason == LEFT_ON_CLUSTER and not self.defect
        return left and self.process is not None

    @property
    def is_left_job(self) -> bool:
        """Whether its HF Job was last seen training, and can be followed again."""
        return self.state == "interrupted" and bool(self.result.get("job_id")) and not self.defect

    def require_resumable(self) -> None:
        """Raise `IllegalTransition`, with the reason, unless the run can be resumed."""
        if self.defect:
            raise IllegalTransition(self.defect)
        if self.is_job:
            raise IllegalTransition(f"“{self.name}” was sent as an HF Job; start it here, or send it again.")
        if not self.is_resumable:
            able = " or ".join(states.RESUMABLE)
            message = f"“{self.name}” is {self.state}; only a run that is {able} can be resumed."
            raise IllegalTransition(message)

    def require_left_job(self) -> None:
        """Raise `IllegalTransition` unless its HF Job can be followed again."""
        if not self.is_left_job:
            raise IllegalTransition(f"“{self.name}” is {self.state} and has no HF Job to follow.")


COLUMNS = ", ".join(
    one.name for one in dataclasses.fields(RunRecord) if one.name not in ("defect", "recorded")
)
LEFT_ON_CLUSTER = (
    "The program that followed this run has ended. The run continues on the cluster, and is followed again "
    "when the program starts again."
)
DAMAGED = (
    "This entry is damaged and cannot be read. The owner of this machine can restore it: "
    "`cdvft history rebuild`."
)
_ADAPTER: TypeAdapter[RunRecord] = TypeAdapter(RunRecord)


def record(columns: Mapping[str, Any]) -> RunRecord:
    """Return the record of a row of `runs`, whatever it holds. Equal rows may share one."""
    is_usual = sum(len(one) for one in columns.values() if isinstance(one, str | bytes)) <= MAX_REMEMBERED
    read = _record if is_usual else _record.__wrapped__
    return read(tuple(columns), *columns.values())


@lru_cache(maxsize=2048)
def _record(names: tuple[str, ...], *values: Any) -> RunRecord:
    columns = dict(zip(names, values, strict=True))
    try:
        return _ADAPTER.validate_python(columns)
    except ValidationError:
        return _damaged(columns)


def _damaged(columns: Mapping[str, Any]) -> RunRecord:
    run_id, state = possible_id(columns.get("id")) or "0" * 32, columns.get("state")
    return RunRecord(
        id=run_id,
        group_id=run_id,  # by which its owner can name its race
        position=0,
        name="Damaged entry",
        settings=RunSettings.model_validate({"method": next(iter(METHODS))}),
        method="",
        state=state if state in states.ACTIVE else "failed",  # its holder will end an active one
        created=0.0,
        queued=0.0,
        reason=DAMAGED,
        private=True,
        defect=DAMAGED,
    )


def readable_event(kind: object, step: object, data: object) -> dict[str, Any] | None:
    """Return the fields of an event's row without `step`; None if they are not of its kind."""
    try:
        values = json_object(data) if isinstance(data, str) and len(data) <= MAX_JSON else {}
        event = events.decode(str(kind), values if step is None else values | {"step": step}, Path())
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
        return None
    at: int | None = getattr(event, "step", None)
    return values if at == step and (at is None or 0 <= at <= MAX_STEPS) else None


def json_object(text: object) -> dict[str, Any]:
    """Return the JSON object in a column; an empty one if it is damaged."""
    try:
        found = from_json(text.encode("utf-8", "surrogateescape")) if isinstance(text, str) else None
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def select(connection: sqlite3.Connection, rest: str, *values: object) -> list[RunRecord]:
    """Return the runs of a SELECT whose clauses after FROM are `rest`."""
    return [record(dict(row)) for row in connection.execute(f"SELECT {COLUMNS} FROM runs {rest}", values)]


def require_number(connection: sqlite3.Connection, run_id: object) -> int:
    """Return the `number` of the run with this id; raise `UnknownRun` if there is none."""
    row = connection.execute("SELECT number FROM runs WHERE id = ?", (possible_id(run_id),)).fetchone()
    if row is None:
        raise UnknownRun(no_run(run_id))
    number: int = row["number"]
    return number


def label_in(run: RunRecord, race: Sequence[RunRecord]) -> str:
    """Return "LoRA r = 8": the run's method with all that tells it from others of its race."""
    if run.damaged:
        return "Damaged entry"
    label, rows = labels([one.settings.method for one in (run, *race)])[0], run.settings.train_examples
    fewer = race and rows is not None and rows != race[0].settings.train_examples
    return f"{label}, {rows:,} rows" if fewer else label
