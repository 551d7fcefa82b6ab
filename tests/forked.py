"""Programs of a test's own in processes that start at once, forked from one that has loaded the libraries."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cdvft_app.commands.main import main
from cdvft_app.training import children

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(children.PRELOADED)


class Forked:
    """A process that calls `target(*arguments)`, both picklable. It prints into `stdout`, a pipe."""

    def __init__(
        self, folder: Path, target: Callable[..., object], *arguments: Any, **environment: str
    ) -> None:
        printed, prints = _context.Pipe(duplex=False)
        self._errors = folder / f"errors{environment.get('RANK', '')}"
        words = (prints, str(self._errors), environment)
        self._process = _context.Process(target=_run, args=(*words, target, arguments), daemon=True)
        self._process.start()
        prints.close()
        self.stdout = os.fdopen(os.dup(printed.fileno()))

    def send(self, number: signal.Signals) -> None:
        os.kill(self._process.pid or 0, number)

    def end(self, seconds: float = 120) -> tuple[int, str, str]:
        """Wait for its end: exit code (negative for a signal), what else it printed, its errors."""
        with self.stdout:
            printed = self.stdout.read()
        self._process.join(seconds)
        if self._process.exitcode is None:
            self._process.kill()
            raise AssertionError(f"It closed its output and has not ended in {seconds} seconds.")
        return self._process.exitcode, printed, self._errors.read_text()


def _run(
    prints: Any,
    errors: str,
    environment: dict[str, str],
    target: Callable[..., object],
    arguments: tuple[Any, ...],
) -> None:
    os.environ.update(environment)
    os.dup2(prints.fileno(), 1)
    os.dup2(os.open(errors, os.O_WRONLY | os.O_CREAT), 2)
    prints.close()
    target(*arguments)


def command_line(train: Callable[..., object], *options: str) -> None:
    """`python -m cdvft_app OPTIONS`, where `train` is the trainer."""
    from cdvft_app.training import trainer

    trainer.train = train  # type: ignore[assignment]
    sys.argv = ["cdvft_app", *options]
    main()
