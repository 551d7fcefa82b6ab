"""The real trainer on a tiny model, which dies before a line of code that writes a checkpoint."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from traced_lines import Lines

from cdvft_app.events import Event, Halt, Step
from cdvft_app.settings import NO_EARLY_STOPPING, RunSettings

RUN = RunSettings(method="cdvft", max_steps=30, batch_size=8, checkpoint_every=2, **NO_EARLY_STOPPING)
FATAL = 2  # the checkpoint since its start in which it dies, so that each life gets further


def train(folder: str, lives_until: int | None) -> None:
    """Train in `folder` to the end, or until that line of all that run while a checkpoint is written.

    Losses go to `losses.txt` in the folder; how many lines wrote the fatal checkpoint, to `lines.txt`.
    """
    import tiny_trainer

    from cdvft_app.training import checkpoints
    from cdvft_app.training.loop import RaceTrainer

    lines, written = Lines(fatal=lives_until), 0
    save, seal = RaceTrainer._save_checkpoint, checkpoints.write_checksums

    def saves(self: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal written
        written += 1
        if written == FATAL:
            sys.settrace(lines)
        return save(self, *args, **kwargs)

    def seals(checkpoint: Path) -> None:
        seal(checkpoint)
        sys.settrace(None)
        if written == FATAL:
            (Path(folder) / "lines.txt").write_text(str(lines.count))

    RaceTrainer._save_checkpoint, checkpoints.write_checksums = saves, seals  # type: ignore[method-assign]
    with (Path(folder) / "losses.txt").open("a") as log:

        def emit(event: Event) -> None:
            if isinstance(event, Step):
                print(event.step, repr(event.loss), file=log, flush=True)

        tiny_trainer.train(RUN, emit, lambda: Halt.NO, Path(folder), resume=log.tell() > 0)
