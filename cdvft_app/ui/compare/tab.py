"""The Compare tab: each method's cost on any model, measured step times, finished runs' scores, sweeps."""

from __future__ import annotations

from functools import partial
from typing import Any

import gradio as gr

from cdvft_app import catalog
from cdvft_app.costs.request import parse_cost
from cdvft_app.costs.table import cost_table
from cdvft_app.figures import curves
from cdvft_app.judging.comparison import compare
from cdvft_app.methods import InvalidChoice
from cdvft_app.methods.flat import FLAT
from cdvft_app.payloads.compare import Costs, CostsView
from cdvft_app.store.records import StoreError
from cdvft_app.ui.compare import finished_races, measure, outcomes, sweep
from cdvft_app.ui.compare.form import (
    CONVENTIONS,
    FIELDS,
    LABELS,
    MATCHES,
    NUMBERS,
    SIZES,
    START,
    WORDS,
    cost_request,
    kind_of,
    layers_of,
    model_choices,
    recorded,
    without_stale_layers,
)
from cdvft_app.ui.shared.component import component
from cdvft_app.ui.shared.fold import settings_fold
from cdvft_app.ui.shared.form import stands_for, text, with_titles
from cdvft_app.ui.shared.method_chips import method_chips
from cdvft_app.ui.shared.newest import Newest
from cdvft_app.ui.shared.refusal import refusal
from cdvft_app.ui.shared.state import AppState, OnVisit

TITLE = "Compare"
QUIET: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}


def build(app: AppState) -> OnVisit | None:
    """Lay the tab out and connect it."""
    controls: dict[str, Any] = {}
    with gr.Row(elem_classes=["train", "compare"]):
        with gr.Column(elem_classes=["choose", "folded"], elem_id="cost-choose"):
            settings_fold("cost-choose", folded=True)
            race = _controls(app, controls)
            with gr.Column(elem_classes=["go"]):
                panel = measure.panel()
        with gr.Column(elem_classes=["watch"]):
            view = component(
                "compare/costs.js",
                {"shown": recorded()["first"], "problem": None},
                lines=curves.lines(),
                layout=curves.layout(),
                elem_id="costs",
            )
    outcomes.section(app)
    component("compare/paper.js", recorded()["paper"], elem_id="paper")
    sweep.section(app)
    fields = [controls[name] for name in FIELDS]

    # The model that the layers' fields were last filled for. The browser sends it with the fields, so that a
    # call shows whether they belong to the chosen model yet.
    filled_for = gr.JSON([START["model"]], visible=False)
    asking = [*fields, filled_for]

    def values(*inputs: Any) -> dict[str, Any]:
        *of_fields, filled = inputs
        return cost_request(without_stale_layers(dict(zip(FIELDS, of_fields, strict=True)), filled))

    def compared(*inputs: Any) -> CostsView:
        try:
            return {"shown": _compare(app, values(*inputs)), "problem": None}
        except (InvalidChoice, StoreError) as error:
            return {"shown": None, "problem": with_titles(str(error), LABELS)}

    comparing = Newest(compared, asking, [view])
    for event in (partial(gr.on, [field.change for field in fields]), panel.kept):
        comparing.listen(event, trigger_mode="always_last", **QUIET)
    measure.connect(app, panel, asking, values)

    # A model has its own layers, and takes tokens or pixels. Gradio sends `input` also when a field is left.
    def fill_for_model(model: str | None, filled: object) -> list[Any]:
        model = model or ""
        if filled == [model]:
            return [gr.skip()] * 4
        kind = kind_of(model)
        return [
            gr.update(**layers_of(model)),
            gr.update(visible=kind != "image", value=""),
            gr.update(visible=kind in ("image", None), value=""),
            [model],
        ]

    with_model = [controls[name] for name in ("targets", "sequence", "image_size")]
    controls["model"].input(
        fill_for_model, [controls["model"], filled_for], [*with_model, filled_for], **QUIET
    )

    # Only what the chosen methods and kind of model use is shown.
    def show_sizes(methods: list[str]) -> list[Any]:
        return [gr.update(visible=FLAT[name][0] in methods) for name in SIZES]

    controls["methods"].change(show_sizes, controls["methods"], [controls[name] for name in SIZES], **QUIET)
    finished_races.connect(app.store, *race, controls, filled_for)
    gr.api(_cost, api_name="cost", api_description=_ENDPOINT, concurrency_limit=16)

    # The page begins with the recorded comparison, without measurements: those are in this server's store.
    def visited(*inputs: Any) -> list[Any]:
        counted = compared(*inputs) if app.store.measurements.any() else gr.skip()
        return [counted, finished_races.offer(app.store)]

    return OnVisit(visited, asking, [view, race[0]])


def _compare(app: AppState, values: dict[str, Any]) -> Costs:
    request = parse_cost(values)
    return compare(request, **measure.row_facts(app, request))


def _controls(app: AppState, controls: dict[str, Any]) -> tuple[gr.Dropdown, gr.HTML]:
    """Fill `controls`; returns the dropdown of finished races and the place for a race's costs."""
    typed = catalog.hub_ids_allowed()
    gr.HTML("<h2>What</h2>", apply_default_css=False)
    label, hint = WORDS["model"]
    more = " A hub id, a timm name or a folder can be typed in." if typed else " A timm name can be typed in."
    controls["model"] = gr.Dropdown(
        model_choices(),
        value=START["model"],
        label=label,
        info=f"{hint}{more}",
        allow_custom_value=True,
        elem_id="cost-model",
    )
    race = finished_races.control(app.store)
    label, hint = WORDS["targets"]
    controls["targets"] = gr.Dropdown(
        **layers_of(START["model"]),
        label=label,
        info=hint,
        multiselect=True,
        allow_custom_value=True,
        elem_id="cost-targets",
    )
    for name in ("batch", "sequence", "image_size"):
        controls[name] = _number(name)
    gr.HTML("<h2>How</h2>", apply_default_css=False)
    controls["methods"] = method_chips(START["methods"], *WORDS["methods"], "cost-methods")
    for name in NUMBERS:
        if name not in controls:
            controls[name] = _number(name)
    for name, choices in (("match", MATCHES), ("convention", CONVENTIONS)):
        label, hint = WORDS[name]
        controls[name] = gr.Dropdown(
            choices,
            value=START[name],
            label=label,
            info=hint,
            elem_id=f"cost-{name}",
            elem_classes=["setting"],
        )
    return race


def _number(name: str) -> gr.Textbox:
    label, hint = WORDS[name]
    return gr.Textbox(
        value=text(START.get(name)),
        label=label,
        info=hint,
        placeholder=stands_for(name) if name in SIZES else None,
        elem_id=f"cost-{name}",
        elem_classes=["setting"],
        visible=name != "image_size" and (name not in SIZES or FLAT[name][0] in START["methods"]),
        max_lines=1,
        max_length=20,
        html_attributes=gr.InputHTMLAttributes(autocomplete="off", spellcheck=False),
    )


_ENDPOINT = (
    "What each method costs on a model, as a list with one object a method. `request` has the fields of the "
    'command `python -m cdvft_app cost`, such as {"model": "roberta-base", "methods": ["cdvft", "lora"]}.'
)


def _cost(request: dict[str, Any]) -> list[dict[str, Any]]:
    try:
        return cost_table(parse_cost(request))
    except InvalidChoice as error:
        raise refusal(str(error)) from None
