"""What a task is: how rows become model inputs, its loss and metric, and its predictions.

text.py, image.py and generation.py are the tasks there are. A further one is one file with a `LabelledTask`
or a `GenerativeTask` of its own and one line in prepare.py: the trainer asks for nothing that is not here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import EvalPrediction

from cdvft_app.catalog import Plan
from cdvft_app.errors import UserError
from cdvft_app.metrics import LabelledMetric, get_metric
from cdvft_app.progress import Progress, ShouldStop


class InvalidInput(UserError, ValueError):
    """Something that this task cannot predict for; the text is a sentence for the person who gave it."""


class TooLong(InvalidInput):
    """It has more tokens than the run takes, and cannot be cut."""


class Examples(Protocol):
    """A map-style dataset, as torch's DataLoader takes it."""

    def __len__(self) -> int: ...
    def __getitem__(self, place: int) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Prediction:
    """The answer for one input.

    Of a classification: `label` is the most probable class, and `probabilities` those of all classes, in the
    order of the task's labels; they add up to 1. Of a regression: `value` is the number. Of an answer that
    was written: `text`, its `fields` where it has some, and its pieces with the probability of each. The rest
    is None or empty.
    """

    label: str | None
    probabilities: tuple[float, ...]
    value: float | None
    text: str | None = None
    fields: Mapping[str, str] | None = None
    tokens: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class WrittenAnswer:
    """An answer beside the right one, and its own scores by the names of the metrics."""

    text: str
    expected: str
    scores: dict[str, float]


class Task(ABC):
    """A backbone with a head, and what goes in and comes out of it.

    Attributes:
        model: `forward(**inputs)` gives what `loss` and `preprocess_logits_for_metrics` read. A method adapts
            it in place, so that `predict` answers with whatever was trained.
        head: name of the head's module in `model`; None where none was put on.
        labels: the classes' names in the order of the outputs; empty where the answer is no class.
        commit: of the hub, where the model came from there.
        notes: what a person should know of how inputs are prepared, in sentences.
    """

    name: ClassVar[str]
    """As the hub names tasks."""
    throughput_unit: ClassVar[str]
    evaluation_batch: ClassVar[int] = 64
    """Examples that are evaluated at once, at least."""
    model: nn.Module
    head: str | None
    labels: tuple[str, ...]
    metric_name: str
    commit: str | None
    notes: tuple[str, ...] = ()

    @classmethod
    def load(cls, plan: Plan, labels: tuple[str, ...], progress: Progress, should_stop: ShouldStop) -> Task:
        """Return the plan's model with a freshly drawn head (from torch's global generator).

        Raises:
            DownloadFailed: the model could not be had or read; says why and what to do.
            DownloadStopped: `should_stop()` became true.
        """
        task = cls.open(plan, labels, progress, should_stop)
        task.load_weights(plan, progress)
        return task

    @classmethod
    @abstractmethod
    def open(cls, plan: Plan, labels: tuple[str, ...], progress: Progress, should_stop: ShouldStop) -> Task:
        """Return the task as far as `examples` need it; it may leave large weights to `load_weights`."""

    def load_weights(self, plan: Plan, progress: Progress) -> None:  # noqa: B027 - most have theirs by then
        """Read what `open` left; raises as `load` does."""

    @abstractmethod
    def examples(self, inputs: Sequence[Any], labels: Sequence[Any] | np.ndarray | None = None) -> Examples:
        """Return inputs, with "labels" where they are given, as what `collate` takes."""

    @abstractmethod
    def lengths(self, examples: Examples) -> list[int]:
        """Return each example's length, for batches of similar length: tokens of a text, 1 for an image."""

    def too_long_by(self, inputs: Sequence[Any]) -> list[int]:
        """Return how many tokens of each input `examples` cuts from its end; 0 where it cuts none."""
        return [0] * len(inputs)

    @abstractmethod
    def collate(self, examples: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
        """Return examples -> a batch of the model's inputs, and "labels" where the examples have them."""

    @abstractmethod
    def units(self, inputs: dict[str, Tensor]) -> Tensor:
        """Return the number of tokens or images in a batch of inputs, as `throughput_unit` counts them."""

    def train_in(self, autocast_dtype: torch.dtype | None) -> None:  # noqa: B027 - most need not know
        """Have the Trainer make products in that dtype from now on, by autocast; None: in the weights' own.

        Called when a method has said what of the model is trained.
        """

    def forward(self, model: nn.Module, inputs: dict[str, Any], labels: Tensor) -> Any:
        """Return the outputs of `model`, the task's own with a method, for a batch without its labels."""
        return model(**inputs)

    @abstractmethod
    def loss(self, outputs: Any, labels: Tensor) -> Tensor:
        """Return the training loss: a batch's mean, of the model's outputs."""

    @abstractmethod
    def preprocess_logits_for_metrics(self, outputs: Any, labels: Tensor) -> Tensor:
        """Return what an evaluation keeps of the model's outputs for `compute_metrics`, one row an
        example."""

    @abstractmethod
    def compute_metrics(self, evaluation: EvalPrediction) -> dict[str, float]:
        """Return `{metric_name: value}` of all that was kept in an evaluation, and what else there is to
        say."""

    @abstractmethod
    def predict(self, inputs: Sequence[Any], forward: Callable[..., Any] | None = None) -> list[Prediction]:
        """Return the answer for each input, in order.

        Args:
            inputs: texts, pairs of texts or images, by the task.
            forward: takes the model's inputs by name in place of the task's own model.

        Raises:
            InvalidInput: one of them is nothing that this task takes.
        """

    @abstractmethod
    def save_config(self, folder: Path, whole: bool) -> None:
        """Write beside what was trained how inputs are prepared (the tokenizer, sizes of images).

        `whole` says that the folder holds all weights of the model: then also what its library needs to
        rebuild it.
        """


@dataclass(frozen=True)
class WatchedPrompts:
    """Prompts that are answered again and again while training, where the task is generative.

    `right` are their answers, None for the visitor's own prompt, which comes last.
    """

    prompts: tuple[str, ...] = ()
    right: tuple[str | None, ...] = ()


@dataclass(frozen=True)
class Prepared:
    """A task with the examples of one run.

    Attributes:
        evaluation: similar lengths side by side, so that batches have little padding.
        evaluation_rows: for each of them its place among the rows as they were loaded.
        evaluation_inputs: their inputs, where the task is generative.
        lengths: of the training examples.
        commits: of the hub, by title, for what came from there.
        baseline: how often the commonest class of the training rows is right on the evaluation rows, as a
            sentence; None without classes.
        watched: of the evaluation rows, and the visitor's own.
        validation: choose the step that is kept, in the order of `evaluation`; None: nothing chooses it.
    """

    task: Task
    train: Examples
    evaluation: Examples
    evaluation_rows: list[int]
    evaluation_inputs: list[Any]
    lengths: list[int]
    commits: dict[str, str]
    baseline: str | None
    watched: WatchedPrompts = WatchedPrompts()
    validation: Examples | None = None


class GenerativeTask(Task):
    """Answers are written: really in the last evaluation, where those before ask for one pass."""

    written_batch: int = 0
    """Examples that `write` answers at once."""

    @abstractmethod
    def write(self, inputs: dict[str, Tensor], max_new_tokens: int | None = None) -> Tensor:
        """Return (B, T) tokens of the answers to a batch of inputs, for `compute_metrics` in place of logits.

        Each goes on until its end, or `max_new_tokens` tokens, or the longest that is allowed.
        """

    @abstractmethod
    def written(self, evaluation: EvalPrediction) -> list[WrittenAnswer]:
        """Return what `write` gave in an evaluation, row by row."""


# Tasks with labels

BATCH = 64
"""Inputs that are predicted at once."""


class LabelledTask(Task):
    """The model gives (B, outputs) logits, or an output that has them as `.logits`.

    A metric of `regression` means one output and real labels instead of classes. The output is the label less
    the mean and divided by the deviation of `label_scale`, and so is the unit of the loss; all else (what an
    evaluation keeps, `logits`, predictions) is in the labels' own unit.
    """

    label_scale: tuple[float, float] = (0.0, 1.0)
    """Mean and standard deviation of the numbers that are trained on."""

    @property
    def metric(self) -> LabelledMetric:
        return cast(LabelledMetric, get_metric(self.metric_name))

    @property
    def regression(self) -> bool:
        return self.metric.regression

    def loss(self, outputs: Any, labels: Tensor) -> Tensor:
        """Cross-entropy, or mean squared error for regression, in squared deviations; in float32."""
        if self.regression:
            mean, deviation = self.label_scale
            return F.mse_loss(_logits(outputs).squeeze(-1), (labels.float() - mean) / deviation)
        return F.cross_entropy(_logits(outputs), labels)

    def preprocess_logits_for_metrics(self, outputs: Any, labels: Tensor | None = None) -> Tensor:
        """Return the logits (B, outputs), or numbers (B, 1) in the labels' unit, in float32."""
        if self.regression:
            mean, deviation = self.label_scale
            return _logits(outputs) * deviation + mean
        return _logits(outputs)

    def outputs(self, kept: Tensor) -> Tensor:
        """Return what an evaluation kept, as a person reads it: probabilities (N, classes), or numbers (N,
        1)."""
        return kept.float() if self.regression else kept.float().softmax(-1)

    def compute_metrics(self, evaluation: EvalPrediction) -> dict[str, float]:
        return {self.metric_name: self.metric.compute(evaluation.predictions, evaluation.label_ids)}

    def predict(self, inputs: Sequence[Any], forward: Callable[..., Any] | None = None) -> list[Prediction]:
        return self.predictions(self.logits(inputs, forward))

    @torch.no_grad()
    def logits(self, inputs: Sequence[Any], forward: Callable[..., Any] | None = None) -> Tensor:
        """Return (N, outputs) logits of inputs, or numbers in the labels' unit, without dropout."""
        examples = self.examples(inputs)
        device = next(self.model.parameters()).device
        trained = self.model.training
        self.model.eval()
        found = []
        for start in range(0, len(examples), BATCH):
            batch = [examples[place] for place in range(start, min(start + BATCH, len(examples)))]
            model_inputs = {name: tensor.to(device) for name, tensor in self.collate(batch).items()}
            found.append(self.preprocess_logits_for_metrics((forward or self.model)(**model_inputs)).cpu())
        self.model.train(trained)
        return torch.cat(found) if found else torch.empty(0, len(self.labels) or 1)

    def predictions(self, logits: Tensor) -> list[Prediction]:
        """Return the predictions that logits (N, outputs) stand for."""
        if self.regression:
            return [Prediction(None, (), float(value)) for value in logits.reshape(-1)]
        return [
            Prediction(self.labels[int(one.argmax())], tuple(one.tolist()), None)
            for one in self.outputs(logits)
        ]


def _logits(outputs: Any) -> Tensor:
    """Return the logits (B, outputs) in float32."""
    return (outputs if isinstance(outputs, Tensor) else outputs.logits).float()
