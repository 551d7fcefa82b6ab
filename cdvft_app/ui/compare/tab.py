"""The Compare tab: a page that decides, growth of costs, finished runs, sweeps, evidence, the paper."""

from __future__ import annotations

from functools import partial
from typing import Any

import gradio as gr

from cdvft_app import catalog
from cdvft_app.costs.request import parse_cost
from cdvft_app.decision.comparison import compare, grown
from cdvft_app.decision.decide import decide
from cdvft_app.errors import UserError
from cdvft_app.figures import palette
from cdvft_app.measuring.background import too_large
from cdvft_app.methods.flat import FLAT
from cdvft_app.payloads.compare import CostsView, GrowthView
from cdvft_app.ui.compare import finished_races, measure, outcomes, pages, sweep
from cdvft_app.ui.compare.form import (
    AIMS,
    CONVENTIONS,
    COUNTED,
    DEVICES,
    FIELDS,
    LABELS,
    MATCHES,
    PRECISION_CHOICES,
    START,
    TYPED,
    WORDS,
    cost_request,
    fields_of,
    model_choices,
    recorded_costs,
    without_stale_layers,
)
from cdvft_app.ui.shared.component import component
from cdvft_app.ui.shared.controls import method_chips, settings_fold, show_used, text_field
from cdvft_app.ui.shared.form import MAX_TYPED, stands_for, text, with_titles
from cdvft_app.ui.shared.listeners import LATEST, DropStaleAnswers
from cdvft_app.ui.shared.named_endpoint import named_endpoint
from cdvft_app.ui.shared.state import AppState, OnVisit

TITLE = "Compare"


def build(app: AppState) -> OnVisit | None:
    """Lay the tab out and connect it."""
    shown_page = pages.links()
    with gr.Row(elem_classes=["train", "compare", *pages.on("decide", "growth")]):
        with gr.Column(elem_classes=["choose", "folded"], elem_id="cost-choose"):
            settings_fold("cost-choose", folded=True)
            controls, race = _lay_out_controls(app)
            with gr.Column(elem_classes=["go", *pages.on("decide")]):
                panel = measure.panel()
        with gr.Column(elem_classes=["watch", *pages.on("decide")]):
            view = component(
                "compare/decide.js",
                first={"shown": recorded_costs()["first"], "problem": None},
                lines=palette.lines(),
                elem_id="costs",
            )
        with gr.Column(elem_classes=["watch", *pages.on("growth")]):
            growth = component(
                "compare/growth.js",
                first={"shown": recorded_costs()["growth"], "problem": None},
                lines=palette.lines(),
                layout=palette.layout(),
                elem_id="growth",
            )
    with gr.Column(elem_classes=pages.on("results")):
        outcomes.section(app)
    with gr.Column(elem_classes=pages.on("settings")):
        sweep.section(app)
    pages.recorded()
    fields = [controls[name] for name in FIELDS]

    # The model that the layers' fields were last filled for. The browser sends it with the fields, so that a
    # call shows whether they belong to the chosen model yet.
    filled_for = gr.JSON([START["model"]], visible=False)
    asking = [*fields, filled_for]

    def values(*inputs: Any) -> dict[str, Any]:
        *of_fields, filled = inputs
        return cost_request(without_stale_layers(dict(zip(FIELDS, of_fields, strict=True)), filled))

    def compared(*inputs: Any) -> list[Any]:
        """Return the value of the page that is looked at; the other is skipped."""
        *of_fields, page = inputs
        try:
            request = parse_cost(values(*of_fields))
            here = measure.known_here(app, request)
            if page == "growth":
                grows: GrowthView = {"shown": grown(request, here["lookup"]), "problem": None}
                return [gr.skip(), grows]
            answer: CostsView = {"shown": compare(request, too_large, **here), "problem": None}
            return [answer, gr.skip()]
        except UserError as error:
            refused = {"shown": None, "problem": with_titles(str(error), LABELS)}
            return [refused, refused]

    comparing = DropStaleAnswers(compared, [*asking, shown_page], [view, growth])
    for event in (partial(gr.on, [field.change for field in fields]), panel.kept, shown_page.turned):
        comparing.listen(event, **LATEST)
    measure.connect(app, panel, asking, values)

    # A model has its own layers, and takes tokens or pixels. Gradio sends `input` also when a field is left.
    def fill_for_model(model: str | None, filled: object) -> list[Any]:
        model = model or ""
        if filled == [model]:
            return [gr.skip()] * 4
        return [*(gr.update(**one) for one in fields_of(model).values()), [model]]

    with_model = [controls[name] for name in ("targets", "sequence", "image_size")]
    controls["model"].input(
        fill_for_model, [controls["model"], filled_for], [*with_model, filled_for], **LATEST
    )

    # Only what the chosen methods and kind of model use is shown.
    show_used(controls["methods"], {name: controls[name] for name in COUNTED})
    finished_races.connect(app.store, *race, controls, filled_for)

    named_endpoint(cost, app, concurrency_limit=16)

    # The page begins with what is recorded; its links ask for more once the tab is looked at.
    def visited() -> Any:
        return finished_races.offer(app.store)

    return OnVisit(visited, [], [race[0]])


def cost(app: AppState, request: dict[str, Any]) -> dict[str, Any]:
    """Which method to take for a model, and what each costs: parameters, memory, FLOPs, time where known.

    Args:
        request: the fields of the command `python -m cdvft_app cost`, such as {"model": "roberta-base",
            "methods": ["cdvft", "lora"], "device": "t4"}.

    Returns:
        sentence, methods, answers and rows: an answer has a text for each method, a row all numbers of one.
    """
    asked = parse_cost(request)
    return decide(asked, **measure.known_here(app, asked)).as_json()


STEP = ("batch", "sequence", "image_size")
_TYPED = "Or type a hub id, a timm name or a folder."
_TYPED_ON_A_SPACE = "Or type a timm name."


def _lay_out_controls(app: AppState) -> tuple[dict[str, Any], tuple[gr.Dropdown, gr.HTML]]:
    """Return the controls by their fields' names, and the dropdown of finished races with what one took."""
    controls: dict[str, Any] = {}
    controls["model"] = gr.Dropdown(
        model_choices(),
        value=START["model"],
        label=WORDS["model"][0],
        info=_TYPED if catalog.hub_ids_allowed() else _TYPED_ON_A_SPACE,
        allow_custom_value=True,
        elem_id="cost-model",
    )
    for name, choices in (("device", DEVICES), ("precision", PRECISION_CHOICES)):
        controls[name] = _dropdown(name, choices, pages.on("decide"))
    controls["gradient_checkpointing"] = gr.Checkbox(
        START["gradient_checkpointing"],
        label=WORDS["gradient_checkpointing"][0],
        elem_id="cost-gradient_checkpointing",
        elem_classes=pages.on("decide"),
    )
    for name in STEP:
        controls[name] = _number(name)
    controls["aim"] = _dropdown("aim", AIMS, pages.on("decide"))
    with gr.Accordion("Methods, sizes, layers", open=False, elem_classes=["fold"], elem_id="cost-more"):
        controls["methods"] = method_chips(START["methods"], *WORDS["methods"], "cost-methods")
        for name in TYPED:
            if name not in STEP:
                controls[name] = _number(name)
        label, hint = WORDS["targets"]
        controls["targets"] = gr.Dropdown(
            **fields_of(START["model"])["targets"],
            label=label,
            info=hint,
            multiselect=True,
            allow_custom_value=True,
            elem_id="cost-targets",
        )
        for name, choices in (("match", MATCHES), ("convention", CONVENTIONS)):
            controls[name] = _dropdown(name, choices, [])
        race = finished_races.control()
    return controls, race


def _dropdown(name: str, choices: list[tuple[str, str]], classes: list[str]) -> gr.Dropdown:
    label, hint = WORDS[name]
    return gr.Dropdown(
        choices,
        value=START[name],
        label=label,
        info=hint,
        elem_id=f"cost-{name}",
        elem_classes=["setting", *classes],
    )


def _number(name: str) -> gr.Textbox:
    return text_field(
        *WORDS[name],
        value=text(START.get(name)),
        placeholder=stands_for(name) if name in COUNTED else None,
        elem_id=f"cost-{name}",
        elem_classes=["setting"],
        visible=name != "image_size" and (name not in COUNTED or FLAT[name][0] in START["methods"]),
        max_length=MAX_TYPED if name in COUNTED else 20,
    )
