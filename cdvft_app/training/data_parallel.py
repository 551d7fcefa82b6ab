"""Processes that share the batches of one run, as `accelerate launch` or torchrun start them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from cdvft_app.catalog import libraries
from cdvft_app.events import Halt, TrainingPaused, TrainingStopped
from cdvft_app.settings import RunSettings
from cdvft_app.store.records import RunRecord
from cdvft_app.training.device import is_on_cpu, stay_on_cpu
from cdvft_app.training.schedule import processes


def rank() -> int:
    """Return this process's number among those that were started together; 0, the first, tells the store."""
    return int(os.environ.get("RANK", "0"))


def is_single_process_launch() -> bool:
    """Several processes were asked for and one was started, as `accelerate launch --cpu` does without MPI."""
    return {"ACCELERATE_USE_CPU", "MASTER_ADDR"} <= set(os.environ) and "RANK" not in os.environ


def launcher(count: int) -> list[str]:
    """Return the beginning of a command that has so many processes run what follows it; on the CPU where
    there is no GPU."""
    return [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", str(count),
            "--main_process_port", "0", "-m"]  # fmt: skip


def lead(run: RunRecord, folder: Path) -> None:
    """Tell the other processes, which `follow`, what to train; the first one calls it before it trains."""
    broadcast((run.settings.model_dump(), str(folder), run.step > 0))


def follow(should_stop: Callable[[], Halt], trainer: str, folder: Path | None = None) -> None:
    """Do the share of a process that is not the first in the first one's run.

    `folder` is the run's for this process; None: it shares the first one's disk.
    """
    settings, shared, resume = broadcast(None)
    train = libraries.resolve(trainer)
    with suppress(TrainingStopped, TrainingPaused):
        train(RunSettings(**settings), lambda event: None, should_stop, folder or Path(shared), resume)
    disconnect()


def disconnect() -> None:
    """End the connection to the others: its threads would abort a process that leaves with them running."""
    if processes() > 1:
        from accelerate import PartialState

        PartialState().destroy_process_group()


def broadcast(value: Any) -> Any:
    """Return the first process's `value`, in every process."""
    if processes() == 1:
        return value
    libraries.resolve("accelerate")
    import torch
    from accelerate import PartialState
    from accelerate.utils import broadcast_object_list

    if not torch.cuda.is_available():
        stay_on_cpu()  # the Trainer reads it, too: gloo instead of lone processes
    PartialState(cpu=is_on_cpu())
    return broadcast_object_list([value])[0]
