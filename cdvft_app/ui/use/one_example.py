"""A held-out row of the race in the fields of Try, for who has nothing to ask at hand."""

from __future__ import annotations

from html import escape
from typing import Any

import gradio as gr

from cdvft_app.catalog.conversations import transcript
from cdvft_app.errors import UserError
from cdvft_app.results.answering import Answering
from cdvft_app.ui.shared import files
from cdvft_app.ui.shared.controls import html
from cdvft_app.ui.shared.problem import problem
from cdvft_app.ui.shared.state import AppState
from cdvft_app.ui.use import races


def build(
    app: AppState,
    answering: Answering,
    race: gr.Dropdown,
    *,
    fields: tuple[gr.Textbox, gr.Textbox, gr.File, gr.Textbox],
    take: gr.Button,
    asking: dict[str, Any],
) -> gr.HTML:
    """Have the button `take` fill in the `fields`: texts, second texts, image, prompt.

    `asking`: how a listener waits its turn. Returns the component that shows the row's label.
    """
    message = html(elem_id="use-example-said")

    def filled(group_id: object) -> list[Any]:
        try:
            runs = races.require(app.store, group_id)
            row = answering.ask("example", run_id=runs[0].record.id)
            text, second, image = row["text"], row["second"], None
            if text and runs[0].plan.model.kind == "generation":
                text = transcript(text)
            if row["image"]:
                image = files.new_file(f"row_{row['row']}.png")
                image.write_bytes(row["image"])
        except UserError as error:
            return [*[gr.skip()] * 4, problem(str(error))]
        sentence = f"Row {row['row']:,} of those held out; its label: <b>{escape(row['label'])}</b>."
        return [text, second, image and str(image), text, f'<p class="quiet">{sentence}</p>']

    take.click(filled, race, [*fields, message], show_progress_on=message, **asking)
    return message
