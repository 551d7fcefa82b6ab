"""What computes CDVFT's updates is made ready before a run's clock starts.

On a CPU the compiled kernel is loaded, or compiled first. On a GPU every engine is timed for the layers of
the model at hand, for a few seconds, once: the library keeps what it found by device, driver and version of
torch, and estimates by published rates until then.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from cdvft.kernels import calibrate
from cdvft.kernels.native.build import library
from cdvft_app.catalog import Plan
from cdvft_app.events import Event, Preparing
from cdvft_app.tasks.base import Prepared, Progress, Task
from cdvft_app.training.arguments import autocast_dtype
from cdvft_app.training.device import device_kind
from cdvft_app.training.loop import RaceTrainer

logger = logging.getLogger(__name__)
SECONDS = 3.0


def load_on_cpu(plan: Plan, progress: Progress) -> None:
    """Load the compiled kernel where it will be used."""
    if plan.settings.method.key == "cdvft" and device_kind() == "cpu":
        progress(None, "Loading CDVFT's compiled kernel")
        library()  # may have to compile it, which is no part of a step's time


def time_on_gpu(
    plan: Plan, prepared: Prepared, model: nn.Module, trainer: RaceTrainer, emit: Callable[[Event], None]
) -> None:
    """Time what was not timed on this GPU yet; a run goes on without."""
    device, size = trainer.args.device, min(plan.settings.batch_size or 1, len(prepared.train))
    if plan.settings.method.key != "cdvft" or device.type != "cuda":
        return
    emit(Preparing("Timing CDVFT's engines on this GPU"))
    batch = trainer._prepare_inputs(prepared.task.collate([prepared.train[n] for n in range(size)]))
    with torch.random.fork_rng(devices=[device]):  # the run's random numbers stay as they were
        time_engines(model, prepared.task, batch, autocast_dtype(trainer.args))
    torch.cuda.empty_cache()


def time_engines(model: nn.Module, task: Task, batch: dict[str, Any], dtype: torch.dtype | None) -> None:
    """Time each way of each engine for the adapted layers, on as many tokens as this batch has.

    dtype: in which autocast makes products; None without autocast.
    """
    kind = next(model.parameters()).device.type
    try:
        with torch.autocast(kind, dtype, enabled=dtype is not None):
            calibrate(model, _tokens(model, task, batch), SECONDS, missing_only=True)
    except (ValueError, RuntimeError) as error:  # nothing that can be timed; no memory for it
        logger.warning("Estimates choose CDVFT's engines, for timing them failed: %s", error)


def _tokens(model: nn.Module, task: Task, batch: dict[str, Any]) -> int:
    """The most rows that an adapted layer is given."""
    seen = [0]
    hooks = [
        layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape[:-1].numel()))
        for layer in model.modules()
        if hasattr(layer, "cdvft_circulants")
    ]
    inputs = dict(batch)
    labels = inputs.pop("labels")
    try:
        with torch.no_grad():
            task.forward(model, inputs, labels)
    finally:
        for hook in hooks:
            hook.remove()
    return max(seen)
