"""Load finished runs on one base model, and predict, generate and compare with them.

PEFT does not mix kinds of adapters in one model. Here each run is what it changed: the merged weights of the
adapted layers, and its head. `torch.func.functional_call` runs the base model with them, so that a run takes
no more time than the base model, and a further run only the memory of these weights.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from peft import PeftModel
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils import ModulesToSaveWrapper
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.func import functional_call

from cdvft_app.metrics.fields import read_fields
from cdvft_app.progress import Progress, silent
from cdvft_app.results.finished_run import UNREADABLE, FinishedRun, ResultsError
from cdvft_app.results.weights import DENSE, merged_weight
from cdvft_app.tasks.base import Prediction, Task
from cdvft_app.tasks.generation import GenerationTask
from cdvft_app.tasks.writing import GREEDY, Pieces, Sampling, tokens
from cdvft_app.training import trainable
from cdvft_app.training.inference_service import message_of

FROZEN = "frozen"
"""Stands for the base model, under the first run's head if there is one."""
UPDATE_SECONDS = 0.1
SAME_PROMPT = "given the same prompt"
DIFFERENT_RACES = "These runs have different models or data. Choose runs of one race."


@dataclass(frozen=True)
class Predictor:
    """A base model and what runs changed of it.

    Attributes:
        task: The task with the base model.
        changes: For each run by id, the parameters that replace the base model's.
    """

    task: Task
    changes: Mapping[str, Mapping[str, Tensor]]

    @classmethod
    def load(cls, runs: Sequence[FinishedRun], progress: Progress = silent) -> Predictor:
        """Load one base model for runs of one model and dataset.

        Raises:
            DownloadFailed: The model cannot be fetched.
            ResultsError: The runs have different models or data, or a run cannot be read.
        """
        first = runs[0]
        if any(base_key(run) != base_key(first) for run in runs):
            raise ResultsError(DIFFERENT_RACES)
        task = trainable.load_base(first.plan, first.folder, progress)
        task.model.eval()
        changes = {run.record.id: _changes(run, task) for run in runs}
        learned = changes[first.record.id]
        head = {name: tensor for name, tensor in learned.items() if trainable.is_head(name, task.head)}
        return cls(task, {FROZEN: head, **changes})

    def to(self, device: str) -> Predictor:
        self.task.model.to(device)
        moved = {
            run_id: {name: tensor.to(device) for name, tensor in changed.items()}
            for run_id, changed in self.changes.items()
        }
        return Predictor(self.task, moved)

    def forward(self, run_id: str, **inputs: Tensor) -> Any:
        """Return the base model's output with the run's parameters."""
        return functional_call(self.task.model, dict(self.changes[run_id]), args=(), kwargs=inputs)

    def predict(self, run_id: str, inputs: Sequence[Any]) -> list[Prediction]:
        """Return the run's prediction for each input: a text, a pair of texts, or an image."""
        return self.task.predict(inputs, partial(self.forward, run_id))

    def complete(self, run_id: str, request: Completion, sampling: Sampling = GREEDY) -> Iterator[str | None]:
        """Generate for a prompt until it has a `finish_reason`; yield the text that is new at each token."""
        task = cast(GenerationTask, self.task)
        batch = task.collate([{"input_ids": request.prompt_ids}])
        pieces = Pieces(lambda ids: task.tokenizer.decode(ids, skip_special_tokens=True))
        steps = tokens(
            task.model, batch, eos_token_id=task.end, max_new_tokens=request.max_tokens,
            forward=partial(self.forward, run_id), sampling=sampling,
        )  # fmt: skip
        for token, probability in steps:
            yield request.take(int(token), float(probability), pieces, task.end)
            if request.finish_reason:
                return


@dataclass
class Completion:
    """A request to generate at most `max_tokens` tokens, and what was generated so far.

    `finish_reason` is OpenAI's: "stop" at the model's end or one of the texts `stops`, or "length".
    """

    prompt_ids: list[int]
    max_tokens: int
    stops: Sequence[str] = ()
    text: str = ""
    tokens: int = 0
    finish_reason: str | None = None
    _sent: int = 0

    def take(self, token: int, probability: float, pieces: Pieces, end: int) -> str | None:
        """Add a token; return the text that is new, without what may be the beginning of a stop."""
        if self.finish_reason:
            return None
        if token == end:
            self.finish_reason = "stop"
        else:
            self.tokens += 1
            self.text += (pieces.add(token, probability) or ("", 0.0))[0]
            places = [place for stop in self.stops if (place := self.text.find(stop)) >= 0]
            if places:
                self.finish_reason, self.text = "stop", self.text[: min(places)]
            elif self.tokens >= self.max_tokens:
                self.finish_reason = "length"
        held = [n for stop in self.stops for n in range(len(stop)) if self.text.endswith(stop[:n])]
        until = len(self.text) - (0 if self.finish_reason else max(held, default=0))
        new, self._sent = self.text[self._sent : until], until
        return new or None


def base_key(run: FinishedRun) -> tuple[object, ...]:
    """Return a key that is equal for runs that can share a base model with its head."""
    own = run.plan.settings
    return run.plan.model, run.plan.dataset, own.max_length, own.image_size


@torch.no_grad()
def _changes(run: FinishedRun, task: Task) -> dict[str, Tensor]:
    """Return the parameters that a run changed by their names in the base model, which stays unchanged."""
    try:
        if run.weights == "merged":
            return _merged_head(run.folder, task)
        if run.weights != "adapter":
            return trainable.kept_tensors(run.folder)
        adapted = trainable.build(run.plan.settings, task.model, task.head)
        try:
            trainable.load(adapted, run.folder)
            return dict(_of_adapter(cast(PeftModel, adapted)))
        finally:
            cast(PeftModel, adapted).unload()
    except (ValueError, KeyError, RuntimeError, OSError) as error:
        why = message_of(error, 200)
        raise ResultsError(UNREADABLE.format(label=run.label, name=run.record.name, error=why)) from error


def _merged_head(folder: Path, task: Task) -> dict[str, Tensor]:
    """Return the head in a folder with a merged model, whose other weights are the base model's already."""
    dense = folder / DENSE / trainable.WEIGHTS
    if dense.is_file():
        return {f"{task.head}.{name.removeprefix('linear.')}": one for name, one in load_file(dense).items()}
    if task.head is None:
        return {}
    kept = trainable.kept_tensors(folder)
    return {name: one for name, one in kept.items() if trainable.is_head(name, task.head)}


def _of_adapter(adapted: PeftModel) -> list[tuple[str, Tensor]]:
    bare = cast(nn.Module, adapted.base_model.model)
    found: list[tuple[str, Tensor]] = []
    for name, module in bare.named_modules():
        if isinstance(module, BaseTunerLayer):
            found.append((f"{name}.weight", merged_weight(module)))
        elif isinstance(module, ModulesToSaveWrapper):
            head = cast(nn.Module, module.modules_to_save["default"])
            found += [(f"{name}.{inner}", tensor.clone()) for inner, tensor in head.named_parameters()]
    return found


# Generation side by side, for the Predict tab


@dataclass
class Side:
    """One column of generated text: its pieces with their probabilities, its tokens and seconds.

    `note` says what the model was given, or why it generates nothing.
    """

    title: str
    note: str
    method: str | None
    pieces: list[tuple[str, float]] = field(default_factory=list)
    tokens: int = 0
    seconds: float = 0.0
    ended: bool = False
    fields: dict[str, str] = field(default_factory=dict)
    json: str = ""


def stream_side_by_side(
    models: Predictor,
    runs: Sequence[FinishedRun],
    prompt: str,
    *,
    max_tokens: int,
    sampling: Sampling,
    stopped: Callable[[], bool],
) -> Iterator[list[dict[str, Any]]]:
    """Yield all columns at most ten times per second, and once at the end; each samples with the same seed.

    Raises:
        InvalidInput: The prompt is too long for the model.
    """
    task = cast(GenerationTask, models.task)
    task.require_room(prompt, max_tokens)
    sides = [Side("Base", SAME_PROMPT, None)]
    sides += [Side(run.label, "", run.record.method) for run in runs]
    streams = [
        task.stream(prompt, max_tokens, sampling, partial(models.forward, run_id))
        for run_id in (FROZEN, *(run.record.id for run in runs))
    ]
    last_update = 0.0
    while not stopped() and not all(side.ended for side in sides):
        for side, stream in zip(sides, streams, strict=True):
            if not side.ended:
                _take_token(side, stream)
            # Within a round, so that the first token shows early.
            if time.monotonic() - last_update >= UPDATE_SECONDS:
                last_update = time.monotonic()
                yield [asdict(side) for side in sides]
    yield [asdict(_with_fields(side, task.fields)) for side in sides]


def _take_token(side: Side, stream: Iterator[tuple[str, float] | None]) -> None:
    """Add one token of the stream, and its time, to the column."""
    began = time.perf_counter()
    try:
        piece = next(stream)
    except StopIteration:
        side.ended = True
        return
    finally:
        side.seconds += time.perf_counter() - began
    side.tokens += 1
    if piece:
        side.pieces.append(piece)


def _with_fields(side: Side, names: Sequence[str]) -> Side:
    """Return the column with the fields in its text."""
    if not names or not side.pieces:
        return side
    found = read_fields("".join(piece for piece, _ in side.pieces), names)
    ordered = {name: found[name] for name in names if name in found}
    return replace(side, fields=ordered, json=json.dumps(ordered, indent=2, ensure_ascii=False))
