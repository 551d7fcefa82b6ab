"""Named endpoints for gradio_client: JSON in, JSON out, and a sentence where something is refused."""

from __future__ import annotations

import secrets
from dataclasses import asdict
from typing import Any

from cdvft_app import catalog
from cdvft_app.catalog.entries import KINDS, Kind
from cdvft_app.settings import InvalidChoice, parse_race
from cdvft_app.shapes import model_search
from cdvft_app.store.records import NotOwner, RunRecord, StoreError
from cdvft_app.training.queue import QueueFull
from cdvft_app.ui import data_endpoints
from cdvft_app.ui.shared.actions import submit
from cdvft_app.ui.shared.named_endpoint import named_endpoint
from cdvft_app.ui.shared.problem import refusal
from cdvft_app.ui.shared.state import AppState
from cdvft_app.ui.shared.viewing import looking

MAX_ROWS = 5000
# How many calls of one endpoint may run at the same time; Gradio's own default is one.
TOGETHER = 16


def recipes() -> dict[str, Any]:
    """Every recipe with its model, data, methods' learning rates and what to expect of it.

    A race is started by a recipe's `key`. Start with these.
    """
    return {
        "recipes": [
            {**asdict(recipe), "learning_rates": dict(recipe.learning_rates)}
            for recipe in catalog.recipes().values()
        ]
    }


def start(app: AppState, settings: object, private: object = False) -> dict[str, Any]:
    """Queue a race: fine-tune one model by several methods, on the same data in the same order.

    Args:
        settings: such as {"recipe": "sentiment", "methods": ["cdvft", {"method": "lora", "r": 8}],
            "max_steps": 60}. What is left out is the recipe's. Others are "model", "dataset", "epochs",
            "batch_size", "train_examples", "evaluation_examples", "seed" and "target_modules"; "data" is
            {"id", "token"} of uploaded data, with its "text", "label" and "evaluation" where need be.
        private: whether it is shown to nobody without the token, as each on data of one's own is.

    Returns:
        run_ids in the order of the methods, and the token that state, stop and predict take.
    """
    if not isinstance(private, bool):
        raise refusal(f"private: got {_quoted(private)}; it is true or false.")
    settings, owner = data_endpoints.chosen(app, settings)
    token = owner or secrets.token_urlsafe(32)
    try:
        return {
            "run_ids": submit(app, parse_race(settings), token, program=True, private=private),
            "token": token,
        }
    except (InvalidChoice, QueueFull, StoreError) as error:
        raise refusal(str(error)) from None


def state(app: AppState, run_id: object, cursor: object = 0, token: object = "") -> dict[str, Any]:
    """A run's state, score and place in the queue, and its rows: steps, evaluations, notes.

    Args:
        run_id: one that start gave.
        cursor: 0, or the one that came last: rows after it come, 5,000 at most.
        token: that start gave, for a private run.

    Returns:
        state, one of queued, preparing, running, stopping, stopped, finished, failed and interrupted; its
        reason; step, metric, rows, cursor and more.
    """
    with looking(token):
        run = _run(app, run_id)
    if isinstance(cursor, bool) or not isinstance(cursor, int) or not 0 <= cursor < 2**63:
        raise refusal(f"cursor: got {_quoted(cursor)}; it is a whole number, 0 or the one that came last.")
    rows, cursor_now = app.store.rows(run.id, cursor, limit=MAX_ROWS)
    return {
        "run_id": run.id,
        "method": run.method,
        "state": run.state,
        "reason": run.reason,
        "queue_place": app.store.queue_place(run.id),
        "step": run.step,
        "total_steps": run.total_steps,
        "trainable_parameters": run.trainable_parameters,
        "metric_name": run.metric_name,
        "metric": run.metric,
        "seconds": run.seconds,
        "device": run.device,
        "forecast": run.forecast,
        "rows": rows,
        "cursor": cursor_now,
    }


def search_models(name: object = "", kind: object = "text") -> dict[str, Any]:
    """Models with these words in their names: what is here first, then known ones, then the hub's.

    Args:
        name: a part of the name.
        kind: text, image or generation.

    Returns:
        models, each with the key that settings take as "model"; message says so where the hub does not
        answer.
    """
    if not isinstance(name, str):
        raise refusal(f"name: got {_quoted(name)}; it is a part of a model's name.")
    wanted: Kind | None = next((one for one in KINDS if one == kind), None)
    if wanted is None:
        raise refusal(f"kind: got {_quoted(kind)}; it is one of {', '.join(KINDS)}.")
    found, message = model_search.search_models(name, wanted)
    return {"models": [asdict(one) for one in found], "message": message}


def stop(app: AppState, run_id: object, token: object) -> dict[str, Any]:
    """Stop a run of one's own; a run that trains ends within two steps and keeps its adapter.

    Args:
        run_id: one that start gave.
        token: that start gave with it.
    """
    if not isinstance(token, str):
        raise refusal(f"token: got {_quoted(token)}; it is the text that /start gave.")
    with looking(token):
        run = _run(app, run_id)
    try:
        app.queue.stop(run.id, token)
    except NotOwner:
        raise refusal(f"token: it is not the one that /start gave for run {run.id}.") from None
    except StoreError as error:
        raise refusal(str(error)) from None
    return {"run_id": run.id, "state": app.store.state(run.id)}


def _run(app: AppState, run_id: object) -> RunRecord:
    run = app.store.get(run_id)
    if run is None:
        raise refusal(f"run_id: there is no run {_quoted(run_id)}; use an id that /start gave.")
    return run


def _quoted(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def register(app: AppState) -> None:
    """Add the endpoints to the Blocks that are being built."""
    data_endpoints.register(app)

    def _recipes() -> dict[str, Any]:
        return recipes()

    def _start(settings: dict[str, Any], private: bool = False) -> dict[str, Any]:
        return start(app, settings, private)

    def _state(run_id: str, cursor: int = 0, token: str = "") -> dict[str, Any]:
        return state(app, run_id, cursor, token)

    def _stop(run_id: str, token: str) -> dict[str, Any]:
        return stop(app, run_id, token)

    def _search_models(name: str = "", kind: str = "text") -> dict[str, Any]:
        return search_models(name, kind)

    endpoints = (
        (_recipes, recipes), (_search_models, search_models), (_start, start), (_state, state), (_stop, stop)
    )  # fmt: skip
    for call, endpoint in endpoints:
        named_endpoint(call, endpoint, concurrency_limit=TOGETHER)
