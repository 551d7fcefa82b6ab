"""The page "Settings that matter": the form that starts a sweep, and what shows one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial, reduce
from html import escape
from operator import add
from typing import Any

import gradio as gr

from cdvft_app import catalog
from cdvft_app.catalog import Plan
from cdvft_app.catalog.sources import out_of_reach
from cdvft_app.data import library
from cdvft_app.data.inspect import nearest_recipe
from cdvft_app.errors import UserError
from cdvft_app.figures import palette
from cdvft_app.format import duration
from cdvft_app.methods import METHODS, InvalidChoice
from cdvft_app.methods.flat import FLAT
from cdvft_app.payloads.compare import SweepAnswer, SweepViewRequest
from cdvft_app.payloads.shared import Done, GroupRequest, GroupView
from cdvft_app.settings import RaceRequest, form_fields, typed_number
from cdvft_app.store.records import RunRecord
from cdvft_app.store.states import SETTLED, UNFINISHED
from cdvft_app.sweep import SweepRequest, numbers, parse_sweep, recorded, results
from cdvft_app.ui.shared.actions import (
    act_on_group,
    forecasts_of,
    require_available,
    resume_one,
    runs_of_group,
)
from cdvft_app.ui.shared.component import component
from cdvft_app.ui.shared.controls import html, method_chips, show_used, text_field
from cdvft_app.ui.shared.form import METHOD_SETTINGS, SIZES, stands_for, with_titles
from cdvft_app.ui.shared.listeners import LATEST, OF_THE_ADDRESS, QUIET
from cdvft_app.ui.shared.problem import problem
from cdvft_app.ui.shared.state import AppState, token_of, visitor_token
from cdvft_app.ui.shared.viewing import visitor

THE_RECIPES = "The recipe's"
LISTS = (*SIZES, "learning_rates", "seeds")
BUDGET = ("train_examples", "epochs", "evaluation_examples")
FIELDS = ("recipe", "methods", *LISTS, *BUDGET)
START: dict[str, Any] = {
    "recipe": "sentiment",
    "methods": ["cdvft"],
    "m": "2, 3, 4",
    "learning_rates": "0.3, 1, 3",
    "seeds": "0, 1, 2",
    "train_examples": "512",
    "epochs": "2",
    "evaluation_examples": "533",
}


def _hint(name: str) -> str:
    one, title = METHOD_SETTINGS[name], METHODS[FLAT[name][0]].title
    return f"{title}. Values with commas. Empty: {one.empty if one.default is None else one.default}."


_OF_RACE = form_fields(RaceRequest)
# Label and hint of each control; names are those of SweepRequest and RaceRequest.
WORDS: dict[str, tuple[str, str | None]] = {
    "recipe": ("Recipe", "Model and data that all runs share."),
    "data": ("Data", "The recipe's, or your own, read as in your latest race on it."),
    "methods": ("Methods", "Each is crossed with what it uses."),
    **{name: (METHOD_SETTINGS[name].label, _hint(name)) for name in SIZES},
    **{name: (one.title, one.hint) for name, one in form_fields(SweepRequest).items()},
    **{name: (_OF_RACE[name].title, "Empty: the recipe's.") for name in BUDGET},
}
LABELS = {name: label for name, (label, _) in WORDS.items()}
LABELS |= {f"base.{name}": LABELS[name] for name in ("recipe", "methods", *BUDGET)}
LABELS |= {"learning_rate": "Learning rate", "seed": LABELS["seeds"]}  # of one run


def sweep_request(values: Mapping[str, Any]) -> SweepRequest:
    """Return the `SweepRequest` of the controls' values, or `InvalidChoice`.

    Empty fields mean the recipe's; "data" is one's own, as a run needs it.
    """
    methods = values.get("methods") or []
    if not methods:
        raise InvalidChoice("Choose at least one method to vary.")
    base = {name: typed_number(values[name]) for name in BUDGET if values.get(name) not in (None, "")}
    base |= {"data": values["data"]} if values.get("data") else {}
    base |= {"recipe": values.get("recipe"), "methods": [name for name in METHODS if name in methods]}
    used = [name for name in LISTS if name not in FLAT or FLAT[name][0] in methods]
    lists = {name: numbers(given) for name in used if isinstance(given := values.get(name), str)}
    return parse_sweep({"base": base, **lists})


def section(app: AppState) -> None:
    """Lay the page out and connect it."""
    token = visitor_token(app)
    controls: dict[str, Any] = {}
    fold = gr.Accordion("Run your own sweep", open=False, elem_classes=["fold"], elem_id="sweep-form")
    with fold, gr.Column(elem_classes=["choose", "sweep-form"]):
        own = _controls(controls)
        start_text = f'<p class="promise">{_count(sweep_request(START).count())}</p>'
        promise = html(start_text, elem_id="sweep-promise")
        start = gr.Button("Start the sweep", variant="primary", elem_id="sweep-start")
    view = sweep_view(app, elem_id="sweep")
    fields = [controls[name] for name in FIELDS]

    def values_of(own_token: str, data_id: object, inputs: Sequence[Any]) -> dict[str, Any]:
        values = dict(zip(FIELDS, inputs, strict=True))
        if data_id:
            values["data"] = library.last_learned(app.store, data_id, own_token).model_dump(mode="json")
        return values

    def update_promise(own_token: str, data_id: object, *inputs: Any) -> tuple[Any, Any]:
        try:
            promised = promise_of(app, values_of(token_of(own_token), data_id, inputs))
            return promised, gr.Button(interactive=True)
        except UserError as error:
            return problem(with_titles(str(error), LABELS)), gr.Button(interactive=False)

    gr.on(
        [fold.expand, own.change, *(field.change for field in fields)],
        update_promise,
        [token, own, *fields],
        [promise, start],
        **LATEST,
    )

    show_used(controls["methods"], {name: controls[name] for name in SIZES})

    # One's own data as it is now, and the recipe that goes with it.
    def offer_data(own_token: str) -> Any:
        mine = [(one.name, one.id) for one in library.owned(app.store, token_of(own_token))]
        return gr.update(choices=[(THE_RECIPES, ""), *mine], visible=bool(mine))

    fold.expand(offer_data, token, own, **QUIET)

    def fitting_recipe(data_id: object, own_token: str) -> Any:
        if not data_id:
            return gr.skip()
        try:
            data = library.last_learned(app.store, data_id, token_of(own_token))
        except UserError:
            return gr.skip()  # `update_promise` says why
        return nearest_recipe(data.kind).key

    own.input(fitting_recipe, [own, token], controls["recipe"], **QUIET)

    def submit(own_token: str, data_id: object, *inputs: Any) -> tuple[Any, Any, str]:
        own_token = token_of(own_token)
        try:
            group = start_sweep(app, values_of(own_token, data_id, inputs), own_token)
        except UserError as error:
            return gr.skip(), problem(with_titles(str(error), LABELS)), own_token
        return GroupView(group=group, token=own_token), gr.skip(), own_token

    start.click(
        submit,
        [token, own, *fields],
        [view, promise, token],
        concurrency_limit=8,
        **(QUIET | {"queue": True}),
    )
    token.change(None, token, view, js=OF_THE_ADDRESS, **QUIET)


def start_sweep(app: AppState, values: Mapping[str, Any], token: str) -> str:
    """Queue what the controls ask for as one group; returns its id.

    Raises:
        InvalidChoice, QueueFull, StoreError: with a sentence.
    """
    plans = _plans(app, values)
    require_available(app, plans[0], token)
    forecasts, title = forecasts_of(app, plans), f"Sweep: {plans[0].title}"
    chosen = [plan.settings for plan in plans]
    ids = app.queue.submit(chosen, token, title, sweep=True, forecasts=forecasts, visitor=visitor())
    first = app.store.get(ids[0])
    assert first is not None
    return first.group_id


def _plans(app: AppState, values: Mapping[str, Any]) -> list[Plan]:
    """Return a plan of every run that the controls ask for, or raise `InvalidChoice`."""
    runs = sweep_request(values).runs()
    most = app.queue.max_sweep_runs
    if len(runs) > most:
        raise InvalidChoice(
            f"These lists make {len(runs):,} runs; a sweep may have at most {most}. Vary less."
        )
    return [catalog.resolve(settings) for settings in runs]


def promise_of(app: AppState, values: Mapping[str, Any]) -> str:
    """Return the number of runs and their seconds in all, as HTML; `InvalidChoice` if the hub is missing."""
    plans = _plans(app, values)
    durations = [prediction and prediction.whole_seconds for prediction in app.predict(plans)]
    away = out_of_reach([plans[0].model, plans[0].dataset])
    if away:
        raise InvalidChoice(away)
    known = [one for one in durations if one]
    if len(known) < len(plans):
        time, hint = (
            "how long they take is not known before a first run has ended or a step was measured here",
            "",
        )
    else:
        whole = reduce(add, known)
        time = f"about {duration(whole.value)}, between {duration(whole.low)} and {duration(whole.high)}"
        hint = f"The sum over all runs. {whole.how} Races that are started meanwhile go first."
    return f'<p class="promise" title="{escape(hint)}">{_count(len(plans))}: {time}</p>'


def _count(runs: int) -> str:
    return "<b>1 run</b>" if runs == 1 else f"<b>{runs} runs</b>, one after the other"


def _controls(controls: dict[str, Any]) -> gr.Dropdown:
    """Lay them out, by name in `controls`; returns the list of one's own data."""
    label, hint = WORDS["recipe"]
    recipes = [(recipe.title, recipe.key) for recipe in catalog.RECIPES.values()]
    controls["recipe"] = gr.Dropdown(
        recipes, value=START["recipe"], label=label, info=hint, elem_id="sweep-recipe"
    )
    label, hint = WORDS["data"]
    own = gr.Dropdown(
        [(THE_RECIPES, "")], value="", label=label, info=hint, visible=False, elem_id="sweep-data"
    )
    controls["methods"] = method_chips(START["methods"], *WORDS["methods"], "sweep-methods")
    for name in FIELDS[2:]:
        controls[name] = text_field(
            *WORDS[name],
            value=START.get(name, ""),
            placeholder=stands_for(name) if name in SIZES else None,
            elem_id=f"sweep-{name}",
            elem_classes=["setting"],
            visible=name not in SIZES or FLAT[name][0] in START["methods"],
            max_length=100,
        )
    return own


def sweep(app: AppState, request: SweepViewRequest) -> SweepAnswer:
    """Return a sweep's progress, and its results unless the page has them; or a recorded one's results."""
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
    return act_on_group(
        app, request, lambda runs: [run for run in reversed(runs) if run.state in UNFINISHED], app.queue.stop
    )


def go_on(app: AppState, request: GroupRequest) -> Done:
    """Queue all runs again that ended early, if the token owns the sweep."""

    def ended_early(runs: Sequence[RunRecord]) -> list[RunRecord]:
        return [run for run in runs if run.is_resumable and run.state not in SETTLED]

    return act_on_group(app, request, ended_early, partial(resume_one, app))


def sweep_view(app: AppState, **arguments: Any) -> gr.HTML:
    """Return the section of the page that shows one sweep."""
    return component(
        "compare/sweep/view.js",
        GroupView(group=None, token=""),
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
