"""Choosing a finished race for the cost comparison: its settings, and its runs' seconds and memory."""

from __future__ import annotations

from datetime import datetime
from html import escape
from typing import Any

import gradio as gr

from cdvft_app import catalog
from cdvft_app.catalog.entries import find_known_model
from cdvft_app.format import amount
from cdvft_app.methods import METHODS, labels
from cdvft_app.methods.flat import flat_values
from cdvft_app.store.records import RunRecord, label_in
from cdvft_app.store.runs import RunStore
from cdvft_app.ui.compare.form import FIELDS, START, TYPED, fields_of
from cdvft_app.ui.shared.controls import html
from cdvft_app.ui.shared.form import text
from cdvft_app.ui.shared.listeners import QUIET

MAX_RACES = 20
MAX_TIMED = 12
_LOOKED_THROUGH = 400  # runs of the history, the latest
_NONE = "None has finished here yet."
_FILLS = "Fills in its model, layers and settings."
_HINT = (
    "Seconds without preparation and evaluations. Memory: on a CPU the largest size of the whole program, on "
    "a GPU what torch had taken."
)


def control() -> tuple[gr.Dropdown, gr.HTML]:
    """Return the dropdown, and the place below it for the race's seconds and memory."""
    race = gr.Dropdown(
        value=None,
        label="Or a finished race",
        elem_id="cost-race",
        info=_NONE,
    )
    return race, html(elem_id="cost-race-took")


def connect(
    store: RunStore, race: gr.Dropdown, costs: gr.HTML, controls: dict[str, Any], filled_for: gr.JSON
) -> None:
    """Let `race` list the finished races, and fill `controls`, by their fields' names.

    `filled_for` holds the model that they were last filled for.
    """

    def chosen(group_id: object) -> list[Any]:
        found = values(store, group_id)
        if found is None:
            return ['<p class="hint">This race is no longer there.</p>', *[gr.skip()] * (len(FIELDS) + 1)]
        own = {
            name: gr.update(**{**usual, "value": found[name] or usual["value"]})
            for name, usual in fields_of(found["model"]).items()
        }
        filled = (own.get(name, found[name]) for name in FIELDS)
        return [measured(store, group_id), *filled, [found["model"]]]

    race.focus(lambda: offer(store), None, race, **QUIET)
    race.input(chosen, race, [costs, *(controls[name] for name in FIELDS), filled_for], **QUIET)


def offer(store: RunStore) -> dict[str, Any]:
    """Return the dropdown's update: the races that have finished by now."""
    offered = choices(store)
    return gr.update(choices=offered, info=_FILLS if offered else _NONE)


def choices(store: RunStore) -> list[tuple[str, str]]:
    """Return the latest races of which a run has finished: name, date and methods, and the group's id."""
    races: dict[str, list[RunRecord]] = {}
    for run in store.history(_LOOKED_THROUGH):
        if run.state == "finished":
            races.setdefault(run.group_id, []).append(run)
    return [(_title(runs), group_id) for group_id, runs in list(races.items())[:MAX_RACES]]


def values(store: RunStore, group_id: object) -> dict[str, Any] | None:
    """The values of the comparison's controls for this race, by field; None where there is no such race.

    A method that ran with several settings has those of its first run.
    """
    runs = [run for run in store.group(group_id) if run.state == "finished"]
    if not runs:
        return None
    shared = runs[0].settings
    recipe = catalog.RECIPES.get(shared.recipe)
    model = shared.model or (recipe.model if recipe else "")
    known_model = find_known_model(model)
    first = {run.method: run.settings.method for run in reversed(runs)}
    found: dict[str, Any] = {name: START.get(name) for name in FIELDS} | {
        "model": known_model.id if known_model else model,
        "targets": list(shared.target_modules or (recipe.targets if recipe else ())),
        "methods": [method for method in METHODS if method in first],
        "batch": shared.batch_size,
        "sequence": shared.max_length,
        "image_size": shared.image_size,
        "match": "",
    }
    for method in first.values():
        found |= flat_values(method, method.sizes())
    return found | {name: text(found[name]) for name in TYPED}


def measured(store: RunStore, group_id: object) -> str:
    """Return seconds and memory of the race's runs as HTML; empty where there is no such race."""
    runs = [run for run in store.group(group_id) if run.state == "finished"]
    if not runs:
        return ""
    device = runs[0].device or "an unknown device"
    items = "".join(_item(run, runs) for run in runs[:MAX_TIMED])
    rest = len(runs) - MAX_TIMED
    more = f"<li>and {rest} more runs</li>" if rest > 0 else ""
    return (
        f'<p class="hint" title="{_HINT}">Training and peak memory on {escape(device)}:</p>'
        f'<ul class="counts" role="list">{items}{more}</ul>'
    )


def _item(run: RunRecord, race: list[RunRecord]) -> str:
    seconds = amount("seconds", run.seconds) if run.seconds else "no time"
    peak = run.result.get("peak_memory_bytes")
    memory = f", {amount('bytes', peak)}" if peak else ""
    return (
        f'<li><span class="dot {run.method}"></span>{escape(label_in(run, race))} '
        f"<b>{seconds}{memory}</b></li>"
    )


def _title(runs: list[RunRecord]) -> str:
    """Return a race's name, date and methods; its runs come the latest first."""
    began = datetime.fromtimestamp(runs[-1].created)
    methods = list(dict.fromkeys(reversed(labels([run.settings.method for run in runs]))))
    who = ", ".join(methods) if len(methods) <= 4 else f"{len(runs)} runs"
    return f"{runs[-1].name} · {began.day} {began:%b %H:%M} · {who}"
