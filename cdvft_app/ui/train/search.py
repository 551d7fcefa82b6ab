"""Find the settings: the form that starts a search around the chosen race, and the search that runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from html import escape
from typing import Any

import gradio as gr

from cdvft_app import catalog
from cdvft_app.catalog.hub import pin_dataset_commit
from cdvft_app.data.library import is_own
from cdvft_app.errors import UserError
from cdvft_app.figures import palette
from cdvft_app.figures.search import figures
from cdvft_app.format import counted, duration
from cdvft_app.methods.flat import FLAT
from cdvft_app.payloads.shared import Done, GroupRequest, GroupView
from cdvft_app.payloads.train import SearchAnswer, SearchShown, SearchViewRequest
from cdvft_app.prediction import Prediction
from cdvft_app.search import SearchRequest, parse_search, results, study
from cdvft_app.settings import InvalidChoice, RaceRequest, typed_number
from cdvft_app.store.records import RunRecord
from cdvft_app.store.states import UNFINISHED
from cdvft_app.sweep import numbers
from cdvft_app.ui.shared import form, form_address
from cdvft_app.ui.shared.actions import (
    act_on_group,
    forecasts_of,
    plans_of_runs,
    resume_one,
    runs_of_group,
)
from cdvft_app.ui.shared.component import component
from cdvft_app.ui.shared.controls import html, show_used, text_field
from cdvft_app.ui.shared.listeners import LATEST, OF_THE_ADDRESS, QUIET
from cdvft_app.ui.shared.problem import problem
from cdvft_app.ui.shared.state import AppState, token_of
from cdvft_app.ui.shared.viewing import visitor

TITLE_OF_FOLD = "Find the settings"
ABOUT = (
    "Searches the learning rate of each method of the race, and what else is given here, on training rows "
    "that are held out for it. Rows for evaluation are not looked at. Each method has the same budget."
)
WORDS: dict[str, tuple[str, str]] = {
    "trials": (
        "Trials per method",
        "The first 4 are random. Each later one uses the results so far.",
    ),
    **{name: (form.LABELS[name], "Values to try, with commas. Empty: as above.") for name in form.SIZES},
}
LABELS = form.LABELS | {name: label for name, (label, _) in WORDS.items()}
LABELS |= {"learning_rate": "Learning rate"}  # of one trial


@dataclass(frozen=True)
class SearchForm:
    """The fold, and in it everything that is connected by `connect`."""

    fold: gr.Accordion
    fields: Mapping[str, Any]
    promise: gr.HTML
    start: gr.Button


def search_form() -> SearchForm:
    """Lay it out, folded."""
    with gr.Accordion(TITLE_OF_FOLD, open=False, elem_classes=["fold"], elem_id="find-settings") as fold:
        html(f"<p class='hint'>{ABOUT}</p>")
        fields = {
            name: text_field(
                label,
                hint,
                value="12" if name == "trials" else "",
                elem_id=f"search-{name}",
                elem_classes=["setting"],
                visible=name not in form.SIZES or FLAT[name][0] in form.START["methods"],
            )
            for name, (label, hint) in WORDS.items()
        }
        promise = html(elem_id="search-promise")
        start = gr.Button("Start the search", elem_id="search-start")
    return SearchForm(fold, fields, promise, start)


def search_view(app: AppState, **arguments: Any) -> gr.HTML:
    """Return the part of the page that shows one search; nothing while there is none."""
    return component(
        "train/search.js",
        GroupView(group=None, token=""),
        events=("race_best",),
        slow_functions={
            "search": partial(search, app),
            "stop": partial(stop, app),
            "go_on": partial(go_on, app),
        },
        lines=palette.lines(),
        **arguments,
    )


def connect(
    app: AppState,
    asked: SearchForm,
    view: gr.HTML,
    *,
    inputs: Sequence[Any],
    values_of: Callable[[tuple[Any, ...]], dict[str, Any]],
    methods: Any,
    token: gr.BrowserState,
) -> None:
    """Let it answer; `inputs` are of the race's form, `values_of` its values of them."""
    names = list(asked.fields)
    fields = [asked.fields[name] for name in names]

    def request_of(given: tuple[Any, ...]) -> SearchRequest:
        in_fold = dict(zip(names, given[: len(names)], strict=True))
        return request(race_of(values_of(given[len(names) :])), in_fold)

    def promise(*given: Any) -> tuple[str, Any]:
        try:
            return _promise(app, request_of(given)), gr.Button(interactive=True)
        except UserError as error:
            return problem(_in_words(error)), gr.Button(interactive=False)

    everything = [*fields, *inputs]
    told = [asked.promise, asked.start]
    gr.on([asked.fold.expand, *(one.change for one in fields)], promise, everything, told, **LATEST)

    show_used(methods, {name: asked.fields[name] for name in form.SIZES})

    def begun(own_token: str, *given: Any) -> tuple[Any, Any, str]:
        own_token = token_of(own_token)
        try:
            group = start_search(app, request_of(given), own_token)
        except UserError as error:
            return gr.skip(), problem(_in_words(error)), own_token
        return GroupView(group=group, token=own_token), gr.skip(), own_token

    clicked: dict[str, Any] = {**LATEST, "queue": True, "concurrency_limit": 8, "trigger_mode": "once"}
    asked.start.click(begun, [token, *everything], [view, asked.promise, token], **clicked)
    token.change(None, token, view, js=OF_THE_ADDRESS, **QUIET)


def race_of(values: dict[str, Any]) -> RaceRequest:
    """Return the race of the form's values, or `InvalidChoice` in the form's words: the fold has fields of
    the same names."""
    try:
        return form.race(values)
    except InvalidChoice as error:
        raise InvalidChoice(form.with_titles(str(error))) from None


def request(race: RaceRequest, given: Mapping[str, Any]) -> SearchRequest:
    """Return the search around a race with what is `given` in the fold, or `InvalidChoice`.

    Sizes of methods that do not race are left out.
    """
    values: dict[str, Any] = {"base": race.model_dump(mode="json")}
    racing = {method.key for method in race.methods}
    for name, value in given.items():
        text = str(value or "").strip()
        if not text or (name in form.SIZES and FLAT[name][0] not in racing):
            continue
        values[name] = typed_number(text) if name == "trials" else numbers(text)
    return parse_search(values)


def start_search(app: AppState, asked: SearchRequest, token: str) -> str:
    """Begin it; returns the id of its group.

    Raises:
        InvalidChoice, QueueFull, StoreError: with a sentence.
    """
    asked = asked.model_copy(update={"base": pin_dataset_commit(asked.base)})
    plans = plans_of_runs(app, asked.base, asked.middle(), token)
    _require_values(asked)
    return app.queue.submit_search(
        asked,
        token,
        f"Search: {plans[0].title}",
        forecasts=forecasts_of(app, plans),
        visitor=visitor(),
    )


def _require_values(asked: SearchRequest) -> None:
    """`InvalidChoice` where a value that is searched cannot be."""
    for settings in asked.every_value():
        catalog.resolve(settings)


def _promise(app: AppState, asked: SearchRequest) -> str:
    """Return how many trials there are, and the most seconds that all take, as HTML."""
    _require_values(asked)
    plans = [catalog.resolve(settings) for settings in asked.middle()]
    predictions: list[Prediction | None] = app.predict(plans)
    budgets = asked.budgets()
    trials = f"<b>{escape(counted(sum(budgets), 'trial'))}</b>, one after the other"
    known = [made.whole_seconds for made in predictions if made and made.whole_seconds]
    if len(known) < len(plans):
        return f'<p class="promise">{trials}</p>'
    seconds = sum(most * of.value for most, of in zip(budgets, known, strict=True))
    return f'<p class="promise">{trials}: at most about {duration(seconds)}</p>'


def _in_words(error: Exception) -> str:
    return form.with_titles(str(error).replace("base.", ""), LABELS)


# What the view asks


def search(app: AppState, request: SearchViewRequest) -> SearchAnswer:
    """Return a search as it is now, unless the page has it so."""
    runs = runs_of_group(app, request["group"])
    if not runs or study.path(app.store, runs[0].group_id) is None:
        return {"missing": True}
    steps = ",".join(f"{run.position}{run.state}{_evaluations(run)}" for run in runs)
    answer: SearchAnswer = {"mine": app.store.owner(runs[0].id, request.get("token")), "known": steps}
    if request.get("known") == steps:
        return answer
    found = study.load(app.store, runs[0].group_id)
    return {"missing": True} if found is None else {**answer, "shown": _shown(app, found, runs)}


def _evaluations(run: RunRecord) -> str:
    """Changes as a run's evaluations come in, and not with every step."""
    return f"{run.step * 5 // run.total_steps}" if run.total_steps else ""


def _shown(app: AppState, found: study.Search, runs: Sequence[RunRecord]) -> SearchShown:
    methods = results.methods(app.store, found)
    for method, one in zip(methods, found.studies, strict=True):
        method["figures"] = [{"title": title, "figure": figure} for title, figure in figures(one)]
    best = study.best_runs(app.store, found)
    running = any(run.state in UNFINISHED for run in runs)
    waits = not running and bool(study.cut_off(found, runs))
    return {
        "title": found.title,
        "methods": methods,
        "running": running,
        "waits": waits,
        "race": form_address.query(best) if len(best) == len(methods) else None,
    }


def stop(app: AppState, request: GroupRequest) -> Done:
    """Stop the trial that trains, if the token owns the search, which then waits."""
    return act_on_group(
        app, request, lambda runs: [run for run in runs if run.state in UNFINISHED], app.queue.stop
    )


def go_on(app: AppState, request: GroupRequest) -> Done:
    """Resume the trial that was stopped or cut off; the search then goes on."""

    def cut_off(runs: Sequence[RunRecord]) -> list[RunRecord]:
        found = study.load(app.store, runs[0].group_id)
        return study.cut_off(found, runs) if found else []

    return act_on_group(app, request, cut_off, partial(resume_one, app))


def best_of(app: AppState, view: object, token: str) -> dict[str, Any] | None:
    """Return the form's values for a race of each method's best; None where there is none yet."""
    group_id = view.get("group") if isinstance(view, dict) else None
    runs = runs_of_group(app, group_id)
    found = study.load(app.store, runs[0].group_id) if runs else None
    best = study.best_runs(app.store, found) if found else []
    if not best:
        return None
    values = form.from_runs(best)
    if not is_own(app.store, best[0].data, token):
        values["data"] = None
    return form.remembered(values)
