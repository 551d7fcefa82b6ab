"""What an adapter promises, checked on somebody's own input: the largest differences between logits."""

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
from cdvft_app.results.errors import ResultsError
from cdvft_app.results.finished_run import FinishedRun, load
from cdvft_app.tasks.base import Task
from cdvft_app.tasks.generation import GenerationTask
from cdvft_app.tasks.labelled import LabelledTask
from cdvft_app.training import finished, trainable

WRITTEN = 32
"""Tokens of an answer at which models are compared, at most."""


@dataclass(frozen=True)
class Check:
    """One promise; `difference` is the largest between two logits, `size` the largest logit."""

    promise: str
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
    frozen = finished.load_frozen(run.plan, run.folder)
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
        Check(promise, float((one - other).abs().max()), float(other.abs().max()))
        for promise, one, other in pairs
    )
    (file,) = run.folder.glob("*.safetensors")
    with safe_open(file, framework="pt") as opened:
        shapes = {name: tuple(opened.get_slice(name).get_shape()) for name in opened.keys()}  # noqa: SIM118
    tensors = tuple((name, shape, int(torch.tensor(shape).prod())) for name, shape in shapes.items())
    return Proof(checks, file.stat().st_size, tensors)


def _logits_of(task: Task, inputs: Sequence[Any]) -> Callable[[nn.Module], Tensor]:
    """What gives a model's logits for the inputs: of the labels, or of each token of its answers."""
    if isinstance(task, LabelledTask):
        return lambda of: task.logits(inputs, of.eval())
    assert isinstance(task, GenerationTask)
    examples = task.examples(inputs)
    prompts = [examples[place] for place in range(len(examples))]
    answers = task.write(task.collate(prompts), WRITTEN).tolist()
    batch = task.collate([{**one, "labels": row} for one, row in zip(prompts, answers, strict=True)])
    labels = batch.pop("labels")

    @torch.no_grad()
    def of_answers(model: nn.Module) -> Tensor:
        return task.answer_logits(model.eval()(**batch), labels).float()

    return of_answers


def _by_fft(adapted: nn.Module, logits: Callable[[nn.Module], Tensor]) -> list[tuple[str, Tensor, Tensor]]:
    """Of CDVFT: what its FFTs answer, and what the same factors do once multiplied out to matrices."""
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
