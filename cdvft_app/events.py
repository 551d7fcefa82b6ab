"""What `train()` tells the world while it works, and how an event is kept as JSON.

Each event becomes one row of the store, or one line in the log of a Job of the hub.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter

from cdvft_app.errors import UserError

ADAPTER = "adapter"  # the folder in the run's folder that holds what the run learned


@dataclass(frozen=True)
class Preparing:
    """Work before the first step; `fraction` in 0..1, or None where it is not known."""

    text: str
    fraction: float | None = None


@dataclass(frozen=True)
class Started:
    """All is loaded. Counts are of trainable numbers; the adapter's exclude the classifier head's.

    `validation_examples` choose the step that is kept; 0: the last one is.
    """

    total_steps: int
    trainable_parameters: int
    head_parameters: int
    base_parameters: int
    device: str
    precision: str
    train_examples: int
    evaluation_examples: int
    metric_name: str
    validation_examples: int = 0


@dataclass(frozen=True)
class Step:
    """One optimizer step. `throughput` is tokens a second (text) or images a second (images)."""

    step: int
    seconds: float
    loss: float
    learning_rate: float
    gradient_norm: float | None
    throughput: float | None
    throughput_unit: str = "tokens/s"


@dataclass(frozen=True)
class Evaluation:
    """A score on the evaluation rows, or on the `validation` rows that choose the step that is kept.

    `final`: of what is kept, at the step that it is of.
    """

    step: int
    seconds: float
    loss: float
    metric_name: str
    metric: float
    final: bool = False
    validation: bool = False


@dataclass(frozen=True)
class Snapshot:
    """Factor vectors were written to `file` (a safetensors file inside the run's folder)."""

    step: int
    seconds: float
    file: str


@dataclass(frozen=True)
class Checkpoint:
    """All that a resume needs was written at `step`; the store saves `run.json` beside it and has no row."""

    step: int


@dataclass(frozen=True)
class Answers:
    """What the model writes to the same prompts as training goes on; all in the order of the prompts.

    `right` are the right answers where they are known, `wrong` the fields that an answer has otherwise; ""
    among them: all of it is wrong. `tokens` are an answer's pieces, each with the probability that the model
    gave it. `own` says that the last prompt is the visitor's.
    """

    step: int
    seconds: float
    prompts: tuple[str, ...]
    answers: tuple[str, ...]
    right: tuple[str | None, ...] = ()
    wrong: tuple[tuple[str, ...], ...] = ()
    tokens: tuple[tuple[tuple[str, float], ...], ...] = ()
    own: bool = False


@dataclass(frozen=True)
class Note:
    """Something a person should know, in a sentence; `kind` is info or warning."""

    text: str
    kind: str = "info"


@dataclass(frozen=True)
class Lent:
    """Hardware that is lent by the second is given back; the run has had it for so many seconds in all."""

    lent_seconds: float


@dataclass(frozen=True)
class Sent:
    """The run trains as a Job of the hub, on somebody's `account`; `repository` takes what it learns.

    The other fields are empty until the hub has taken it.
    """

    job_id: str
    account: str
    repository: str
    job_address: str


@dataclass(frozen=True)
class Placed:
    """A node of the cluster trains the run, or is to; `node` is empty until one does.

    `attempt` counts those that were begun, 1 for the first: the next one begins when a node was lost.
    """

    attempt: int
    node: str


@dataclass(frozen=True)
class Done:
    """The end. `seconds` is training time without preparation; bytes are measured.

    `metric` is of what is kept. `best_step` has the best score on the validation rows and is kept; None:
    nothing was chosen, and the last step is. `last_metric` is of the last step on the same rows as `metric`,
    where all steps were made and another one is kept.
    """

    state: Literal["finished", "stopped"]
    step: int
    seconds: float
    metric_name: str
    metric: float
    train_loss: float | None
    examples_per_second: float
    adapter_bytes: int
    peak_memory_bytes: int | None
    adapter_folder: Path
    best_step: int | None = None
    last_metric: float | None = None


Event = (
    Preparing
    | Started
    | Step
    | Evaluation
    | Answers
    | Snapshot
    | Checkpoint
    | Note
    | Lent
    | Sent
    | Placed
    | Done
)
KINDS: dict[str, Any] = {event.__name__.lower(): event for event in Event.__args__}
"""The classes of events by the kind of their rows."""
_VALIDATORS: dict[str, TypeAdapter[Event]] = {kind: TypeAdapter(event) for kind, event in KINDS.items()}


def encode(event: Event) -> dict[str, Any]:
    """Return an event's fields as JSON can hold them.

    A number that is not finite becomes None (browsers refuse NaN in JSON), and the adapter's folder its name
    in the run's folder. A note's own `kind` is called `level`, since a row's `kind` is "note".
    """
    values: dict[str, Any] = {}
    for field in dataclasses.fields(event):
        value = getattr(event, field.name)
        if isinstance(value, Path):
            value = ADAPTER
        elif isinstance(value, float) and not math.isfinite(value):
            value = None
        values["level" if isinstance(event, Note) and field.name == "kind" else field.name] = value
    return values


def decode(kind: str, values: dict[str, Any], folder: Path) -> Event:
    """Return the event of this kind that `encode` made `values` of, as one of the run in `folder`.

    What names a file names that of this folder, whatever `values` say.

    Raises:
        AttributeError, KeyError, OverflowError, TypeError, ValueError: the values are no such event's.
    """
    known = {field.name: field.type for field in dataclasses.fields(KINDS[kind])}
    given = {name: value for name, value in values.items() if name in known}
    given |= {name: math.nan for name, value in given.items() if value is None and known[name] == "float"}
    if kind == "note":
        given["kind"] = values["level"]
    if kind == "done":
        given["adapter_folder"] = folder / ADAPTER
    if kind == "snapshot":
        given["file"] = f"snapshots/step-{int(values['step']):06d}.safetensors"
    return _VALIDATORS[kind].validate_python(given)


class Halt(IntEnum):
    """What `train()` is told when it asks whether to go on."""

    NO = 0
    STOP = 1  # end: a last evaluation, and the adapter is kept
    PAUSE = 2  # leave at a checkpoint, to go on from there another time


class TrainingFailed(UserError):
    """The run cannot go on; the text says what happened, why, and what to try."""


class TrainingStopped(Exception):
    """The run was asked to stop before its first step: there is nothing to keep."""


class TrainingPaused(Exception):
    """The run was asked to pause: what it has is in its last checkpoint."""
