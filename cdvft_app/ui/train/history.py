"""The list of past races, and what its owner may do with them."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any

import gradio as gr

from cdvft_app.figures import palette
from cdvft_app.payloads.shared import Done
from cdvft_app.payloads.train import Race, RaceRun, Races
from cdvft_app.store.records import RunRecord, StoreError
from cdvft_app.store.runs import RunStore
from cdvft_app.store.states import ACTIVE, STATES
from cdvft_app.sweep.results import origin
from cdvft_app.ui.shared.component import component
from cdvft_app.ui.shared.problem import without_paths
from cdvft_app.ui.train.run_view import current, lasting

MAX_RACES = 500


def races(store: RunStore, request: object) -> Races:
    """The latest races, {"limit", "token"} asked for; `mine` says whether the token may change one.

    One of which a run is `training` cannot be deleted.
    """
    fields = request if isinstance(request, dict) else {}
    limit = fields.get("limit")
    limit = min(max(limit, 1), MAX_RACES) if isinstance(limit, int) else 12
    groups = store.groups(limit + 1)
    return {
        "races": [_race(store, runs, fields.get("token")) for runs in groups[:limit]],
        "more": len(groups) > limit,
    }


def _race(store: RunStore, runs: list[RunRecord], token: object) -> Race:
    first = lasting(runs[0])
    if runs[0].sweep:
        first["summary"] = " · ".join([_counted(runs), origin(runs[0])])
    return {
        "name": runs[0].name,
        "summary": first["summary"],
        "created": first["created"],
        "group": first["group"],
        "sweep": runs[0].sweep,
        "mine": store.owner(runs[0].id, token),
        "private": any(run.private for run in runs),
        "own_data": any(run.settings.data for run in runs),
        "training": any(run.state in ACTIVE for run in runs),
        "runs": [_run(run, runs) for run in runs if not run.sweep],
    }


def _run(run: RunRecord, race: list[RunRecord]) -> RaceRun:
    now = current(run)
    return {
        "id": now["id"],
        "method": run.method,
        "label": lasting(run, race)["label"],
        "state": now["state"],
        "step": now["step"],
        "metric": now["metric"],
        "metric_name": now["metric_name"],
        "trainable_parameters": now["trainable_parameters"],
    }


def _counted(runs: list[RunRecord]) -> str:
    """A sweep's many runs in half a line."""
    states = Counter(run.state for run in runs)
    counts = [f"{states[state]} {state}" for state in STATES if state in states]
    return " · ".join([f"{len(runs)} runs", *reversed(counts)])


def rename(store: RunStore, request: object) -> Done:
    """{"group", "name", "token"}: a new name for each run, if the token owns it."""

    def change(runs: list[RunRecord], fields: dict[str, Any]) -> None:
        for run in runs:
            store.rename(run.id, str(fields.get("name", "")), fields["token"])

    return _changed(store, request, change)


def set_private(store: RunStore, request: object) -> Done:
    """{"group", "private", "token"}: whether nobody but the owner sees the race's runs."""

    def change(runs: list[RunRecord], fields: dict[str, Any]) -> None:
        for run in runs:
            store.set_private(run.id, fields.get("private") is True, fields["token"])

    return _changed(store, request, change)


def remove(store: RunStore, request: object) -> Done:
    """{"group", "token"}: delete all runs of a race or sweep, if the token owns them and none trains."""

    def change(runs: list[RunRecord], fields: dict[str, Any]) -> None:
        # One that trains is refused; it comes first, so that then nothing is deleted.
        for run in sorted(runs, key=lambda run: run.state not in ACTIVE):
            store.delete(run.id, fields["token"])

    return _changed(store, request, change)


def _changed(store: RunStore, request: object, change: Any) -> Done:
    fields = request if isinstance(request, dict) else {}
    if not isinstance(fields.get("token"), str):
        return {"error": "The request carries no token; reload the page."}
    runs = store.group(fields.get("group"))
    if not runs:
        return {"error": "There is no such race; it may have been deleted. Reload the page."}
    try:
        change(runs, fields)
    except StoreError as error:
        return {"error": without_paths(str(error))}
    return {"error": None}


def history_view(store: RunStore, **arguments: Any) -> gr.HTML:
    """Its value is {"token": the browser's own}. It reads the address to know which races are shown."""
    return component(
        "train/history.js",
        {"token": ""},
        server_functions={
            call.__name__: partial(call, store) for call in (races, rename, set_private, remove)
        },
        lines=palette.lines(),
        **arguments,
    )
