"""The component that shows a sweep, one in the store or a recorded one, and the requests it sends."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial
from typing import Any

import gradio as gr

from cdvft_app.figures import palette
from cdvft_app.payloads.compare import SweepAnswer, SweepView, SweepViewRequest
from cdvft_app.payloads.shared import Done, GroupRequest
from cdvft_app.store.records import RunRecord
from cdvft_app.store.states import FINAL, SETTLED, UNFINISHED, RunState
from cdvft_app.sweep import recorded, results
from cdvft_app.ui.shared.actions import act_on_group, resume_one, runs_of_group
from cdvft_app.ui.shared.component import component
from cdvft_app.ui.shared.state import AppState


def sweep(app: AppState, request: SweepViewRequest) -> SweepAnswer:
    """A sweep's progress, and its results unless the page has them; or a recorded one's results."""
    if "recorded" in request:
        return {"shown": recorded.shown(request["recorded"])}
    runs = runs_of_group(app, request.get("group"))
    if not runs:
        return {"missing": True}
    ended = ",".join(f"{run.position}{run.state}" for run in runs if run.state not in UNFINISHED)
    mine = app.store.owner(runs[0].id, request.get("token"))
    answer: SweepAnswer = {"progress": results.progress(runs), "mine": mine, "known": ended}
    return answer if request.get("known") == ended else {**answer, "shown": results.results(runs, app.store)}


def stop(app: AppState, request: GroupRequest) -> Done:
    """Stop all runs that wait or train, if the token owns the sweep."""
    # From the last to the first: else the worker would start the next run while this one is being stopped.
    return act_on_group(app, request, lambda runs: reversed(_in_state(runs, UNFINISHED)), app.queue.stop)


def go_on(app: AppState, request: GroupRequest) -> Done:
    """Queue all runs again that ended early, if the token owns the sweep."""
    ended_early = [state for state in FINAL if state not in SETTLED]
    return act_on_group(app, request, lambda runs: _in_state(runs, ended_early), partial(resume_one, app))


def _in_state(runs: Sequence[RunRecord], states: Collection[RunState]) -> list[RunRecord]:
    return [run for run in runs if run.state in states]


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
