"""Past races as cards, their runs as a table, and what their owner may do with them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import gradio as gr

from cdvft_app import catalog
from cdvft_app.figures import palette
from cdvft_app.methods import METHODS
from cdvft_app.metrics import metric_title
from cdvft_app.payloads.shared import Done, TokenRequest
from cdvft_app.payloads.train import (
    HistoryRun,
    HistoryRuns,
    PrivateRequest,
    Race,
    RaceRun,
    Races,
    RacesRequest,
    RemoveRequest,
    RenameRequest,
    TagRequest,
)
from cdvft_app.store.records import NAME_LIMIT, RunRecord, StoreError, label_in
from cdvft_app.store.runs import RunStore
from cdvft_app.store.states import ACTIVE, STATES
from cdvft_app.sweep.results import origin
from cdvft_app.ui.shared.component import component
from cdvft_app.ui.shared.problem import without_paths
from cdvft_app.ui.train.run_view import current, lasting

MAX_RACES = 500
MAX_RUNS = 2000  # of the table
TAG = re.compile(r"(?:^|(?<=\s))#([\w-]{1,30})(?!\S)")
"""A word of a race's name that its runs are found by."""


def races(store: RunStore, request: RacesRequest) -> Races:
    """Return the latest races; `mine` says whether the token may change one.

    One of which a run is `training` cannot be deleted.
    """
    limit = min(max(request.get("limit", 12), 1), MAX_RACES)
    groups = store.groups(limit + 1)
    return {
        "races": [_race(store, runs, request.get("token")) for runs in groups[:limit]],
        "more": len(groups) > limit,
    }


def _race(store: RunStore, runs: list[RunRecord], token: object) -> Race:
    first = lasting(runs[0])
    if runs[0].sweep:
        first["summary"] = " · ".join([_counted(runs), origin(runs[0].settings)])
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
    """Return the number of a sweep's runs by state, in half a line."""
    states = Counter(run.state for run in runs)
    counts = [f"{states[state]} {state}" for state in STATES if state in states]
    return " · ".join([f"{len(runs)} runs", *reversed(counts)])


def runs(store: RunStore, request: TokenRequest) -> HistoryRuns:
    """Return the latest runs, the newest first."""
    token = request.get("token")
    found = store.history(MAX_RUNS + 1)
    races: dict[str, list[RunRecord]] = {}
    for run in found:
        if not run.sweep:
            races.setdefault(run.group_id, []).append(run)
    rows = [_row(run, races.get(run.group_id, []), store.owner(run.id, token)) for run in found[:MAX_RUNS]]
    return {"runs": rows, "more": len(found) > MAX_RUNS}


def _row(run: RunRecord, race: list[RunRecord], mine: bool) -> HistoryRun:
    return {
        "id": run.id,
        "group": run.group_id,
        "name": " ".join(TAG.sub("", run.name).split()) or run.name,
        "tags": TAG.findall(run.name),
        "label": label_in(run, race),
        "method": run.method,
        "method_title": METHODS[run.method].title,
        "data": _data(run),
        "state": run.state,
        "metric_name": run.metric_name,
        "metric_title": metric_title(run.metric_name, short=True) if run.metric_name else None,
        "metric": run.metric,
        "trainable_parameters": run.trainable_parameters,
        "seconds": run.seconds,
        "created": run.created,
        "mine": mine,
    }


def _data(run: RunRecord) -> str:
    """Return the title of the data that it learned from."""
    settings, recipe = run.settings, catalog.RECIPES.get(run.settings.recipe)
    if settings.data:
        return settings.data.title
    key = settings.dataset or (recipe.dataset if recipe else settings.recipe)
    known = catalog.DATASETS.get(key)
    return known.title if known else key


def rename(store: RunStore, request: RenameRequest) -> Done:
    """Give each run of the race a new name, if the token owns it."""

    def change(runs: list[RunRecord], token: str) -> None:
        for run in runs:
            store.rename(run.id, request["name"], token)

    return _changed(request, store.group(request["group"]), change)


def set_private(store: RunStore, request: PrivateRequest) -> Done:
    """Hide the race's runs from everybody but their owner, or show them again, if the token owns them."""

    def change(runs: list[RunRecord], token: str) -> None:
        for run in runs:
            store.set_private(run.id, request["private"], token)

    return _changed(request, store.group(request["group"]), change)


def remove(store: RunStore, request: RemoveRequest) -> Done:
    """Delete all runs of a race or sweep, or these, if the token owns them and none trains."""

    def change(runs: list[RunRecord], token: str) -> None:
        for run in runs:
            store.require_owner(run.id, token)
        # One that trains is refused; it comes first, so that then nothing is deleted.
        for run in sorted(runs, key=lambda run: run.state not in ACTIVE):
            store.delete(run.id, token)

    named = _of_ids(store, request["runs"]) if "runs" in request else store.group(request.get("group"))
    return _changed(request, named, change)


def tag(store: RunStore, request: TagRequest) -> Done:
    """Add the tag to the names of these runs' races, so that it finds them, if the token owns them."""

    def change(chosen: list[RunRecord], token: str) -> None:
        word = re.sub(r"[^\w-]+", "-", request["tag"][:200]).strip("-")
        if not TAG.fullmatch(f"#{word}"):
            raise StoreError("A tag is one word of up to 30 letters, digits and hyphens.")
        for group_id in dict.fromkeys(run.group_id for run in chosen):
            for run in store.group(group_id):
                name = f"{run.name} #{word}"
                if len(name) > NAME_LIMIT:
                    raise StoreError(f"“{run.name[:40]}…” has no room for a tag; shorten its name first.")
                if word not in TAG.findall(run.name):
                    store.rename(run.id, name, token)

    return _changed(request, _of_ids(store, request["runs"]), change)


def _of_ids(store: RunStore, ids: Sequence[str]) -> list[RunRecord]:
    return [run for run_id in ids[:MAX_RUNS] if (run := store.get(run_id))]


def _changed(
    request: TokenRequest, runs: list[RunRecord], change: Callable[[list[RunRecord], str], None]
) -> Done:
    """Have these runs changed by their owner."""
    if "token" not in request:
        return {"error": "The request carries no token; reload the page."}
    if not runs:
        return {"error": "There is no such race; it may have been deleted. Reload the page."}
    try:
        change(runs, request["token"])
    except StoreError as error:
        return {"error": without_paths(str(error))}
    return {"error": None}


def history_view(store: RunStore, **arguments: Any) -> gr.HTML:
    """Lay out the history, whose value is {"token": the browser's}. It reads the shown races in the address.

    Sends `export_runs` with the ids of runs that are to be taken along as a file.
    """
    return component(
        "train/history.js",
        {"token": ""},
        events=("export_runs",),
        server_functions={
            call.__name__: partial(call, store) for call in (races, runs, rename, set_private, remove, tag)
        },
        lines=palette.lines(),
        **arguments,
    )
