"""The component that shows a sweep, one in the store or a recorded one, and the requests it sends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import gradio as gr

from cdvft_app.figures import palette
from cdvft_app.payloads.compare import SweepAnswer, SweepView
from cdvft_app.payloads.shared import Done
from cdvft_app.settings import InvalidChoice
from cdvft_app.store.records import RunRecord, StoreError
from cdvft_app.store.states import FINAL, SETTLED, UNFINISHED, RunState
from cdvft_app.sweep import recorded, results
from cdvft_app.training.queue import QueueFull
from cdvft_app.ui.shared.actions import resume_one
from cdvft_app.ui.shared.component import component
from cdvft_app.ui.shared.form import with_titles
from cdvft_app.ui.shared.state import AppState


def sweep(app: AppState, request: object) -> SweepAnswer:
    """{"group", "token", "known"}: a sweep's progress, and its results unless the page has those of `known`.

    {"recorded": recipe} is the request for a recorded one. Both are untrusted input.
    """
    request = request if isinstance(request, dict) else {}
    if "recorded" in request:
        return {"shown": recorded.shown(request["recorded"])}
    runs = _runs(app, request.get("group"))
    if not runs:
        return {"missing": True}
    ended = ",".join(f"{run.position}{run.state}" for run in runs if run.state not in UNFINISHED)
    mine = app.store.owner(runs[0].id, request.get("token"))
    answer: SweepAnswer = {"progress": results.progress(runs), "mine": mine, "known": ended}
    return answer if request.get("known") == ended else {**answer, "shown": results.results(runs, app.store)}


def stop(app: AppState, request: object) -> Done:
    """{"group", "token"}: stop all runs that wait or train, if the token owns the sweep."""
    # From the last to the first: else the worker would start the next run while this one is being stopped.
    return _each(app, request, UNFINISHED, app.queue.stop, backwards=True)


def go_on(app: AppState, request: object) -> Done:
    """{"group", "token"}: queue all runs again that ended early, if the token owns the sweep."""
    ended_early = [state for state in FINAL if state not in SETTLED]
    return _each(app, request, ended_early, partial(resume_one, app))


def _each(
    app: AppState,
    request: object,
    states: Sequence[RunState],
    act: Callable[[str, str], None],
    backwards: bool = False,
) -> Done:
    request = request if isinstance(request, dict) else {}
    token = request.get("token")
    runs = _runs(app, request.get("group"))
    if not runs or not isinstance(token, str):
        return {"error": "There is no such sweep, or the request carries no token; reload the page."}
    try:
        for run in reversed(runs) if backwards else runs:
            if run.state in states:
                act(run.id, token)
    except (InvalidChoice, StoreError, QueueFull) as error:
        return {"error": with_titles(str(error))}
    return {"error": None}


def _runs(app: AppState, group_id: object) -> list[RunRecord]:
    return [run for run in app.store.group(group_id) if run.sweep]


def chosen(group_id: str | None, token: str) -> SweepView:
    """The view's value: a sweep of the store, or the one in the address where `group_id` is None."""
    return {"group": group_id, "token": token}


def sweep_view(app: AppState, **arguments: Any) -> gr.HTML:
    """The section of the page that shows one sweep."""
    return component(
        "compare/sweep/view.js",
        chosen(None, ""),
        slow_functions={
            "sweep": partial(sweep, app),
            "stop": partial(stop, app),
            "go_on": partial(go_on, app),
        },
        recorded=recorded.recipes(),
        lines=palette.lines(),
        layout=palette.layout(),
        **arguments,
    )
