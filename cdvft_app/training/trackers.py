"""transformers' callbacks for trackers (TensorBoard, trackio), wrapped so that their errors end no run."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import TrainerCallback
from transformers.integrations import TensorBoardCallback, get_reporting_integration_callbacks

from cdvft_app.events import Event, Note

PROJECT = "cdvft"  # trackio's name for what belongs together
FOLDER = "tensorboard"  # in a run's folder: `tensorboard --logdir RUNS_DIR/runs` shows all
_log = logging.getLogger(__name__)


def trackers(names: tuple[str, ...], folder: Path, emit: Callable[[Event], None]) -> list[TrainerCallback]:
    """The callbacks of the trackers named.

    Args:
        names: as transformers calls them.
        folder: the run's.
        emit: hears which of them failed, which is told nothing more.
    """
    made: list[TrainerCallback] = []
    for name, kind in zip(names, get_reporting_integration_callbacks(list(names)), strict=True):
        tracker = kind()
        if isinstance(tracker, TensorBoardCallback):
            tracker.logging_dir = str(folder / FOLDER)  # its usual place goes with the checkpoints
        made.append(FailSafe(name, tracker, emit))
    return made


class FailSafe(TrainerCallback):
    """Hands a tracker what it logs until it fails once."""

    def __init__(self, name: str, tracker: TrainerCallback, emit: Callable[[Event], None]) -> None:
        self._name, self._tracker, self._emit = name, tracker, emit
        self._trained = self._failed = False

    def on_train_begin(self, *args: Any, **kwargs: Any) -> None:
        self._call("on_train_begin", *args, **kwargs)

    def on_log(self, *args: Any, **kwargs: Any) -> None:
        self._call("on_log", *args, **kwargs)

    def on_train_end(self, *args: Any, **kwargs: Any) -> None:
        self._trained = True  # the final evaluation follows

    def on_evaluate(self, *args: Any, **kwargs: Any) -> None:
        if self._trained:
            self._call("on_train_end", *args, **kwargs)

    def _call(self, event: str, *args: Any, **kwargs: Any) -> None:
        if self._failed:
            return
        try:
            getattr(self._tracker, event)(*args, **kwargs)
        except Exception as error:  # whatever a package of others raises
            self._failed = True
            _log.warning("%s failed", self._name, exc_info=error)
            sentence = f"{self._name} failed ({type(error).__name__}) and is told nothing more of this run."
            self._emit(Note(sentence, "warning"))
