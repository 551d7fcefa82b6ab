"""A trainer of milliseconds."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import run_events

from cdvft_app.events import Done, Event, Halt, TrainingPaused
from cdvft_app.settings import RunSettings
from cdvft_app.store.records import StoreError


class FaultTrainer:
    """`max_steps` steps with a checkpoint after each. `at_step` comes before it; `refused`: the disk did."""

    def __init__(self, at_step: Callable[[int], None] = lambda step: None) -> None:
        self.at_step = at_step
        self.refused = threading.Event()

    def __call__(
        self,
        settings: RunSettings,
        emit: Callable[[Event], None],
        should_stop: Callable[[], Halt],
        folder: Path,
        resume: bool = False,
    ) -> Done:
        checkpoint = folder / "checkpoint"
        first = int(checkpoint.read_text() or 0) if resume and checkpoint.is_file() else 0
        steps, halt = settings.max_steps or 3, Halt.NO
        try:
            emit(run_events.started(steps))
            for step in range(first + 1, steps + 1):
                self.at_step(step)
                emit(run_events.step(step))
                checkpoint.write_text(str(step))
                if halt := should_stop():
                    break
            if halt is Halt.PAUSE:
                raise TrainingPaused
            state = "stopped" if halt else "finished"
            done = run_events.done(step, folder / "adapter", state=state, metric=0.7)
            (folder / "adapter").mkdir(exist_ok=True)
            (folder / "adapter" / "adapter_model.safetensors").write_bytes(b"weights")
            emit(done)
        except (OSError, StoreError):
            self.refused.set()
            raise
        return done
