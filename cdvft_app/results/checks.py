"""Check what an adapter promises: merging, disabling and reloading give the expected logits."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from peft import PeftModel
from safetensors import safe_open
from torch import Tensor, nn

from cdvft.layer import CDVFTLayer
from cdvft_app.results.finished_run import FinishedRun, ResultsError, load
from cdvft_app.tasks.base import LabelledTask, Task
from cdvft_app.tasks.generation import GenerationTask
from cdvft_app.training import trainable

MAX_COMPARED_TOKENS = 32
"""Of a generated text, at which models are compared."""
MERGED, DISABLED = "Merged into the base weights: same output", "Disabled: same output as the base model"
RELOADED, BY_FFT = "Saved and reloaded: same output", "Computed by FFT: same output as by dense matrices"
CHANGED = "The adapter changes the output"
NO_ADAPTER = "{label} has no adapter to check. Choose a run of another method."


@dataclass(frozen=True)
class Check:
    """An invariant with the largest difference of two logits, and the largest logit, `size`."""

    invariant: str
    difference: float
    size: float


@dataclass(frozen=True)
class CheckReport:
    """The checks; and name, shape and number of values of each tensor in the file of `file_bytes`."""

    checks: tuple[Check, ...]
    file_bytes: int
    tensors: tuple[tuple[str, tuple[int, ...], int], ...]


def check_adapter(run: FinishedRun, inputs: Sequence[Any]) -> CheckReport:
    """Compare the run's logits for the inputs in several ways.

    Raises:
        ResultsError: The run cannot be loaded, or has no adapter.
    """
    if run.weights != "adapter":
        raise ResultsError(NO_ADAPTER.format(label=run.label))
    task, model = load(run)
    adapted = cast(PeftModel, model)
    logits = _logits_of(task, inputs)
    learned = logits(adapted)
    with adapted.disable_adapter():
        disabled = logits(adapted)
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
        (MERGED, merged, learned),
        (DISABLED, disabled, logits(frozen.model)),
        (RELOADED, loaded_again, learned),
        *_by_fft(adapted, logits),
        (CHANGED, learned, disabled),
    ]
    checks = tuple(
        Check(invariant, float((one - other).abs().max()), float(other.abs().max()))
        for invariant, one, other in pairs
    )
    (file,) = run.folder.glob("*.safetensors")
    with safe_open(file, framework="pt") as opened:
        shapes = {name: tuple(opened.get_slice(name).get_shape()) for name in opened.keys()}  # noqa: SIM118
    tensors = tuple((name, shape, int(torch.tensor(shape).prod())) for name, shape in shapes.items())
    return CheckReport(checks, file.stat().st_size, tensors)


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
    return [(BY_FFT, answered["fft"], answered["merged"])]
