"""Measuring step times from the Compare tab: the buttons, the progress, and the kept measurements."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, Literal

import gradio as gr

from cdvft_app.costs.request import CostRequest, parse_cost
from cdvft_app.costs.sentences import label
from cdvft_app.errors import UserError
from cdvft_app.measuring.background import (
    MAX_WAITING,
    WaitingLine,
    device_here,
    measuring,
)
from cdvft_app.payloads.compare import Measuring
from cdvft_app.prediction import step_seconds
from cdvft_app.store.measurements import KEY
from cdvft_app.training.device import kind_of_training, total_bytes
from cdvft_app.ui.compare.form import LABELS
from cdvft_app.ui.shared.component import component, telling
from cdvft_app.ui.shared.form import with_titles
from cdvft_app.ui.shared.listeners import QUIET
from cdvft_app.ui.shared.state import LEARNED_FROM, AppState
from cdvft_app.ui.shared.viewing import visitor

IDLE: Measuring = {"state": "idle", "text": "", "fraction": 0.0, "kept": 0}
CANCELLED = "Cancelled; what was measured until then is kept."


def panel() -> gr.HTML:
    """Return the buttons and the progress. Sends `kept` whenever there is a new measurement."""
    return component("compare/measure.js", IDLE, events=("measure", "cancel", "kept"), elem_id="measure")


def connect(
    app: AppState, view: Any, fields: Sequence[Any], request_values: Callable[..., dict[str, Any]]
) -> None:
    """Measure what the fields ask for; `request_values` turns their values into those of a `CostRequest`."""
    line = WaitingLine()
    cancelled: dict[str | None, bool] = {}  # by the session that measures

    def measure(request: gr.Request, *inputs: Any) -> Iterator[Measuring]:
        session = request.session_hash
        cancelled[session] = False
        try:
            yield from measured(app, line, request_values(*inputs), lambda: cancelled[session])
        finally:
            del cancelled[session]

    def cancel(request: gr.Request) -> None:
        """Gradio's `cancels` would miss a measurement that is about to begin."""
        if request.session_hash in cancelled:
            cancelled[request.session_hash] = True

    running = view.measure(
        measure,
        fields,
        view,
        concurrency_limit=MAX_WAITING + 2,
        show_progress="hidden",
        api_visibility="private",
    )
    view.cancel(cancel, None, None, **QUIET)
    running.then(None, None, None, js=telling("measure-ended"), **QUIET)
    running.failure(None, None, None, js=telling("measure-failed"), **QUIET)


def measured(
    app: AppState, line: WaitingLine, values: Mapping[str, Any], cancelled: Callable[[], bool]
) -> Iterator[Measuring]:
    """Values of the panel, several a second, until all is measured and kept, or it is cancelled."""
    progress = Progress()
    yield progress.value("on", "Starting")
    try:
        request = parse_cost(dict(values))
        metered = app.queue.budget.spending(visitor(), "measurement")
        messages = measuring(request, line, app.store.measurements.disturbed)
        with metered as waited, closing(messages):
            for message in messages:
                if message["kind"] == "waiting":
                    waited()
                if message["kind"] == "result":
                    app.store.measurements.keep(message)
                progress.add(message)
                if cancelled():
                    yield progress.value("idle", CANCELLED)
                    return
                yield progress.value("on", progress.text(bounded=request.match == "seconds_per_step"))
        yield progress.value("done", progress.end())
    except UserError as error:
        yield progress.value("failed", with_titles(str(error), LABELS))


def known_here(app: AppState, request: CostRequest) -> dict[str, Any]:
    """Return the facts of this machine for a decision: memory, measurement of a row, forecast of its step."""
    device = device_here()
    store = app.store
    finished, measurements = store.finished(LEARNED_FROM), store.measurements.all()

    def lookup(row: Mapping[str, Any]) -> dict[str, Any] | None:
        return store.measurements.latest(**{name: row[name] for name in KEY}, device=device)

    counted_as_run = request.convention == "real_fft"
    return {
        "here_bytes": total_bytes(kind_of_training()),
        "lookup": lookup,
        "step_seconds": lambda row: step_seconds(row, finished, measurements) if counted_as_run else None,
    }


class Progress:
    """The panel's text and fraction, from the messages of a measurement."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._start = clock()
        self._spent: list[float] = []  # seconds of each measured step time, set-up included
        self._now: dict[str, Any] = {}
        self._began = self._until = 0.0
        self._refused: list[str] = []
        self._device = ""

    def add(self, message: Mapping[str, Any]) -> None:
        kind, now = message["kind"], self._clock()
        if kind == "waiting" or self._now.get("kind") == "waiting":
            self._start, self._now = now, {}
        if kind in ("waiting", "begin"):
            self._now = dict(message)
            self._began, self._until = now, 0.0
        elif kind == "pace":
            self._until = now + message["seconds"]
        elif kind == "result":
            self._spent.append(now - self._began)
            self._device = message["device"]
        elif kind == "refused":
            self._refused.append(f"{label(message)}: {message['why']}")

    def text(self, bounded: bool = False) -> str:
        """Return the current step, in a sentence; `bounded`: the seconds left are an upper bound."""
        if not self._now:
            return "Loading torch and the model"
        if self._now["kind"] == "waiting":
            before = self._now["place"]
            return f"Number {before + 1} in the queue" if before > 1 else "Next in the queue"
        sentence = f"Measuring {label(self._now)}, {self._now['number']} of {self._now['of']}"
        left = self.left()
        if left is None:
            return sentence
        return f"{sentence}, {'at most ' if bounded else ''}about {max(left, 1):.0f} s left"

    def left(self) -> float | None:
        """Return seconds until all is measured; None as long as they cannot be estimated."""
        if not self._until and not self._spent:
            return None
        usual = sum(self._spent) / len(self._spent) if self._spent else self._until - self._began
        end = self._until or self._began + usual
        return max(end - self._clock(), 0.0) + self._now["more"] * usual

    def end(self) -> str:
        count = len(self._spent)
        done = [f"Done: {count} step {'time' if count == 1 else 'times'} on {self._device}."] if count else []
        many = f"{len(self._refused)} methods were not measured; the table says why."
        return " ".join([*done, *(self._refused if len(self._refused) < 2 else [many])])

    def value(self, state: Literal["on", "done", "failed", "idle"], text: str) -> Measuring:
        """Return the panel's value."""
        spent, left = self._clock() - self._start, self.left() if self._now.get("kind") == "begin" else None
        fraction = 0.0 if left is None else spent / (spent + left + 1e-9)
        return {"state": state, "text": text, "fraction": round(fraction, 2), "kept": len(self._spent)}
