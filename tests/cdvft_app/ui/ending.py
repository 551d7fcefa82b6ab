"""Runs that have ended, in no time."""

from __future__ import annotations

from typing import Any

import run_events

from cdvft_app import catalog
from cdvft_app.settings import RaceRequest
from cdvft_app.ui.shared.state import AppState


def end(app: AppState, run_id: str, *told: object, **done: Any) -> None:
    """Train a run, which says `told` between its start and its end."""
    app.store.set_state(run_id, "preparing")
    started = run_events.started(
        9, trainable_parameters=13_824, train_examples=2048, evaluation_examples=1024
    )
    for event in (started, *told, run_events.done(9, **done)):
        app.store.append(run_id, event)


def raced(app: AppState, token: str | None = None, name: str = "", **race: Any) -> list[str]:
    """The ids of a race that waits."""
    settings = [catalog.resolve(one).settings for one in RaceRequest(**race).runs()]
    return [run.id for run in app.store.create(settings, token, name)]
