"""The component that shows a sweep, one in the store or a recorded one, and the requests it sends."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any

import gradio as gr

from cdvft_app.figures import curves
from cdvft_app.judging.row_scores import of_wrong
from cdvft_app.judging.sweep_results import SweepRun
from cdvft_app.payloads.shared import Done
from cdvft_app.payloads.sweeps import SweepAnswer, SweepShown, SweepView
from cdvft_app.settings import InvalidChoice, RunSettings
from cdvft_app.store.records import RunRecord, StoreError
from cdvft_app.store.states import UNFINISHED
from cdvft_app.sweep import group
from cdvft_app.sweep.payload import payload
from cdvft_app.training.jobs import QueueFull
from cdvft_app.ui.shared.actions import resume_one
from cdvft_app.ui.shared.component import ASSETS, component
from cdvft_app.ui.shared.form import with_titles
from cdvft_app.ui.shared.state import AppState

ENDED_EARLY = ("stopped", "interrupted")  # a failed run would fail again
FILE = ASSETS / "recorded_sweep.json"  # written by benchmarks/record_sweep.py


def sweep(app: AppState, request: object) -> SweepAnswer:
    """{"group", "token", "known"}: a sweep's progress, and its results unless the page has those of `known`.

    {"recorded": recipe} is the request for a recorded one. Both are untrusted input.
    """
    request = request if isinstance(request, dict) else {}
    if "recorded" in request:
        return {"shown": recorded(request["recorded"])}
    runs = _runs(app, request.get("group"))
    if not runs:
        return {"missing": True}
    ended = ",".join(f"{run.position}{run.state}" for run in runs if run.state not in UNFINISHED)
    mine = app.store.owner(runs[0].id, request.get("token"))
    answer: SweepAnswer = {"progress": group.progress(runs), "mine": mine, "known": ended}
    return answer if request.get("known") == ended else {**answer, "shown": group.results(runs, app.store)}


def stop(app: AppState, request: object) -> Done:
    """{"group", "token"}: stop all runs that wait or train, if the token owns the sweep."""
    # From the last to the first: else the worker would start the next run while this one is being stopped.
    return _each(app, request, UNFINISHED, app.queue.stop, backwards=True)


def go_on(app: AppState, request: object) -> Done:
    """{"group", "token"}: queue all runs again that ended early, if the token owns the sweep."""
    return _each(app, request, ENDED_EARLY, partial(resume_one, app))


def _each(
    app: AppState,
    request: object,
    states: Sequence[str],
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


@lru_cache(maxsize=1)
def _file() -> dict[str, Any]:
    return json.loads(FILE.read_text(encoding="utf-8"))


def recipes() -> list[tuple[str, str]]:
    """Key and title of each recorded sweep."""
    return [(key, one["title"]) for key, one in _file()["sweeps"].items()]


@lru_cache(maxsize=8)
def _recorded(recipe: str) -> SweepShown:
    one = _file()["sweeps"][recipe]
    runs = [
        SweepRun(
            settings=RunSettings.model_validate(one["base"] | run["settings"]),
            state="failed" if run["metric"] is None else "finished",
            metric=run["metric"],
            parameters=run["trainable_parameters"],
            rows=run.get("rows", one["base"]["evaluation_examples"]),
            answers=of_wrong(run["rows"], run["wrong"]) if "wrong" in run else None,
        )
        for run in one["runs"]
    ]
    return {
        **payload(runs, one["metric_name"]),
        "title": one["title"],
        "origin": one["origin"],
        "recorded": one["recorded"],
    }


def recorded(recipe: object) -> SweepShown | None:
    """A recorded sweep as the page shows it; None where there is none of this recipe."""
    return _recorded(recipe) if isinstance(recipe, str) and recipe in _file()["sweeps"] else None


def chosen(group_id: str | None, token: str) -> SweepView:
    """The view's value: a sweep of the store, or the one in the address where `group_id` is None."""
    return {"group": group_id, "token": token}


def sweep_view(app: AppState, **arguments: Any) -> gr.HTML:
    """The section of the page that shows one sweep."""
    first = recipes()[0][0]
    return component(
        "compare/sweep/view.js",
        chosen(None, ""),
        server_functions={
            "sweep": partial(sweep, app),
            "stop": partial(stop, app),
            "go_on": partial(go_on, app),
        },
        recorded=recipes(),
        first=recorded(first),
        lines=curves.lines(),
        layout=curves.layout(),
        **arguments,
    )
