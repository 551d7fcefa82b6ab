"""The Train tab: choose on the left, watch on the right."""

from __future__ import annotations

import time
from contextlib import suppress
from functools import partial
from html import escape
from typing import Any

import gradio as gr

from cdvft_app import catalog
from cdvft_app.catalog.entries import Recipe
from cdvft_app.catalog.sources import out_of_reach
from cdvft_app.catalog.uploaded import starting_values
from cdvft_app.data.library import is_own
from cdvft_app.settings import InvalidChoice, UploadedDataset
from cdvft_app.ui.shared import actions, form, form_address, texts
from cdvft_app.ui.shared.fold import settings_fold
from cdvft_app.ui.shared.newest import Newest
from cdvft_app.ui.shared.problem import problem
from cdvft_app.ui.shared.state import AppState, OnVisit
from cdvft_app.ui.shared.visitor import token_of, visitor_token
from cdvft_app.ui.train import job, job_again, model_choice, search, slice_events, uploaded_choice
from cdvft_app.ui.train.controls import QUIET, USED_BY, Controls, choices, in_use, placeholder, targets
from cdvft_app.ui.train.first_shown import before_any_answer, first_shown
from cdvft_app.ui.train.forecast import ForecastHtml, forecast_html
from cdvft_app.ui.train.history import history_view
from cdvft_app.ui.train.history_file import history_file
from cdvft_app.ui.train.run_view import MAX_RUNS, run_view, shown
from cdvft_app.ui.train.uploaded_list import offer

TITLE = "Train"


def build(app: AppState) -> OnVisit:
    """Lay the tab out and connect it."""
    controls = Controls()
    token = visitor_token(app)
    with gr.Row(elem_classes=["train"]):
        with gr.Column(elem_classes=["choose"], elem_id="choose"):
            settings_fold("choose", on="race-started")  # once a run is on
            gr.HTML("<h2>What</h2>", apply_default_css=False)
            controls.what()
            own = uploaded_choice.uploaded_choice(app, token)
            gr.HTML("<h2>How</h2>", apply_default_css=False)
            controls.how()
            at_first = _counted_at_first()
            blocks = gr.HTML(
                at_first.blocks, elem_classes=["blocks"], elem_id="blocks", apply_default_css=False
            )
            controls.layers()
            controls.folded()
            with gr.Accordion("The method in one line", open=False, elem_classes=["fold"]):
                gr.Markdown(texts.METHOD, latex_delimiters=[{"left": "$", "right": "$", "display": False}])
            searched = search.search_form()
            as_job = job.job_form()
            with gr.Column(elem_classes=["go"]):
                counts = gr.HTML(at_first.counts, elem_id="counts", apply_default_css=False)
                with gr.Row(elem_classes=["go-buttons"]):
                    start = gr.Button("Start", variant="primary", interactive=False, elem_id="start")
                    stop = gr.Button("Stop", interactive=False, elem_id="stop")
                    resume = gr.Button("Resume", interactive=False, elem_id="resume")
                reason = gr.HTML(elem_id="reason", apply_default_css=False)
        with gr.Column(elem_classes=["watch"]):
            view = run_view(app.store, before_any_answer(app.store), slices=app.queue.slices, elem_id="run")
            found = search.search_view(app, elem_id="search")
            history = history_view(app.store, elem_id="history")
            history_file(app, token)

    kept = gr.BrowserState({}, storage_key="cdvft-form", secret=app.secret)
    fields = [controls.fields[name] for name in form.FIELDS]

    # Recipe and model that model, data and layers were last filled for. The browser holds it, so that every
    # call brings it together with the fields: until a choice is answered, it differs from what is chosen.
    start_recipe = catalog.get_recipe(form.START["recipe"])
    filled_for = gr.JSON([start_recipe.key, start_recipe.model], visible=False)

    def form_values(given: tuple[Any, ...]) -> dict[str, Any]:
        *typed, filled_for_now = given
        chosen = dict(zip(form.FIELDS, typed, strict=True))
        # These components hand on whatever came, which must be refused in words that can be sent.
        chosen["recipe"] = str(chosen["recipe"])
        chosen["data"] = uploaded_choice.as_chosen(chosen["data"])
        return form.applied(chosen, filled_for_now)

    # While one types: counts, blocks, whether Start can be pressed. What fills fields by itself asks once it
    # has filled all, in place of once for each of them. (A Textbox tells of `input` only by a key's press.)
    def recount(*given: Any) -> tuple[Any, ...]:
        chosen = form_values(given)
        try:
            plans = [catalog.resolve(settings) for settings in form.race(chosen).runs()]
            estimate = forecast_html(plans, app.predict(plans))
        except InvalidChoice as error:
            return problem(form.with_titles(str(error))), "", gr.Button(interactive=False), chosen
        away = out_of_reach([plans[0].model, plans[0].dataset])
        if away:
            return problem(away), estimate.blocks, gr.Button(interactive=False), chosen
        return estimate.counts, estimate.blocks, gr.Button(interactive=True), chosen

    form_inputs = [*fields, filled_for]
    counting = Newest(recount, form_inputs, [counts, blocks, start, kept])

    def recount_after(event: Any) -> None:
        counting.listen(event.then, **QUIET)

    by_hand = [
        field.change if isinstance(field, gr.Textbox) else field.input
        for name, field in controls.fields.items()
        if name != "data"
    ]
    counting.listen(partial(gr.on, by_hand), **QUIET)
    counting.listen(controls.fields["recipe"].hub_changed, **QUIET)
    counting.listen(view.run_ended, **QUIET)

    # A recipe brings its own model, data and layers, and what empty fields stand for.
    varying = [name for name in form.FIELDS if name in (*form.OF_RECIPE, *form.RATES)]

    def recipe_updates(key: object, m: Any, data: UploadedDataset | None = None) -> list[Any]:
        recipe = _recipe(key)
        if recipe is None:
            return [gr.skip()] * len(recipe_outputs)
        mine = {name: f"{value:g}" for name, value in (starting_values(data, recipe) if data else {}).items()}
        return [
            gr.update(**choices("model", recipe)),
            gr.update(**choices("dataset", recipe) | ({"value": None} if data else {})),
            gr.update(**targets(recipe.model, recipe)),
            *(gr.update(placeholder=mine.get(name) or placeholder(name, recipe, m)) for name in varying),
            [recipe.key, recipe.model],
        ]

    field = controls.fields
    recipe_outputs = [
        field["model"],
        field["dataset"],
        field["target_modules"],
        *(field[name] for name in varying),
        filled_for,
    ]

    uploaded_choice.connect(
        app,
        own,
        field,
        token,
        recipe_updates=recipe_updates,
        recipe_outputs=recipe_outputs,
        recount_after=recount_after,
    )

    def rate_hint(key: object, m: Any) -> Any:
        recipe = _recipe(key)
        return gr.update(placeholder=placeholder(rate, recipe, m)) if recipe else gr.skip()

    rate = f"{form.RATE}cdvft"
    field["m"].input(rate_hint, [field["recipe"], field["m"]], field[rate], **QUIET)

    model_choice.connect(
        field,
        controls.others,
        controls.model_info,
        filled_for,
        controls.finder,
        recount_after=recount_after,
    )

    def used_fields(methods: list[str], key: object) -> list[Any]:
        recipe = _recipe(key)
        if recipe is None:
            return [gr.skip()] * len(USED_BY)
        return [gr.update(visible=in_use(name, methods, recipe.kind)) for name in USED_BY]

    gr.on(
        [field["methods"].change, field["recipe"].change],
        used_fields,
        [field["methods"], field["recipe"]],
        [field[name] for name in USED_BY],
        **QUIET,
    )

    # The buttons. Every one of them asks the store again; what the page believes decides nothing.
    def run_ids_of(shown_value: Any) -> list[str]:
        runs = shown_value.get("runs") if isinstance(shown_value, dict) else None
        return [run for run in runs if isinstance(run, str)][:MAX_RUNS] if isinstance(runs, list) else []

    def button_states(shown_value: Any, mine: str) -> tuple[Any, ...]:
        able = actions.buttons(app.store, run_ids_of(shown_value), mine)
        return gr.Button(interactive=able.stop), gr.Button(interactive=able.resume), _reason(able.reason)

    view.run_state(button_states, [view, token], [stop, resume, reason], **QUIET)

    def started(mine: str, *given: Any) -> tuple[Any, ...]:
        mine = token_of(mine)
        ids, refused = actions.start(app, form_values(given), mine)
        if refused:
            return gr.skip(), _reason(refused, "problem"), mine
        return shown(ids, "new", mine, time.time_ns()), "", mine

    clicked: dict[str, Any] = {**QUIET, "queue": True, "concurrency_limit": 8, "trigger_mode": "once"}
    start.click(started, [token, *form_inputs], [view, reason, token], **clicked)

    job.connect(
        app,
        as_job,
        inputs=form_inputs,
        values_of=form_values,
        counted=[field["methods"].input],
        token=token,
        sent=lambda mine, ids: {view: shown(ids, "new", mine, time.time_ns()), reason: "", token: mine},
        outputs=[view, reason, token],
    )
    search.connect(
        app,
        searched,
        found,
        inputs=form_inputs,
        values_of=form_values,
        methods=field["methods"],
        token=token,
    )
    job_again.connect(
        app,
        as_job,
        view=view,
        run_ids_of=run_ids_of,
        token=token,
        followed=lambda mine, ids: {view: shown(ids, "chosen", mine, time.time_ns()), reason: ""},
        outputs=[view, reason],
    )

    def handler(act: Any, in_view: bool = False) -> Any:
        def handle(shown_value: Any, mine: str) -> tuple[Any, ...]:
            ids = run_ids_of(shown_value)
            refused = act(app, ids, mine)
            again = shown(ids, "chosen", mine, time.time_ns())
            if refused and in_view:
                again["refused"] = refused
                return again, *button_states(again, mine)
            if refused:
                return again, gr.skip(), gr.skip(), _reason(refused, "problem")
            return again, *button_states(again, mine)

        return handle

    for button, act in ((stop, actions.stop), (resume, actions.resume)):
        button.click(handler(act), [view, token], [view, stop, resume, reason], **clicked)
    slice_events.connect(app, view, token, run_ids_of)
    view.stop_runs(
        handler(actions.stop, in_view=True), [view, token], [view, stop, resume, reason], **clicked
    )

    # Settings out of what the browser kept, or out of a race that is shown; and the model they are for.
    def fill(values: dict[str, Any]) -> list[Any]:
        recipe = catalog.get_recipe(values["recipe"])
        data = uploaded_choice.readable(values["data"])
        *updates, _ = recipe_updates(recipe.key, values["m"], data)
        updates_of = dict(zip(("model", "dataset", "target_modules", *varying), updates, strict=True))
        model = values["model"] or recipe.model
        with suppress(InvalidChoice):  # `recount` says what is wrong with it
            updates_of["target_modules"] = gr.update(**targets(model, recipe))
        return [
            *(_set(updates_of.get(name), values[name]) for name in form.FIELDS),
            [recipe.key, model],
            *uploaded_choice.choice_updates(values["data"]),
        ]

    def use_settings(shown_value: Any, mine: str) -> list[Any]:
        first = next(filter(None, map(app.store.get, run_ids_of(shown_value))), None)
        if first is None:
            return [gr.skip()] * (len(fields) + 3)
        settings_of_race = form.from_runs(run.settings for run in app.store.group(first.group_id))
        if not is_own(app.store, first.settings.data, token_of(mine)):
            settings_of_race["data"] = None
        return fill(form.remembered(settings_of_race))

    def race_best(shown_search: Any, mine: str) -> list[Any]:
        values = search.best_of(app, shown_search, token_of(mine))
        return [gr.skip()] * (len(fields) + 3) if values is None else fill(values)

    into_form = [*form_inputs, *own.parts]
    recount_after(found.race_best(race_best, [found, token], into_form, **QUIET))
    recount_after(view.use_settings(use_settings, [view, token], [*form_inputs, *own.parts], **QUIET))

    # A visit: who it is, what the form holds by the address or held before, which runs the address names.
    def visited(mine: str, kept_form: Any, request: gr.Request) -> list[Any]:
        mine = token_of(mine)
        asked = form_address.values(request.query_params)
        first = first_shown(app, request.query_params.get("run", ""), mine)
        mine_now = gr.update(**offer(app, mine))
        held = form.remembered(kept_form if asked is None else asked)
        return [*fill(held), mine_now, first, {"token": mine}, mine]

    # The fields come first: once the view knows the visitor, what is typed must not be overwritten.
    outputs = [*form_inputs, *own.parts, own.panel.mine, view, history, token]

    def filled(event: Any) -> None:
        recount_after(event)
        event.then(None, None, None, js=form_address.FORGET)

    return OnVisit(visited, [token, kept], outputs, filled)


def _counted_at_first() -> ForecastHtml:
    """Of the form as the page comes; without times, which need this machine's runs, and torch."""
    plans = [catalog.resolve(settings) for settings in form.race({**form.START}).runs()]
    return forecast_html(plans, [None] * len(plans))


def _recipe(key: object) -> Recipe | None:
    """The recipe of that key; None for anything else, of which `recount` says what is wrong with it."""
    return catalog.recipes().get(key) if isinstance(key, str) else None


def _set(update: dict[str, Any] | None, value: Any) -> Any:
    """A control's update with a remembered value, where there is one."""
    if update is None:
        return value
    return gr.update(**{**update, "value": value}) if value else update


def _reason(text: str, kind: str = "quiet") -> str:
    return f'<p class="{kind}" role="status">{escape(text)}</p>'
