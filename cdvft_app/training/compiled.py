"""The model in training as CUDA graphs, by torch.compile: steps of small batches wait for kernels' launches.

A graph is of one shape. So batches of training that have all their examples are padded to the longest example
there is, and these alone go through what was compiled: evaluations, what is written, and the smaller batch at
the end of an epoch go through the model as it is. transformers' own `torch_compile` would compile for several
lengths and turn on TF32 for the whole process.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from cdvft_app.events import Event, Note, Preparing
from cdvft_app.tasks.base import GenerativeTask, Prepared, Task
from cdvft_app.training import schedule
from cdvft_app.training.device import is_zero_gpu

logger = logging.getLogger(__name__)
DEVICE = "cuda"
PASSES = 3
"""Before the clock starts: CUDA warms up in one, records its graph in the next, and replays it."""
NO_GPU = "Compile steps needs one CUDA GPU for the whole run; this one goes on without it."
FAILED = (
    "Compiling the steps failed; the run goes on without it. Switch Compile steps off to spare the attempt."
)
COMPILED = (
    "Steps were compiled in {:.0f} s before the clock started; batches are as long as the longest example."
)


class CompiledSteps(TrainerCallback):
    """Compiles when training begins, where that is of use.

    Args:
        prepared: the task with its examples.
        size: examples of a whole batch.
        emit: hears what came of it.

    Attributes:
        model: the compiled one; None where steps go without.
    """

    def __init__(self, prepared: Prepared, size: int, emit: Callable[[Event], None]) -> None:
        self.task, self.train, self.emit = prepared.task, prepared.train, emit
        self.size = min(size, len(prepared.train))
        self.longest = _longest(prepared)
        self.model: nn.Module | None = None

    def in_place_of(self, model: nn.Module, examples: int) -> nn.Module:
        """Return the model that a training batch of so many examples goes through: the compiled one, or
        `model`."""
        return self.model if self.model is not None and examples == self.size else model

    def collate(self, examples: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Return a batch of training; a whole one in the shape that was compiled."""
        whole = self.model is not None and len(examples) == self.size
        return self._padded(examples) if whole else self.task.collate(examples)

    def _padded(self, examples: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Laid out beside the longest examples, which are then left away."""
        batch = self.task.collate([*examples, *self.longest])
        return {name: one[: len(examples)] if isinstance(one, Tensor) else one for name, one in batch.items()}

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if args.device.type != DEVICE or schedule.processes() > 1 or is_zero_gpu():
            self.emit(Note(NO_GPU, "warning"))
            return
        self.emit(Preparing("Compiling the training step"))
        batch = self._padded([self.train[place] for place in range(self.size)])
        start = time.perf_counter()
        try:
            self.model = _compiled(kwargs["model"], self.task, batch, args.device)
        except Exception as error:  # a compiler may fail in any way, and none is worth a run
            logger.warning("Steps are not compiled: %s", error)
            torch.compiler.reset()
            self.emit(Note(FAILED, "warning"))
            return
        self.emit(Note(COMPILED.format(time.perf_counter() - start)))

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Free the memory that CUDA graphs hold: the last evaluation may need it."""
        self.model = None
        torch.compiler.reset()


def _compiled(model: nn.Module, task: Task, batch: dict[str, Any], device: torch.device) -> nn.Module:
    """Return the model for batches of this one's shape, and its way back; raises whatever a compiler raises.

    Nothing of the run changes: neither random numbers nor gradients nor running means.
    """
    inputs = {name: one.to(device) if isinstance(one, Tensor) else one for name, one in batch.items()}
    labels = inputs.pop("labels")
    found = cast(nn.Module, torch.compile(model, mode="reduce-overhead", dynamic=False))
    buffers = [(one, one.clone()) for one in model.buffers()]
    model.train()
    try:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            for _ in range(PASSES):
                model.zero_grad()
                task.loss(task.forward(found, inputs, labels), labels).backward()
    finally:
        model.zero_grad()
        for one, before in buffers:
            one.copy_(before)
    return found


def _longest(prepared: Prepared) -> list[dict[str, Any]]:
    """Return the training example with most tokens; where the task writes, also the one with the longest
    answer."""
    lengths, train = prepared.lengths, prepared.train
    places = {max(range(len(lengths)), key=lengths.__getitem__)}
    if isinstance(prepared.task, GenerativeTask):
        places.add(max(range(len(train)), key=lambda place: len(train[place]["labels"])))
    return [train[place] for place in places]
