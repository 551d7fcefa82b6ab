"""What `run.json` and `rows.jsonl` of a run's folder may say: nothing is believed before it is checked.

A folder may come from a stranger's file, a damaged disk or a later version, and what it says goes into the
history of everybody: each number has bounds that SQLite, the page and its scripts can hold.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

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
from cdvft_app.store.identifiers import ID

MAX_COUNT = 10**15  # below 2**53, beyond which a browser's numbers are not exact
MAX_STEPS = 10**9
MAX_TIME = 2 * 10**11  # seconds since 1970: the year 8307, which any calendar can show
MAX_SECONDS = 10**10
MAX_JSON = 2_000_000  # characters of settings, of a result, of a row

State = Literal["queued", "preparing", "running", "stopping", "finished", "stopped", "failed", "interrupted"]


def _require_object(text: str) -> str:
    if not isinstance(from_json(text, allow_inf_nan=False), dict):
        raise ValueError("it must be a JSON object")
    return text


JsonObject = Annotated[str, Field(max_length=MAX_JSON), AfterValidator(_require_object)]
Line = Annotated[str, StringConstraints(max_length=200)]
Time = Annotated[FiniteFloat, Field(ge=0, le=MAX_TIME)]
Seconds = Annotated[FiniteFloat, Field(ge=0, le=MAX_SECONDS)]
Count = Annotated[int, Field(ge=0, le=MAX_COUNT)]
Positive = Annotated[FiniteFloat, Field(ge=0, le=1e30)]
Steps = Annotated[int, Field(ge=0, le=MAX_STEPS)]


def _fields(event: Any) -> dict[str, Any]:
    """An event's fields as `rows.facts` writes them, each with its type and default, for `create_model`."""
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


_EVENTS: dict[str, Any] = {event.__name__.lower(): event for event in events.Event.__args__}
_AT_STEP = {kind for kind, event in _EVENTS.items() if "step" in _fields(event)}
_DATA = {
    kind: _schema(kind, {name: of for name, of in _fields(event).items() if name != "step"})
    for kind, event in _EVENTS.items()
}
# What a run's result has of its events, as far as they have come.
_RESULT = _schema(
    "result",
    {
        name: (of, None)
        for kind in ("started", "lent", "sent", "done")
        for name, (of, _) in _fields(_EVENTS[kind]).items()
    },
)


class _Range(BaseModel):
    value: Positive
    low: Positive
    high: Positive


class _Counted(BaseModel):
    steps: Positive
    step_flops: Positive
    training_flops: Positive
    evaluation_flops: Positive
    step_bytes: Positive


class _Evaluating(BaseModel):
    seconds: Positive
    last_seconds: Positive


class _Forecast(BaseModel):
    """What is read of a forecast here."""

    counted: _Counted | None = None
    seconds: _Range | None = None
    whole_seconds: _Range | None = None
    evaluating: _Evaluating | None = None


def _require_result(text: str) -> str:
    _RESULT.model_validate_json(text)
    return text


def _sound_forecast(text: Any, check: Callable[[Any], Any]) -> str | None:
    """A forecast that cannot be read is none: it was a promise, and the run goes on without."""
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
    state: State
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
    """Whether a row says what one of its kind has to; of a kind that is not known here, anything."""
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
