"""Several finished runs on one frozen model in memory, asked the same.

PEFT mixes no kinds of adapters in one model. Here each run is what it changed: the adapted layers' weights
with its update added, and its head; torch.func.functional_call runs the one model with them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import torch
from peft import PeftModel
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils import ModulesToSaveWrapper
from torch import Tensor, nn
from torch.func import functional_call

from cdvft_app.catalog.download import DownloadFailed, Progress, silent
from cdvft_app.results.errors import ResultsError
from cdvft_app.results.finished_run import FinishedRun
from cdvft_app.tasks.base import Prediction, Task
from cdvft_app.training import finished, trainable

FROZEN = "frozen"
"""Stands for the frozen model, under the first run's head where there is one."""


@dataclass(frozen=True)
class SideBySide:
    """`changes`: by a run's id, what it has in place of the model's own parameters."""

    task: Task
    changes: Mapping[str, Mapping[str, Tensor]]

    def answers(self, run_id: str, inputs: Sequence[Any]) -> list[Prediction]:
        """What the run answers for each input; texts, pairs or images by the task."""
        return self.task.predict(inputs, partial(self.forward, run_id))

    def forward(self, run_id: str, **inputs: Tensor) -> Any:
        """What the model gives with the run's changes in it: merged, so that they cost nothing."""
        return functional_call(self.task.model, dict(self.changes[run_id]), args=(), kwargs=inputs)


def load(runs: Sequence[FinishedRun], progress: Progress = silent) -> SideBySide:
    """One model for all of the runs, which must be of one race.

    Raises:
        ResultsError: they are of different models or tasks, or one of them cannot be read.
    """
    first = runs[0]
    for run in runs[1:]:
        if _terms(run) != _terms(first):
            raise ResultsError("These runs are of different models or data; choose runs of one race.")
    try:
        task = finished.load_frozen(first.plan, first.folder, progress)
    except DownloadFailed as error:
        raise ResultsError(str(error)) from error
    changes = {run.record.id: _changes(run, task) for run in runs}
    learned = changes[first.record.id]
    head = {name: tensor for name, tensor in learned.items() if trainable.is_head(name, task.head)}
    return SideBySide(task, {FROZEN: head, **changes})


def _terms(run: FinishedRun) -> tuple[object, ...]:
    own = run.plan.settings
    return run.plan.model, run.plan.dataset, own.max_length, own.image_size


@torch.no_grad()
def _changes(run: FinishedRun, task: Task) -> dict[str, Tensor]:
    """What a run changed, by the parameters' names in the bare model; that model stays as it was."""
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
            f"What {run.label} learned in “{run.record.name}” cannot be read: {str(error)[:200]}"
        ) from error


def _of_adapter(adapted: PeftModel) -> list[tuple[str, Tensor]]:
    bare = cast(nn.Module, adapted.base_model.model)
    found: list[tuple[str, Tensor]] = []
    for name, module in bare.named_modules():
        if isinstance(module, BaseTunerLayer):
            layer: Any = module
            weight = layer.get_base_layer().weight
            found.append((f"{name}.weight", weight + layer.get_delta_weight("default").to(weight.dtype)))
        elif isinstance(module, ModulesToSaveWrapper):
            head = cast(nn.Module, module.modules_to_save["default"])
            found += [(f"{name}.{inner}", tensor.clone()) for inner, tensor in head.named_parameters()]
    return found
