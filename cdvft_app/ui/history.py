"""The list of past races, and what its owner may do with them."""

from __future__ import annotations

from functools import partial
from typing import Any

import gradio as gr

from cdvft_app.figures import curves
from cdvft_app.store.records import RunRecord, StoreError
from cdvft_app.store.runs import RunStore
from cdvft_app.ui.component import component
from cdvft_app.ui.run_view import MOST_RUNS, current, lasting

MOST_RACES = 500
RUNS_A_RACE = 6


def races(store: RunStore, request: object) -> dict[str, Any]:
    """The latest races, {"limit", "token"} asked for; `mine` says whether the token may change one."""
    asked = request if isinstance(request, dict) else {}
    limit = asked.get("limit")
    limit = min(max(limit, 1), MOST_RACES) if isinstance(limit, int) else 12
    groups: dict[str, list[RunRecord]] = {}
    for run in store.history(RUNS_A_RACE * (limit + 1)):
        groups.setdefault(run.group_id, []).append(run)
    listed = [
        _race(store, sorted(runs, key=lambda run: run.position), asked.get("token"))
        for runs in groups.values()
    ]
    return {"races": listed[:limit], "more": len(listed) > limit}


def _race(store: RunStore, runs: list[RunRecord], token: object) -> dict[str, Any]:
    first = lasting(runs[0])
    keep = ("id", "method", "label", "state", "metric", "metric_name", "trainable_parameters")
    return {
        "name": first["name"],
        "summary": first["summary"],
        "created": first["created"],
        "mine": store.owner(runs[0].id, token),
        "runs": [
            {name: value for name, value in (lasting(run) | current(run)).items() if name in keep}
            for run in runs
        ],
    }


def rename(store: RunStore, request: object) -> dict[str, str | None]:
    """{"runs", "name", "token"}: a new name for each run, if the token owns it."""

    def change(run_id: str, asked: dict[str, Any]) -> None:
        store.rename(run_id, str(asked.get("name", "")), asked["token"])

    return _each(request, change)


def remove(store: RunStore, request: object) -> dict[str, str | None]:
    """{"runs", "token"}: delete each run, if the token owns it."""
    return _each(request, lambda run_id, asked: store.delete(run_id, asked["token"]))


def _each(request: object, change: Any) -> dict[str, str | None]:
    asked = request if isinstance(request, dict) else {}
    ids = asked.get("runs")
    if not (isinstance(ids, list) and isinstance(asked.get("token"), str)):
        return {"error": "The request names no runs or carries no token; reload the page."}
    try:
        for run_id in ids[:MOST_RUNS]:
            change(run_id, asked)
    except StoreError as error:
        return {"error": str(error)}
    return {"error": None}


def history_view(store: RunStore, **arguments: Any) -> gr.HTML:
    """Its value is {"token": the browser's own}. It reads the address to know which races are shown."""
    return component(
        "history.js",
        {"token": ""},
        server_functions={call.__name__: partial(call, store) for call in (races, rename, remove)},
        lines=curves.lines(),
        **arguments,
    )
