"""A square to draw a digit on, for races on handwritten digits."""

from __future__ import annotations

from typing import Any

import gradio as gr

from cdvft_app import catalog
from cdvft_app.data.pictures import data_url
from cdvft_app.payloads.use import Drawing, Seen
from cdvft_app.results import inputs
from cdvft_app.results.finished_run import FinishedRun, ResultsError
from cdvft_app.ui.shared.component import component

MAX_PIXELS = 518  # a side of what a model gets


def pad() -> gr.HTML:
    """Hidden until a race is open that a drawing can be asked of."""
    return component(
        "use/draw.js",
        Drawing(race="", dataset="", side=0, drawing=None),
        slow_functions={"seen": seen},
        elem_id="use-draw",
        visible=False,
    )


def opened(run: FinishedRun) -> Any:
    """Return the pad for a race of this run: empty, or hidden where its data is no digits."""
    plan = run.plan
    if plan.dataset.key not in inputs.DRAWN_SIDES:
        return gr.update(visible=False)
    side = plan.settings.image_size or 0
    held = Drawing(race=run.record.group_id, dataset=plan.dataset.key, side=side, drawing=None)
    return gr.update(visible=True, value=held)


def picture(value: object, dataset: str) -> bytes | None:
    """Return the drawing as an image of the dataset; None where nothing is drawn."""
    drawn = value.get("drawing") if isinstance(value, dict) else None
    return inputs.drawn_digit(drawn, dataset) if drawn and dataset in inputs.DRAWN_SIDES else None


def seen(request: Drawing) -> Seen | None:
    """Return the drawing as a model gets it; None for a value that is no drawing."""
    key, side = request["dataset"], request["side"]
    if key not in inputs.DRAWN_SIDES or not 1 <= side <= MAX_PIXELS:
        return None
    try:
        digit = inputs.drawn_digit(request["drawing"], key)
    except ResultsError:
        return None
    own, data = inputs.DRAWN_SIDES[key], catalog.get_dataset(key).title.partition(",")[0]
    return {
        "picture": data_url(inputs.digit_as_seen(digit, side)),
        "said": f"What the models see: centred and scaled to {own} × {own} pixels, as in {data}, then "
        f"enlarged to {side} × {side}.",
    }
