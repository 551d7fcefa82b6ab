"""Data-parallel processes of one run, as started by `accelerate launch` or `torchrun`."""

from __future__ import annotations

import os
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
    """Return the rank of this process. Only rank 0 writes to the store."""
    return int(os.environ.get("RANK", "0"))


def lead(run: RunRecord, folder: Path) -> None:
    """Send the run to the other processes, which call `follow`. Rank 0 calls this before it trains."""
    broadcast((run.settings.model_dump(), str(folder), run.step > 0))


def follow(should_stop: Callable[[], Halt], trainer: str) -> None:
    """Train a share of the batches of rank 0's run; all ranks use the same run folder."""
    settings, folder, resume = broadcast(None)
    train = libraries.resolve(trainer)
    with suppress(TrainingStopped, TrainingPaused):
        train(RunSettings(**settings), lambda event: None, should_stop, Path(folder), resume)
    disconnect()


def disconnect() -> None:
    """Destroy the process group: its threads would abort a process that exits while they run."""
    if processes() > 1:
        from accelerate import PartialState

        PartialState().destroy_process_group()


def broadcast(value: Any) -> Any:
    """Return the `value` of rank 0 in every process."""
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
