"""Named endpoints for gradio_client: JSON in, JSON out, and a sentence where something is refused."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from cdvft_app import catalog
from cdvft_app.catalog.entries import KINDS, Kind
from cdvft_app.data import library
from cdvft_app.data.imported_table import import_in_child
from cdvft_app.data.inspect import Inspection, as_dict, nearest_recipe
from cdvft_app.data.source import limits
from cdvft_app.errors import UserError
from cdvft_app.public import intake
from cdvft_app.settings import parse_race
from cdvft_app.shapes import hub_models
from cdvft_app.store.records import NotOwner, RunRecord
from cdvft_app.ui.shared.actions import submit
from cdvft_app.ui.shared.files import as_file, rows_or_file
from cdvft_app.ui.shared.named_endpoint import named_endpoint
from cdvft_app.ui.shared.state import AppState
from cdvft_app.ui.shared.viewing import acting_as, visitor

MAX_ROWS = 5000
# How many calls of one endpoint may run at the same time; Gradio's own default is one.
TOGETHER = 16  # how many files are read at once, and for whom, is for `intake.slot` to say
DATA_FIELDS = (
    "id", "token", "text", "label", "prompt", "answer", "evaluation", "held_out_percent", "split_seed",
    "clean",
)  # fmt: skip


def recipes() -> dict[str, Any]:
    """Return every recipe with its model, data, methods' learning rates and what to expect of it.

    A race is started by a recipe's `key`. Start with these.
    """
    return {
        "recipes": [
            {**asdict(recipe), "learning_rates": dict(recipe.learning_rates)}
            for recipe in catalog.RECIPES.values()
        ]
    }


def start(app: AppState, settings: dict[str, Any], private: bool = False) -> dict[str, Any]:
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
        raise UserError(f"private: got {_quoted(private)}; it is true or false.")
    settings, owner = chosen(app, settings)
    token = owner or secrets.token_urlsafe(32)
    run_ids = submit(app, parse_race(settings), token, program=True, private=private)
    return {"run_ids": run_ids, "token": token}


def state(app: AppState, run_id: str, cursor: int = 0, token: str = "") -> dict[str, Any]:
    """Return a run's state, score and place in the queue, and its rows: steps, evaluations, notes.

    Args:
        run_id: one that start gave.
        cursor: 0, or the one that came last: rows after it come, 5,000 at most.
        token: that start gave, for a private run.

    Returns:
        state, one of queued, preparing, running, stopping, stopped, finished, failed and interrupted; its
        reason; step, metric, rows, cursor and more.
    """
    with acting_as(token):
        run = _run(app, run_id)
    if isinstance(cursor, bool) or not isinstance(cursor, int) or not 0 <= cursor < 2**63:
        raise UserError(f"cursor: got {_quoted(cursor)}; it is a whole number, 0 or the one that came last.")
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


def search_models(name: str = "", kind: str = "text") -> dict[str, Any]:
    """Models with these words in their names: what is here first, then known ones, then the hub's.

    Args:
        name: a part of the name.
        kind: text, image or generation.

    Returns:
        models, each with the key that settings take as "model"; message says so where the hub does not
        answer.
    """
    if not isinstance(name, str):
        raise UserError(f"name: got {_quoted(name)}; it is a part of a model's name.")
    wanted: Kind | None = next((one for one in KINDS if one == kind), None)
    if wanted is None:
        raise UserError(f"kind: got {_quoted(kind)}; it is one of {', '.join(KINDS)}.")
    found, message = hub_models.search_models(name, wanted)
    return {"models": [asdict(one) for one in found], "message": message}


def stop(app: AppState, run_id: str, token: str) -> dict[str, Any]:
    """Stop a run of one's own; a run that trains ends within two steps and keeps its adapter.

    Args:
        run_id: one that start gave.
        token: that start gave with it.
    """
    if not isinstance(token, str):
        raise UserError(f"token: got {_quoted(token)}; it is the text that /start gave.")
    with acting_as(token):
        run = _run(app, run_id)
    try:
        app.queue.stop(run.id, token)
    except NotOwner:
        raise UserError(f"token: it is not the one that /start gave for run {run.id}.") from None
    return {"run_id": run.id, "state": app.store.state(run.id)}


def _run(app: AppState, run_id: object) -> RunRecord:
    run = app.store.get(run_id)
    if run is None:
        raise UserError(f"run_id: there is no run {_quoted(run_id)}; use an id that /start gave.")
    return run


def _quoted(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def register(app: AppState) -> None:
    """Add the endpoints to the Blocks that are being built."""
    for call in (datasets, upload_dataset, describe_dataset, delete_dataset):
        named_endpoint(call, app, concurrency_limit=TOGETHER, concurrency_id="data_api")
    named_endpoint(recipes, concurrency_limit=TOGETHER)
    named_endpoint(search_models, concurrency_limit=TOGETHER)
    for act in (start, state, stop):
        named_endpoint(act, app, concurrency_limit=TOGETHER)


def chosen(app: AppState, settings: object) -> tuple[Any, str | None]:
    """Settings of /start with their "data" as a run needs it, and its owner's token, None without data.

    "data" is {"id", "token"}, and where the guess is wrong "text" (a list of columns) and "label" (a column),
    or "prompt" and "answer" in their place for what is to be written, "evaluation" (the id of other rows),
    "held_out_percent", "split_seed" and "clean" (steps that mend the rows before). What names no recipe gets
    the nearest measured one.
    """
    data = settings.get("data") if isinstance(settings, dict) else None
    if not isinstance(settings, dict) or data is None:
        return settings, None
    if not isinstance(data, dict) or set(data) - {*DATA_FIELDS}:
        raise UserError(
            f"data: it is an object of {', '.join(DATA_FIELDS)}; /upload_dataset gives id and token."
        )
    token = _token(data.get("token"))
    own = library.chosen(_looked(app, data, token))
    recipe = nearest_recipe(own.kind).key
    return {"recipe": recipe, **settings, "data": own.model_dump(mode="json")}, token


def datasets(app: AppState, token: str) -> dict[str, Any]:
    """Return the data that was uploaded with this token, with size and rows."""
    return {"datasets": [vars(record) for record in library.owned(app.store, _token(token))]}


def upload_dataset(
    app: AppState, rows: str = "", name: str = "pasted rows", token: str = "", file: str = ""
) -> dict[str, Any]:
    """Keep rows, the text of a CSV, TSV or JSONL file of up to 400,000 characters.

    Or a `file`, such as a zip of pictures: its bytes in base64, in a request of up to 1 MB. Without a
    token of before it gives a new one, which alone can use and delete the data.
    """
    if not isinstance(name, str):
        raise UserError("name: give a text.")
    content = rows_or_file(rows, file)
    owner = _token(token or secrets.token_urlsafe(32))
    with as_file(None, content, None) as source, intake.slot(app.queue.budget, visitor()):
        record = library.give(app.store, source, owner, name, limits=limits(), read=import_in_child)
    return {"id": record.id, "token": owner, "name": record.name, "rows": record.rows}


def describe_dataset(  # noqa: PLR0917 - Gradio hands arguments over by their places
    app: AppState,
    id: str,
    token: str,
    text: list[str] | None = None,
    label: str = "",
    evaluation: str = "",
    prompt: list[str] | None = None,
    answer: str = "",
    held_out_percent: float | None = None,
    split_seed: int = 0,
    clean: list[str] | None = None,
) -> dict[str, Any]:
    """What would be learned from it: columns, task, classes, split, faults, warnings and what mends them.

    With `prompt` and `answer` in place of text and label: what would be learned to be written. `clean`
    are steps that mend the rows before, such as those of `mended_by`.
    """
    data: Mapping[str, Any] = {
        "id": id, "text": text, "label": label, "evaluation": evaluation, "prompt": prompt,
        "answer": answer, "held_out_percent": held_out_percent, "split_seed": split_seed,
        "clean": clean,
    }  # fmt: skip
    return as_dict(_looked(app, data, _token(token)))


def delete_dataset(app: AppState, id: str, token: str) -> dict[str, Any]:
    """Delete it; `cannot_resume` names the runs that then lose their rows."""
    lost = library.losses(app.store, id, _token(token))
    library.remove(app.store, id, _token(token))
    return {"id": id, "cannot_resume": lost}


def _looked(app: AppState, data: Mapping[str, Any], token: str) -> Inspection:
    """Inspect data as it is described in a request."""
    steps = data.get("clean") or []
    steps = [steps] if isinstance(steps, str) else steps
    if not isinstance(steps, list) or not all(isinstance(one, str) for one in steps):
        raise UserError("data: clean is a list of steps, each a text.")
    columns = {name: data.get(name) or [] for name in ("text", "prompt")}
    columns = {name: [one] if isinstance(one, str) else one for name, one in columns.items()}
    names = [data.get("label") or "", data.get("answer") or ""]
    if not all(isinstance(one, list) for one in columns.values()) or not all(
        isinstance(one, str) for one in [*columns["text"], *columns["prompt"], *names]
    ):
        raise UserError("data: text and prompt are lists of columns, label and answer are each a column.")
    with intake.slot(app.queue.budget, visitor()):
        return library.look(
            app.store,
            data.get("id"),
            token,
            **library.read_roles(columns["text"], names[0], columns["prompt"], names[1]),
            evaluation=data.get("evaluation") or None,
            **library.read_split(data.get("held_out_percent"), data.get("split_seed")),
            clean=library.read_steps(steps),
        )


def _token(given: object) -> str:
    if not isinstance(given, str) or not given:
        raise UserError("token: it is the text that /upload_dataset gave.")
    return given
