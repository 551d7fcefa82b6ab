"""Data of one's own on the Train tab: give it, look at it, say what is what, and learn from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from cdvft_app import catalog
from cdvft_app.data import library
from cdvft_app.data.faults import DataRefused
from cdvft_app.data.inspect import Inspection
from cdvft_app.data.limits import MOST_PASTED, limits
from cdvft_app.store.records import StoreError
from cdvft_app.ui.shared.state import AppState
from cdvft_app.ui.shared.texts import counted
from cdvft_app.ui.shared.typed_rows import as_file
from cdvft_app.ui.shared.visitor import token_of
from cdvft_app.ui.train import own_data_view as view
from cdvft_app.ui.train.controls import QUIET

PROGRESS = gr.Progress()  # Gradio knows it by the default value of an argument
MOST_NAME = 120
NONE_YET = "You have given none yet."
KEPT = "Kept here until you delete it; only this browser sees it and trains on it."
KEPT_PUBLIC = "Kept for {hours} after its last use; only this browser sees it and trains on it."
# Each visitor's call by itself; reading a large file takes seconds.
SLOW: dict[str, Any] = {"concurrency_limit": 2, "concurrency_id": "data", "api_visibility": "private"}


@dataclass(frozen=True)
class OwnDataPanel:
    """`use` is the button that takes what is shown as what is learned from; `mine` is the list.

    `removed` is the event of something being deleted.
    """

    mine: gr.Dropdown
    text: gr.Dropdown
    label: gr.Dropdown
    evaluation: gr.Dropdown
    use: gr.Button
    message: gr.HTML
    removed: Any

    @property
    def chosen(self) -> list[Any]:
        return [self.mine, self.text, self.label, self.evaluation]


def offer(app: AppState, token: str, value: str | None = None) -> dict[str, Any]:
    """The visitor's data for a list."""
    records = library.owned(app.store, token)
    choices = [(view.choice_label(record), record.id) for record in records]
    known = {record.id for record in records}
    return {
        "choices": choices,
        "value": value if value in known else None,
        "info": _kept() if choices else NONE_YET,
    }


def _kept() -> str:
    hours = limits().keep_hours
    return KEPT if hours is None else KEPT_PUBLIC.format(hours=counted(hours, "hour"))


def look(app: AppState, chosen: Sequence[Any], token: str) -> Inspection:
    """What would be learned from what the panel's fields say. DataRefused, StoreError: with a sentence."""
    data_id, text, label, evaluation = chosen
    inputs = [name for name in text if isinstance(name, str)][:2] if isinstance(text, list) else []
    named = label if isinstance(label, str) and label else None
    return library.look(app.store, data_id, token, inputs=inputs, label=named, evaluation=evaluation or None)


def own_data(app: AppState, token: gr.BrowserState) -> OwnDataPanel:
    """Lay the panel out and connect what it does by itself."""
    private = catalog.hub_ids_allowed()
    with gr.Accordion("Your own data", open=False, elem_classes=["fold"], elem_id="own-data"):
        file = gr.File(
            label="CSV, TSV, JSONL, Parquet, or a zip of pictures",
            file_types=[".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".parquet", ".zip"],
            elem_id="own-file",
            height=150,
        )
        larger = " A larger one by its path, below." if private else f" {_kept()}"
        gr.HTML(f'<p class="quiet">A file of up to 8 MB.{larger}</p>', apply_default_css=False)
        pasted = gr.Textbox(
            label="Or paste rows",
            info="With a first line of names, as out of a spreadsheet.",
            placeholder="text,label",
            lines=2,
            max_lines=6,
            max_length=MOST_PASTED,
            elem_id="own-pasted",
        )
        path = gr.Textbox(
            label="Or a file, or a folder of pictures, on this machine",
            max_lines=1,
            visible=private,
            elem_id="own-path",
            max_length=1000,
        )
        with gr.Row(elem_classes=["own-buttons"]):
            read = gr.Button("Read the rows", elem_id="own-read")
        message = gr.HTML(elem_id="own-said", apply_default_css=False)
        mine = gr.Dropdown([], label="Your data", info=NONE_YET, elem_id="own-mine", value=None)
        with gr.Column(visible=False, elem_id="own-shown") as shown:
            found = gr.HTML(elem_id="own-found", apply_default_css=False)
            text = gr.Dropdown(
                [],
                multiselect=True,
                max_choices=2,
                label="Text",
                info="Two columns make a pair.",
                elem_id="own-text",
            )
            label = gr.Dropdown([], label="Label", info="What is to be told.", elem_id="own-label")
            evaluation = gr.Dropdown(
                [],
                label="Evaluate on",
                info="Another file of yours; else a share is held out.",
                elem_id="own-evaluation",
            )
            use = gr.Button("Learn from this", variant="primary", elem_id="own-use")
            name = gr.Textbox(label="Name", max_lines=1, max_length=MOST_NAME, elem_id="own-name")
            with gr.Row(elem_classes=["own-buttons"]):
                rename = gr.Button("Rename", elem_id="own-rename")
                delete = gr.Button("Delete …", elem_id="own-delete")
            sure = gr.HTML(visible=False, elem_id="own-sure", apply_default_css=False)
            with gr.Row(visible=False, elem_classes=["own-buttons"]) as confirm:
                really = gr.Button("Delete it", variant="stop", elem_id="own-really")
                keep = gr.Button("Keep it", elem_id="own-keep")

    parts = [shown, found, text, label, evaluation, use, name, sure, confirm]

    def blank() -> list[Any]:
        return [
            gr.update(visible=False),
            "",
            *[gr.skip()] * 5,
            gr.update(visible=False),
            gr.update(visible=False),
        ]

    def whole(data_id: object, columns_of: Sequence[Any], mine_token: str) -> list[Any]:
        """Everything the panel shows of a piece of data, with the columns as said or guessed."""
        looked = look(app, [data_id, *columns_of], mine_token)
        record = app.store.datasets.get(data_id, mine_token)
        names = list(looked.kept.columns)
        others = [(one.name, one.id) for one in app.store.datasets.of(mine_token) if one.kind == record.kind]
        is_text = looked.kept.kind == "text"
        return [
            gr.update(visible=True),
            view.inspection(looked),
            gr.update(choices=names, value=list(looked.roles.inputs), visible=is_text),
            gr.update(choices=names, value=looked.roles.label),
            gr.update(
                choices=[("A held-out share", ""), *(one for one in others if one[1] != record.id)],
                value=columns_of[2] or "",
            ),
            gr.update(interactive=looked.data is not None),
            record.name,
            gr.update(visible=False),
            gr.update(visible=False),
        ]

    def given(
        uploaded: object, rows: object, local: object, mine_token: object, progress: Any = PROGRESS
    ) -> list[Any]:
        owner = token_of(mine_token)

        def told(fraction: float | None, sentence: str) -> None:
            progress(fraction, desc=sentence)

        try:
            with as_file(uploaded, rows, local if private else None) as source:
                record = library.give(app.store, source, owner, limits=limits(), progress=told)
            told(None, "Looking at what is in it")
            filled = whole(record.id, [[], None, None], owner)
        except (DataRefused, StoreError) as error:
            return [view.problem(str(error)), gr.skip(), *[gr.skip()] * len(parts), owner, *[gr.skip()] * 3]
        return ["", gr.update(**offer(app, owner, record.id)), *filled, owner, None, "", ""]

    outputs = [message, mine, *parts, token, file, pasted, path]
    reading: dict[str, Any] = {**SLOW, "show_progress_on": mine}  # Gradio would draw it on each output
    read.click(given, [file, pasted, path, token], outputs, **reading)
    file.upload(given, [file, pasted, path, token], outputs, **reading)

    def opened(data_id: object, mine_token: object) -> list[Any]:
        if not data_id:
            return ["", *blank()]
        try:
            return ["", *whole(data_id, [[], None, None], token_of(mine_token))]
        except (DataRefused, StoreError) as error:
            return [view.problem(str(error)), *blank()]

    mine.input(opened, [mine, token], [message, *parts], **SLOW, show_progress_on=found)

    def mapped(data_id: object, columns: Any, label_of: Any, other: Any, mine_token: object) -> list[Any]:
        try:
            looked = look(app, [data_id, columns, label_of, other], token_of(mine_token))
        except (DataRefused, StoreError) as error:
            return [view.problem(str(error)), gr.update(interactive=False)]
        return [view.inspection(looked), gr.update(interactive=looked.data is not None)]

    chosen = [mine, text, label, evaluation]
    gr.on([text.input, label.input, evaluation.input], mapped, [*chosen, token], [found, use], **QUIET)

    def renamed(data_id: object, new: str, mine_token: object) -> list[Any]:
        owner = token_of(mine_token)
        try:
            record = library.rename(app.store, data_id, str(new), owner)
        except StoreError as error:
            return [view.problem(str(error)), gr.skip()]
        return ["", gr.update(**offer(app, owner, record.id))]

    gr.on([rename.click, name.submit], renamed, [mine, name, token], [message, mine], **QUIET)

    def asking(data_id: object, mine_token: object) -> list[Any]:
        try:
            lost = library.losses(app.store, data_id, token_of(mine_token))
        except StoreError as error:
            return [gr.update(value=view.problem(str(error)), visible=True), gr.update(visible=False)]
        return [gr.update(value=view.losses(lost), visible=True), gr.update(visible=True)]

    delete.click(asking, [mine, token], [sure, confirm], **QUIET)
    keep.click(lambda: [gr.update(visible=False)] * 2, None, [sure, confirm], **QUIET)

    def deleted(data_id: object, mine_token: object) -> list[Any]:
        owner = token_of(mine_token)
        try:
            library.remove(app.store, data_id, owner)
        except StoreError as error:
            return [view.problem(str(error)), gr.update(**offer(app, owner)), *blank()]
        return ["", gr.update(**offer(app, owner)), *blank()]

    removed = really.click(deleted, [mine, token], [message, mine, *parts], **QUIET)
    return OwnDataPanel(mine, text, label, evaluation, use, message, removed)
