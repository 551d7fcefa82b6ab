"""The Train tab: choose on the left, watch on the right."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from html import escape
from typing import Any

import gradio as gr

from cdvft_app import catalog
from cdvft_app.catalog import Plan
from cdvft_app.catalog.entries import Recipe
from cdvft_app.catalog.sources import out_of_reach
from cdvft_app.catalog.uploaded import starting_values
from cdvft_app.data.library import is_own
from cdvft_app.format import joined
from cdvft_app.methods import METHODS
from cdvft_app.settings import InvalidChoice, UploadedDataset
from cdvft_app.ui.shared import actions, form, form_address
from cdvft_app.ui.shared.controls import LATEX, html, settings_fold
from cdvft_app.ui.shared.listeners import LATEST, QUIET, DropStaleAnswers
from cdvft_app.ui.shared.problem import problem, status
from cdvft_app.ui.shared.state import AppState, OnVisit, token_of, visitor_token
from cdvft_app.ui.train import model_choice, search
from cdvft_app.ui.train.controls import USED_BY, Controls, choices, in_use, placeholder
from cdvft_app.ui.train.first_shown import before_any_answer, first_shown
from cdvft_app.ui.train.forecast import ForecastHtml, forecast_html
from cdvft_app.ui.train.history import history_view
from cdvft_app.ui.train.history_file import history_file
from cdvft_app.ui.train.model_choice import targets
from cdvft_app.ui.train.recipes import recipe_key
from cdvft_app.ui.train.run_view import MAX_RUNS, connect_slices, run_view, shown
from cdvft_app.ui.train.uploaded_panel import FORMATS, UploadedPanel, as_chosen, readable

TITLE = "Train"
CHANGED = "What is trained on has changed: Start says it now. Press it again if that is well."
# The form cannot be used while the server fills it; where the server refuses that, the view says so.
FILLING = """(...given) => {
  import("cdvft/train/form_filling.js").then(({ formAsked }) => formAsked());
  return given;
}"""
FILLED = "() => import('cdvft/train/form_filling.js').then(({{ formAnswered }}) => formAnswered({names}))"
NOT_FILLED = """(view) => ({
  ...view, refused: "The server could not fill in the form: it may be busy. Reload the page to try it again."
})"""
# The browser keeps the form before the server answers: what its fields hold, and what they were filled for.
FILLED_FOR = "filled for"
KEPT = (*form.FIELDS, FILLED_FOR)
KEEP = f"""(...given) => given.at(-1) === null ? undefined
  : Object.fromEntries({json.dumps(KEPT)}.map((name, place) => [name, given[place]]))"""
METHOD = r"""$\Delta W = \mathrm{diag}(a_3)\,\mathrm{circ}(c_2)\,\mathrm{diag}(a_1)$ for $m = 2$, and
$h = Wx + \alpha\,\Delta W x$. The product with $\mathrm{circ}(c)$ is an FFT,
so $\Delta W$ need not be built."""
WRITES = "writes its answers, and has no classifier head."


def build(app: AppState) -> OnVisit:
    """Lay the tab out and connect it."""
    controls = Controls()
    token = visitor_token(app)
    own = UploadedPanel(app, token)
    with gr.Column(elem_classes=["train"], elem_id="train"):
        with gr.Row(elem_classes=["begin"]):
            with gr.Column(elem_classes=["give"]):
                html(f"<h2>Drop your file</h2><p class='quiet'>{FORMATS}</p>")
                own.give()
            with gr.Column(elem_classes=["examples"]):
                html("<h2>Try an example</h2>")
                controls.recipes()
        own.look_and_say()
        with gr.Column(elem_classes=["choose"], elem_id="choose"):
            settings_fold("choose", on="race-started")  # once a run is on
            controls.how()
            controls.prompt()
            with gr.Accordion("Method settings", open=False, elem_classes=["fold"]):
                controls.of_methods()
            at_first = _counted_at_first()
            controls.folded()
            controls.others_fold()
            with gr.Accordion("The method", open=False, elem_classes=["fold"]):
                gr.Markdown(METHOD, latex_delimiters=LATEX)
                blocks = html(at_first.blocks, elem_classes=["blocks"], elem_id="blocks")
            searched = search.search_form()
            with gr.Column(elem_classes=["go"]):
                counts = html(at_first.counts, elem_id="counts")
                with gr.Row(elem_classes=["go-buttons"]):
                    start = gr.Button("Start", variant="primary", interactive=False, elem_id="start")
                    stop = gr.Button("Stop", visible=False, elem_id="stop")
                    resume = gr.Button("Resume", visible=False, elem_id="resume")
                reason = html(elem_id="reason")
        with gr.Column(elem_classes=["watch"]):
            view = run_view(app.store, before_any_answer(app.store), slices=app.queue.slices, elem_id="run")
            found = search.search_view(app, elem_id="search")
            history = history_view(app.store, elem_id="history")
            history_file(app, token, history)

    kept = gr.BrowserState({}, storage_key="cdvft-form", secret=app.secret)
    fields = [controls.fields[name] for name in form.FIELDS]

    # Recipe and model that model, data and layers were last filled for. The browser holds it, so that every
    # call brings it together with the fields: until a choice is answered, it differs from what is chosen.
    # It is empty until a visit has filled the form: what the page shows before that is nobody's choice.
    filled_for = gr.JSON(visible=False)

    def form_values(given: tuple[Any, ...]) -> dict[str, Any]:
        """The cards say whether it learns from data of one's own: what is trained on is what they show."""
        *typed, filled_for_now = given
        chosen = dict(zip(form.FIELDS, typed, strict=True))
        learned, data = chosen["recipe"], chosen["data"]
        # These components hand on whatever came, which must be refused in words that can be sent.
        chosen["recipe"] = str(recipe_key(learned))
        is_own = isinstance(learned, dict) and bool(learned.get("own"))
        return form.applied(chosen, filled_for_now) | {"data": as_chosen(data) if is_own else None}

    # While one types: counts, blocks, whether Start can be pressed. What fills fields by itself asks once it
    # has filled all, in place of once for each of them. (A Textbox tells of `input` only by a key's press.)
    def recount(*given: Any) -> tuple[Any, ...]:
        chosen = form_values(given)
        try:
            plans = [catalog.resolve(settings) for settings in form.race(chosen).runs()]
            estimate = forecast_html(plans, app.predict(plans))
        except InvalidChoice as error:
            return problem(form.with_titles(str(error))), "", gr.Button("Start", interactive=False)
        label, away = _start_label(plans[0]), out_of_reach([plans[0].model, plans[0].dataset])
        if away:
            return problem(away), estimate.blocks, gr.Button(label, interactive=False)
        said = estimate.counts + _left_out(chosen, plans[0])
        return said, estimate.blocks, gr.Button(label, interactive=True)

    form_inputs = [*fields, filled_for]
    counting = DropStaleAnswers(recount, form_inputs, [counts, blocks, start])

    def keep_and_recount(event: Any) -> None:
        event(None, form_inputs, kept, js=KEEP, **QUIET)
        counting.listen(event, **LATEST)

    def recount_after(event: Any) -> None:
        keep_and_recount(event.then)

    by_hand = [
        field.change if isinstance(field, gr.Textbox) else field.input
        for name, field in controls.fields.items()
        if name != "data"
    ]
    keep_and_recount(partial(gr.on, by_hand))
    counting.listen(controls.fields["recipe"].hub_changed, **LATEST)
    counting.listen(view.run_ended, **LATEST)

    # A recipe brings its own model, data and layers, and what empty fields stand for.
    varying = [name for name in form.FIELDS if name in (*form.OF_RECIPE, *form.RATES)]

    def recipe_updates(key: object, m: Any, data: UploadedDataset | None = None) -> list[Any]:
        recipe = _recipe(key)
        if recipe is None:
            return [gr.skip()] * len(recipe_outputs)
        mine = {name: f"{value:g}" for name, value in (starting_values(data, recipe) if data else {}).items()}
        return [
            gr.update(**choices("model", recipe) | {"value": recipe.model}),
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

    show_data = own.connect(
        field, recipe_updates=recipe_updates, recipe_outputs=recipe_outputs, recount_after=recount_after
    )

    def rate_hint(key: object, m: Any) -> Any:
        recipe = _recipe(key)
        return gr.update(placeholder=placeholder(rate, recipe, m)) if recipe else gr.skip()

    rate = f"{form.RATE}cdvft"
    field["m"].input(rate_hint, [field["recipe"], field["m"]], field[rate], **LATEST)

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
        **LATEST,
    )

    # The buttons. Every one of them asks the store again; what the page believes decides nothing.
    def run_ids_of(shown_value: Any) -> list[str]:
        runs = shown_value.get("runs") if isinstance(shown_value, dict) else None
        return [run for run in runs if isinstance(run, str)][:MAX_RUNS] if isinstance(runs, list) else []

    def button_states(shown_value: Any, mine: str) -> tuple[Any, ...]:
        able = actions.buttons(app.store, run_ids_of(shown_value), mine)
        return gr.Button(visible=able.stop), gr.Button(visible=able.resume), _reason(able.reason)

    view.run_state(button_states, [view, token], [stop, resume, reason], **LATEST)

    def started(mine: str, label: str, *given: Any) -> tuple[Any, ...]:
        """Trains on what the pressed button named, and on nothing else."""
        mine, values = token_of(mine), form_values(given)
        try:
            now = _start_label(catalog.resolve(form.race(values).runs()[0]))
        except InvalidChoice as error:
            return gr.skip(), _reason(form.with_titles(str(error)), "problem"), mine, gr.skip()
        if label != now:
            return gr.skip(), _reason(CHANGED, "problem"), mine, now
        ids, refused = actions.start(app, values, mine)
        if refused:
            return gr.skip(), _reason(refused, "problem"), mine, gr.skip()
        return shown(ids, "new", mine, time.time_ns()), "", mine, gr.skip()

    clicked: dict[str, Any] = {**LATEST, "queue": True, "concurrency_limit": 8, "trigger_mode": "once"}
    start.click(started, [token, start, *form_inputs], [view, reason, token, start], **clicked)

    search.connect(
        app,
        searched,
        found,
        inputs=form_inputs,
        values_of=form_values,
        methods=field["methods"],
        token=token,
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
    connect_slices(app, view, token, run_ids_of)
    view.stop_runs(
        handler(actions.stop, in_view=True), [view, token], [view, stop, resume, reason], **clicked
    )

    # Settings out of what the browser kept, or out of a race that is shown; and the model they are for. A
    # recipe that was asked for and is none stands on the cards alone, where `recount` refuses it.
    def fill(values: dict[str, Any], asked_recipe: object = None) -> list[Any]:
        recipe = catalog.get_recipe(values["recipe"])
        data = readable(values["data"])
        *updates, _ = recipe_updates(recipe.key, values["m"], data)
        updates_of = dict(zip(("model", "dataset", "target_modules", *varying), updates, strict=True))
        model = values["model"] or recipe.model
        with suppress(InvalidChoice):  # `recount` says what is wrong with it
            updates_of["target_modules"] = gr.update(**targets(recipe.model, recipe))
        named = asked_recipe[: form.MAX_TYPED] if isinstance(asked_recipe, str) else ""
        held = values | {"recipe": {"recipe": named or recipe.key, "own": data and data.title}}
        return [*(_set(updates_of.get(name), held[name]) for name in form.FIELDS), [recipe.key, model]]

    def use_settings(shown_value: Any, mine: str) -> list[Any]:
        first = next(filter(None, map(app.store.get, run_ids_of(shown_value))), None)
        if first is None:
            return [gr.skip()] * len(form_inputs)
        settings_of_race = form.from_runs(run.settings for run in app.store.group(first.group_id))
        if not is_own(app.store, first.settings.data, token_of(mine)):
            settings_of_race["data"] = None
        return fill(form.remembered(settings_of_race))

    def race_best(shown_search: Any, mine: str) -> list[Any]:
        values = search.best_of(app, shown_search, token_of(mine))
        return [gr.skip()] * len(form_inputs) if values is None else fill(values)

    def filled(event: Any, by_address: Sequence[str] = ()) -> None:
        for over, names in ((event.then, by_address), (event.failure, ())):
            over(None, None, None, js=FILLED.format(names=json.dumps(names)), **QUIET)
        event.failure(None, view, view, js=NOT_FILLED, **QUIET)
        recount_after(event)
        show_data(event)

    filled(view.use_settings(use_settings, [view, token], form_inputs, js=FILLING, **LATEST))
    filled(found.race_best(race_best, [found, token], form_inputs, js=FILLING, **LATEST))

    def as_kept(kept_form: Any) -> Any:
        """The form that the browser kept; one that an earlier version kept is whole already."""
        if not isinstance(kept_form, dict) or FILLED_FOR not in kept_form:
            return kept_form
        return form_values(tuple(kept_form.get(name) for name in KEPT))

    # A visit: who it is, what the form holds by the address or held before, which runs the address names.
    def visited(mine: str, kept_form: Any, request: gr.Request) -> list[Any]:
        mine = token_of(mine)
        asked = form_address.values(request.query_params)
        first = first_shown(app, request.query_params.get("run", ""), mine)
        held = as_kept(kept_form) if asked is None else asked
        asked_recipe = held.get("recipe") if isinstance(held, dict) else None
        return [*fill(form.remembered(held), asked_recipe), first, {"token": mine}, mine]

    # The fields come first: once the view knows the visitor, the form can be used.
    outputs = [*form_inputs, view, history, token]

    return OnVisit(visited, [token, kept], outputs, partial(filled, by_address=form_address.NAMES), FILLING)


def _counted_at_first() -> ForecastHtml:
    """Return the forecast of the form as the page comes, without times, which need past runs and torch."""
    plans = [catalog.resolve(settings) for settings in form.race({**form.START}).runs()]
    return forecast_html(plans, [None] * len(plans))


def _recipe(chosen: object) -> Recipe | None:
    """Return the recipe that the cards say; None for anything else, which `recount` refuses in words."""
    key = recipe_key(chosen)
    return catalog.RECIPES.get(key) if isinstance(key, str) else None


def _start_label(plan: Plan) -> str:
    """Start, with what it trains on."""
    own_data = plan.settings.data or plan.dataset.key == plan.recipe.dataset
    return f"Start on “{plan.title if own_data else plan.dataset.title}”"


def _left_out(values: dict[str, Any], plan: Plan) -> str:
    """Return which of the chosen methods do not race, as HTML; empty where all do."""
    names = [METHODS[key].title for key in form.left_out(values)]
    if not names:
        return ""
    return status(f"Without {joined(names)}: {plan.model.title} {WRITES}")


def _set(update: dict[str, Any] | None, value: Any) -> Any:
    """Return a control's update with a remembered value, where there is one."""
    if update is None:
        return value
    return gr.update(**{**update, "value": value}) if value else update


def _reason(text: str, kind: str = "quiet") -> str:
    return f'<p class="{kind}" role="status">{escape(text)}</p>'
