"""Finished runs asked in memory: several on one frozen model, as they write, and what holds of any adapter.

PEFT mixes no kinds of adapters in one model. Side by side each run is what it changed: the adapted layers'
weights with its update added, and its head; torch.func.functional_call runs the one model with them.
"""

from __future__ import annotations

import copy
import json
import tempfile
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
from safetensors import safe_open
from torch import Tensor, nn
from torch.func import functional_call

from cdvft.layer import CDVFTLayer
from cdvft_app.catalog.dataset_readers import load_rows
from cdvft_app.catalog.download import DownloadFailed
from cdvft_app.format import counted
from cdvft_app.metrics.fields import read_fields
from cdvft_app.progress import Progress, silent
from cdvft_app.results.finished_run import FinishedRun, ResultsError, load
from cdvft_app.results.weights import merged_weight
from cdvft_app.tasks.base import LabelledTask, Prediction, Task
from cdvft_app.tasks.generation import GenerationTask, worked_examples
from cdvft_app.tasks.writing import Sampling
from cdvft_app.training import trainable
from cdvft_app.training.inference_service import message_of

FROZEN = "frozen"
"""Stands for the frozen model, under the first run's head where there is one."""
UPDATE_SECONDS = 0.1
TOO_LONG = "No example fits beside this prompt."
MAX_COMPARED_TOKENS = 32
"""Of an answer, at which models are compared."""


@dataclass(frozen=True)
class SideBySide:
    """`changes`: by a run's id, what it has in place of the model's own parameters."""

    task: Task
    changes: Mapping[str, Mapping[str, Tensor]]

    def answers(self, run_id: str, inputs: Sequence[Any]) -> list[Prediction]:
        """Return the run's answer to each input: texts, pairs or images by the task."""
        return self.task.predict(inputs, partial(self.forward, run_id))

    def to(self, device: str) -> SideBySide:
        """Return the same models on a device."""
        self.task.model.to(device)
        moved = {
            key: {name: tensor.to(device) for name, tensor in changed.items()}
            for key, changed in self.changes.items()
        }
        return SideBySide(self.task, moved)

    def forward(self, run_id: str, **inputs: Tensor) -> Any:
        """Return the model's output with the run's changes merged into it, so that they cost no time."""
        return functional_call(self.task.model, dict(self.changes[run_id]), args=(), kwargs=inputs)


def load_side_by_side(runs: Sequence[FinishedRun], progress: Progress = silent) -> SideBySide:
    """Load one model for all of the runs, which must be of one race.

    Raises:
        DownloadFailed: the model cannot be had.
        ResultsError: they are of different models or tasks, or one of them cannot be read.
    """
    first = runs[0]
    for run in runs[1:]:
        if _terms(run) != _terms(first):
            raise ResultsError("These runs are of different models or data; choose runs of one race.")
    task = trainable.load_base(first.plan, first.folder, progress)
    changes = {run.record.id: _changes(run, task) for run in runs}
    learned = changes[first.record.id]
    head = {name: tensor for name, tensor in learned.items() if trainable.is_head(name, task.head)}
    return SideBySide(task, {FROZEN: head, **changes})


def _terms(run: FinishedRun) -> tuple[object, ...]:
    own = run.plan.settings
    return run.plan.model, run.plan.dataset, own.max_length, own.image_size


@torch.no_grad()
def _changes(run: FinishedRun, task: Task) -> dict[str, Tensor]:
    """Return the parameters that a run changed, by their names in the base model, which stays as it was."""
    try:
        if run.weights != "adapter":
            return trainable.kept_tensors(run.folder)
        adapted = trainable.build(run.plan.settings, task.model, task.head)
        try:
            trainable.load(adapted, run.folder)
            return dict(_of_adapter(cast(PeftModel, adapted)))
        finally:
            cast(PeftModel, adapted).unload()
    except (ValueError, KeyError, RuntimeError, OSError) as error:
        raise ResultsError(
            f"What {run.label} learned in “{run.record.name}” cannot be read: {message_of(error, 200)}"
        ) from error


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


@dataclass
class Side:
    """One column of answers side by side: the text, in pieces with probabilities, and its speed.

    `note` says what the model was given, or why it writes nothing; `tokens` and `seconds` are its own.
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


def few_shot_examples(run: FinishedRun) -> list[tuple[str, str]]:
    """Training rows of the run's data to show to the untrained model; none where the data cannot be had."""
    count = run.plan.settings.train_examples
    assert count is not None
    try:
        rows = load_rows(run.plan.dataset, train_examples=count, evaluation_examples=1, seed=0)
    except DownloadFailed:
        return []
    return worked_examples(rows.train)


def stream_answers(
    models: SideBySide,
    runs: Sequence[FinishedRun],
    examples: Sequence[tuple[str, str]],
    prompt: str,
    *,
    max_tokens: int,
    sampling: Sampling,
    stopped: Callable[[], bool],
) -> Iterator[list[dict[str, Any]]]:
    """Yield all sides as they are, ten times a second at most, and once more at the end.

    Every side draws by the same seed. Once `stopped()`, nothing more is written.

    Raises:
        InvalidInput: the prompt is too long for the model.
    """
    task = cast(GenerationTask, models.task)
    few_shot = task.fitting_examples(prompt, examples, max_tokens)
    note = f"with {counted(len(few_shot), 'example')} in its prompt" if few_shot else TOO_LONG
    sides = [Side("Base", "given the same prompt", None), Side("Base", note, None, ended=not few_shot)]
    sides += [Side(run.label, "", run.record.method) for run in runs]
    ways = [(FROZEN, ()), (FROZEN, few_shot), *((run.record.id, ()) for run in runs)]
    streams = [
        task.stream(prompt, max_tokens, sampling, partial(models.forward, key), examples)
        for key, examples in ways
    ]
    last_update = 0.0
    while not stopped() and not all(side.ended for side in sides):
        for side, stream in zip(sides, streams, strict=True):
            if not side.ended:
                _write_token(side, stream)
            if (
                time.monotonic() - last_update >= UPDATE_SECONDS
            ):  # within a round: the first word is soon there
                last_update = time.monotonic()
                yield [asdict(side) for side in sides]
    yield [asdict(_with_fields(side, task.fields)) for side in sides]


def _write_token(side: Side, stream: Iterator[tuple[str, float] | None]) -> None:
    """Take one more token from the stream, and its time, into the side."""
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
    """Return the side with the fields in the text that it wrote."""
    if not names or not side.pieces:
        return side
    found = read_fields("".join(piece for piece, _ in side.pieces), names)
    ordered = {name: found[name] for name in names if name in found}
    return replace(side, fields=ordered, json=json.dumps(ordered, indent=2, ensure_ascii=False))


@dataclass(frozen=True)
class Check:
    """One checked invariant; `difference` is the largest between two logits, `size` the largest logit."""

    invariant: str
    difference: float
    size: float


@dataclass(frozen=True)
class Proof:
    """`tensors`: name, shape and numbers of each tensor in the file of `file_bytes`."""

    checks: tuple[Check, ...]
    file_bytes: int
    tensors: tuple[tuple[str, tuple[int, ...], int], ...]


def prove(run: FinishedRun, inputs: Sequence[Any]) -> Proof:
    """Ask the run the same in several ways.

    Raises:
        ResultsError: it cannot be loaded, or has no adapter to prove.
    """
    if run.weights != "adapter":
        raise ResultsError(f"{run.label} has no adapter, so there is nothing to merge or to switch off.")
    task, model = load(run)
    adapted = cast(PeftModel, model)
    logits = _logits_of(task, inputs)
    learned = logits(adapted)
    with adapted.disable_adapter():
        switched_off = logits(adapted)
    frozen = trainable.load_base(run.plan, run.folder)
    # The head that was never trained starts at random: both get the same.
    if task.head is not None:
        wrapped: Any = cast(nn.Module, adapted.base_model.model).get_submodule(task.head)
        frozen.model.get_submodule(task.head).load_state_dict(wrapped.original_module.state_dict())
    with tempfile.TemporaryDirectory() as folder:
        trainable.save(adapted, Path(folder))
        again = trainable.build(run.plan.settings, copy.deepcopy(frozen.model), task.head)
        trainable.load(again, Path(folder))
        loaded_again = logits(again)
    merged = logits(copy.deepcopy(adapted).merge_and_unload(safe_merge=True))
    pairs = [
        ("Merged into the weights, it answers the same", merged, learned),
        ("Switched off, it is the frozen model", switched_off, logits(frozen.model)),
        ("Saved and loaded again, it answers the same", loaded_again, learned),
        *_by_fft(adapted, logits),
        ("What it learned changes the answer", learned, switched_off),
    ]
    checks = tuple(
        Check(invariant, float((one - other).abs().max()), float(other.abs().max()))
        for invariant, one, other in pairs
    )
    (file,) = run.folder.glob("*.safetensors")
    with safe_open(file, framework="pt") as opened:
        shapes = {name: tuple(opened.get_slice(name).get_shape()) for name in opened.keys()}  # noqa: SIM118
    tensors = tuple((name, shape, int(torch.tensor(shape).prod())) for name, shape in shapes.items())
    return Proof(checks, file.stat().st_size, tensors)


def _logits_of(task: Task, inputs: Sequence[Any]) -> Callable[[nn.Module], Tensor]:
    """Return a function from a model to its logits for the inputs: of labels, or of each answer's tokens."""
    if isinstance(task, LabelledTask):
        return lambda of: task.logits(inputs, of.eval())
    assert isinstance(task, GenerationTask)
    examples = task.examples(inputs)
    prompts = [examples[place] for place in range(len(examples))]
    answers = task.write(task.collate(prompts), MAX_COMPARED_TOKENS).tolist()
    batch = task.collate([{**one, "labels": row} for one, row in zip(prompts, answers, strict=True)])
    labels = batch.pop("labels")

    @torch.no_grad()
    def of_answers(model: nn.Module) -> Tensor:
        return task.answer_logits(model.eval()(**batch), labels).float()

    return of_answers


def _by_fft(adapted: nn.Module, logits: Callable[[nn.Module], Tensor]) -> list[tuple[str, Tensor, Tensor]]:
    """Return CDVFT's logits by FFTs and by the same factors as dense matrices; empty for other methods."""
    layers = [module for module in adapted.modules() if isinstance(module, CDVFTLayer)]
    if not layers:
        return []
    usual = [dict(layer.cdvft_backend) for layer in layers]
    answered = {}
    for backend in ("fft", "merged"):
        for layer in layers:
            layer.cdvft_backend = dict.fromkeys(layer.cdvft_backend, backend)
        answered[backend] = logits(adapted)
    for layer, before in zip(layers, usual, strict=True):
        layer.cdvft_backend = before
    return [("By FFTs it answers as by dense matrices", answered["fft"], answered["merged"])]
