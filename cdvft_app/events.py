"""What `train()` tells the world while it works. Each event becomes one row of the store."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Literal

from cdvft_app.errors import UserError


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


Event = Preparing | Started | Step | Evaluation | Answers | Snapshot | Note | Lent | Sent | Placed | Done


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
