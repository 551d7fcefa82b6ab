"""A run's events as one line on standard error that moves."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cdvft_app.events import Evaluation, Event, Note, Preparing, Started, Step


class ProgressBar:
    """`listen` moves it; leaving the context takes it away."""

    def __init__(self) -> None:
        self._metric = ""
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._bar.add_task("Preparing", total=None)

    def __enter__(self) -> ProgressBar:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def listen(self, event: Event) -> None:
        if isinstance(event, Preparing):
            percent = None if event.fraction is None else round(100 * event.fraction)
            self._bar.update(
                self._task, description=event.text, completed=percent or 0, total=percent and 100
            )
        elif isinstance(event, Started):
            self._bar.reset(self._task, total=event.total_steps, description=f"Training on {event.device}")
        elif isinstance(event, Step):
            self._bar.update(
                self._task, completed=event.step, description=f"loss {event.loss:.4f}{self._metric}"
            )
        elif isinstance(event, Evaluation):
            self._metric = f", {event.metric_name} {event.metric:.4f}"
        elif isinstance(event, Note):
            self._bar.console.print(event.text, markup=False, highlight=False, soft_wrap=True)
