"""The history: past races, and what their owner may do with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import gradio as gr

from cdvft_app import catalog
from cdvft_app.figures import palette
from cdvft_app.metrics import metric_title
from cdvft_app.payloads.shared import Done
from cdvft_app.payloads.train import (
    GroupsRequest,
    PrivateRequest,
    Race,
    RaceRun,
    Races,
    RacesRequest,
    RenameRequest,
)
from cdvft_app.store.records import RunRecord, StoreError, label_in
from cdvft_app.store.runs import RunStore
from cdvft_app.store.states import ACTIVE, STATES
from cdvft_app.sweep.results import origin
from cdvft_app.ui.shared.component import component
from cdvft_app.ui.shared.problem import without_paths
from cdvft_app.ui.train.run_view import lasting

MAX_RACES = 500


def races(store: RunStore, request: RacesRequest) -> Races:
    """Return the latest races, the newest first; `mine` says whether the token may change one."""
    limit = min(max(request.get("limit", 50), 1), MAX_RACES)
    groups = store.groups(limit + 1)
    return {
        "races": [_race(store, runs, request.get("token")) for runs in groups[:limit]],
        "more": len(groups) > limit,
    }


def _race(store: RunStore, runs: list[RunRecord], token: object) -> Race:
    first = runs[0]
    states = Counter(run.state for run in runs)
    return {
        "name": first.name,
        "summary": origin(first.settings) if first.sweep else lasting(first)["summary"],
        "data": _data(first),
        "created": first.created,
        "group": first.group_id,
        "sweep": first.sweep,
        "mine": store.owner(first.id, token),
        "private": any(run.private for run in runs),
        "own_data": any(run.settings.data for run in runs),
        "training": any(run.state in ACTIVE for run in runs),
        "states": {state: states[state] for state in reversed(STATES) if state in states},
        "runs": [] if first.sweep else [_run(run, runs) for run in runs],
    }


def _run(run: RunRecord, race: list[RunRecord]) -> RaceRun:
    return {
        "id": run.id,
        "method": run.method,
        "label": label_in(run, race),
        "state": run.state,
        "metric": run.metric,
        "metric_name": run.metric_name,
        "metric_title": metric_title(run.metric_name, short=True) if run.metric_name else None,
        "trainable_parameters": run.trainable_parameters,
        "seconds": run.seconds,
    }


def _data(run: RunRecord) -> str:
    """Return the title of the run's dataset."""
    settings, recipe = run.settings, catalog.RECIPES.get(run.settings.recipe)
    if settings.data:
        return settings.data.title
    key = settings.dataset or (recipe.dataset if recipe else settings.recipe)
    known = catalog.DATASETS.get(key)
    return known.title if known else key


def rename(store: RunStore, request: RenameRequest) -> Done:
    """Rename the runs of the token's races."""
    return _change(store, request, lambda run, token: store.rename(run, request["name"], token))


def set_private(store: RunStore, request: PrivateRequest) -> Done:
    """Hide the token's races from everyone but their owner, or show them again."""
    return _change(store, request, lambda run, token: store.set_private(run, request["private"], token))


def remove(store: RunStore, request: GroupsRequest) -> Done:
    """Delete the token's races and sweeps, unless one of their runs trains."""
    return _change(store, request, store.delete)


def _change(store: RunStore, request: GroupsRequest, change: Callable[[str, str], None]) -> Done:
    """Change all runs of the groups, if the token owns every one."""
    if "token" not in request:
        return {"error": "The request has no token. Reload the page."}
    token = request["token"]
    runs = [run for group in request["groups"][:MAX_RACES] for run in store.group(group)]
    if not runs:
        return {"error": "The race was not found. It may have been deleted. Reload the page."}
    try:
        for run in runs:
            store.require_owner(run.id, token)
        # A run that trains comes first: if it is rejected, nothing has changed.
        for run in sorted(runs, key=lambda run: run.state not in ACTIVE):
            change(run.id, token)
    except StoreError as error:
        return {"error": without_paths(str(error))}
    return {"error": None}


def history_view(store: RunStore, **arguments: Any) -> gr.HTML:
    """Lay out the history, whose value is {"token": the browser's}.

    Sends `export_runs` with the IDs of the runs to export.
    """
    return component(
        "train/history.js",
        {"token": ""},
        events=("export_runs",),
        server_functions={
            call.__name__: partial(call, store) for call in (races, rename, set_private, remove)
        },
        lines=palette.lines(),
        **arguments,
    )
