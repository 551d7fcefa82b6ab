"""Data of one's own on the Train tab: give it, look at it, say what is what, and learn from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from cdvft_app import catalog
from cdvft_app.data import library
from cdvft_app.data.imported_table import import_in_child
from cdvft_app.data.inspect import Inspection
from cdvft_app.data.source import MAX_PASTED, DataRefused, limits
from cdvft_app.data.spreadsheets import SPREADSHEETS
from cdvft_app.data.zip_file import PICTURES
from cdvft_app.public import intake
from cdvft_app.settings import HELD_OUT
from cdvft_app.store.records import StoreError
from cdvft_app.ui.shared.problem import problem
from cdvft_app.ui.shared.state import AppState
from cdvft_app.ui.shared.typed_rows import as_file
from cdvft_app.ui.shared.viewing import visitor
from cdvft_app.ui.shared.visitor import token_of
from cdvft_app.ui.train import uploaded_view as view
from cdvft_app.ui.train.controls import QUIET
from cdvft_app.ui.train.uploaded_list import NONE_YET, how_long_kept, offer

PROGRESS = gr.Progress()  # Gradio knows it by the default value of an argument
MAX_NAME = 120
FORMATS = "CSV, Excel, JSON, JSONL, Parquet, several of them, or a zip of pictures"
TABLES = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".ndjson", ".parquet", ".zip", ".gz")
LABEL, ANSWER = "label", "answer"
TASKS = [("A class or an amount", LABEL), ("An answer in words", ANSWER)]
TEXT: dict[str, Any] = {"label": "Text", "info": "Two columns make a pair."}
PROMPT: dict[str, Any] = {"label": "Prompt", "info": "Of two columns the second is put below the first."}
OF_LABEL: dict[str, Any] = {"label": "Label", "info": "The column to predict."}
OF_ANSWER: dict[str, Any] = {"label": "Answer", "info": "What is to be written."}
GUESSED: list[Any] = [None, [], None, None, f"{100 * HELD_OUT:g}", "0"]  # the mapping of new data
# Below the fields: what was read, or what is said of it; on most screens it would come to stand out of sight.
# A refusal stands in the middle, for the field that takes another file is above it.
SHOW = """() => {
  const refusal = document.querySelector("#own-said .problem");
  (refusal ?? document.querySelector("#own-mine"))?.scrollIntoView({ block: refusal ? "center" : "start" });
}"""
# More calls than files are read at once: whoever has too much waiting is refused by `intake.turn`, and is in
# nobody's way.
SLOW: dict[str, Any] = {"concurrency_limit": 16, "concurrency_id": "data", "api_visibility": "private"}
NOT_YET = '<p class="quiet" role="status">Not trained on yet: for that, press “Learn from this” below.</p>'


@dataclass(frozen=True)
class UploadedPanel:
    """`use` is the button that takes what is shown as what is learned from; `mine` is the list.

    `mapping` are the fields that say what is what. `removed` is the event of something being deleted.
    """

    mine: gr.Dropdown
    mapping: list[Any]
    use: gr.Button
    message: gr.HTML
    removed: Any

    @property
    def chosen(self) -> list[Any]:
        return [self.mine, *self.mapping]


def look(app: AppState, chosen: Sequence[Any], token: str) -> Inspection:
    """What would be learned from what the panel's fields say. DataRefused, StoreError: with a sentence."""
    data_id, task, text, label, evaluation, share, seed = chosen
    with intake.turn(app.queue.budget, visitor()):
        return library.look(
            app.store,
            data_id,
            token,
            inputs=[name for name in text if isinstance(name, str)][:2] if isinstance(text, list) else [],
            label=label if isinstance(label, str) and label else None,
            is_generative=None if task not in (LABEL, ANSWER) else task == ANSWER,
            evaluation=evaluation or None,
            **library.read_split(share, seed),
        )


def uploaded_panel(app: AppState, token: gr.BrowserState) -> UploadedPanel:
    """Lay the panel out and connect what it does by itself."""
    private = catalog.hub_ids_allowed()
    with gr.Accordion("Your own data", open=False, elem_classes=["fold"], elem_id="own-data"):
        file = gr.File(
            label="A file, or several pictures",
            file_count="multiple",
            file_types=[*TABLES, *PICTURES, *SPREADSHEETS],
            elem_id="own-file",
            height=150,
        )
        most = 64 if private else 8
        larger = "A larger one by its path, below." if private else how_long_kept()
        gr.HTML(f'<p class="quiet">{FORMATS}, up to {most} MB. {larger}</p>', apply_default_css=False)
        pasted = gr.Textbox(
            label="Or paste rows",
            info="With a first line of names, as out of a spreadsheet.",
            placeholder="text,label",
            lines=2,
            max_lines=6,
            max_length=MAX_PASTED,
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
            task = gr.Radio(TASKS, label="What is learned", elem_id="own-task")
            text = gr.Dropdown([], multiselect=True, max_choices=2, elem_id="own-text", **TEXT)
            label = gr.Dropdown([], elem_id="own-label", **OF_LABEL)
            evaluation = gr.Dropdown(
                [],
                label="Evaluate on",
                info="Another file of yours; else a share is held out.",
                elem_id="own-evaluation",
            )
            with gr.Row(visible=False) as split:
                share = gr.Textbox(
                    label="Held out, in %",
                    info="Of the rows, to evaluate on. Fewer rows make a less sure score.",
                    max_lines=1,
                    max_length=10,
                    elem_id="own-share",
                )
                seed = gr.Textbox(
                    label="Seed of the split",
                    info="Another one holds out other rows; how far scores move with it is luck.",
                    max_lines=1,
                    max_length=10,
                    elem_id="own-seed",
                )
            use = gr.Button("Learn from this", variant="primary", elem_id="own-use")
            name = gr.Textbox(label="Name", max_lines=1, max_length=MAX_NAME, elem_id="own-name")
            with gr.Row(elem_classes=["own-buttons"]):
                rename = gr.Button("Rename", elem_id="own-rename")
                delete = gr.Button("Delete …", elem_id="own-delete")
            sure = gr.HTML(visible=False, elem_id="own-sure", apply_default_css=False)
            with gr.Row(visible=False, elem_classes=["own-buttons"]) as confirm:
                really = gr.Button("Delete it", variant="stop", elem_id="own-really")
                keep = gr.Button("Keep it", elem_id="own-keep")

    mapping = [task, text, label, evaluation, share, seed]
    parts = [shown, found, *mapping, split, use, name, sure, confirm]

    def blank() -> list[Any]:
        hidden = gr.update(visible=False)
        return [hidden, "", *[gr.skip()] * 9, hidden, hidden]

    def whole(data_id: object, mapping_of: Sequence[Any], mine_token: str) -> list[Any]:
        """Everything the panel shows of a piece of data, with the columns as said or guessed."""
        looked = look(app, [data_id, *mapping_of], mine_token)
        record = app.store.datasets.get(data_id, mine_token)
        others = [(one.name, one.id) for one in app.store.datasets.of(mine_token) if one.kind == record.kind]
        return [
            gr.update(visible=True),
            view.inspection(looked),
            gr.update(
                value=ANSWER if looked.roles.is_generative else LABEL, visible=looked.kept.kind == "text"
            ),
            *_columns(looked),
            gr.update(
                choices=[("A held-out share", ""), *(one for one in others if one[1] != record.id)],
                value=mapping_of[3] or "",
            ),
            *mapping_of[4:],
            gr.update(visible=view.is_held_out(looked)),
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
            with (
                as_file(uploaded, rows, local if private else None) as source,
                intake.turn(app.queue.budget, visitor()),
            ):
                record = library.give(
                    app.store, source, owner, limits=limits(), progress=told, read=import_in_child
                )
            told(None, "Looking at what is in it")
            filled = whole(record.id, GUESSED, owner)
        except (DataRefused, StoreError) as error:
            # The file is taken out of its field, or the next one would be added to it.
            return [problem(str(error)), *[gr.skip()] * (1 + len(parts)), owner, None, *[gr.skip()] * 2]
        return [NOT_YET, gr.update(**offer(app, owner, record.id)), *filled, owner, None, "", ""]

    outputs = [message, mine, *parts, token, file, pasted, path]
    reading: dict[str, Any] = {**SLOW, "show_progress_on": mine}  # Gradio would draw it on each output
    for event in (read.click, file.upload):
        event(given, [file, pasted, path, token], outputs, **reading).then(None, None, None, js=SHOW)

    def opened(data_id: object, mine_token: object) -> list[Any]:
        if not data_id:
            return ["", *blank()]
        try:
            return [NOT_YET, *whole(data_id, GUESSED, token_of(mine_token))]
        except (DataRefused, StoreError) as error:
            return [problem(str(error)), *blank()]

    mine.input(opened, [mine, token], [message, *parts], **SLOW, show_progress_on=found)

    def mapped(*given_now: Any) -> list[Any]:
        *chosen, mine_token = given_now
        try:
            looked = look(app, chosen, token_of(mine_token))
        except (DataRefused, StoreError) as error:
            return [problem(str(error)), gr.skip(), gr.update(interactive=False)]
        return [
            view.inspection(looked),
            gr.update(visible=view.is_held_out(looked)),
            gr.update(interactive=looked.data is not None),
        ]

    changed = [one.input for one in (text, label, evaluation, share, seed)]
    changed += [share.blur, seed.blur]  # what is typed while the field is being shown has no input event
    gr.on(changed, mapped, [mine, *mapping, token], [found, split, use], **QUIET)

    # What is learned decides which columns are likely.
    def of_task(data_id: object, wanted: object, *rest: Any) -> list[Any]:
        *split_of, mine_token = rest
        try:
            looked = look(app, [data_id, wanted, [], None, *split_of], token_of(mine_token))
        except (DataRefused, StoreError) as error:
            return [problem(str(error)), *[gr.skip()] * 3, gr.update(interactive=False)]
        able = gr.update(interactive=looked.data is not None)
        return [view.inspection(looked), *_columns(looked), gr.update(visible=view.is_held_out(looked)), able]

    task.input(
        of_task, [mine, task, evaluation, share, seed, token], [found, text, label, split, use], **QUIET
    )

    def renamed(data_id: object, new: str, mine_token: object) -> list[Any]:
        owner = token_of(mine_token)
        try:
            record = library.rename(app.store, data_id, str(new), owner)
        except StoreError as error:
            return [problem(str(error)), gr.skip()]
        return ["", gr.update(**offer(app, owner, record.id))]

    gr.on([rename.click, name.submit], renamed, [mine, name, token], [message, mine], **QUIET)

    def asking(data_id: object, mine_token: object) -> list[Any]:
        try:
            lost = library.losses(app.store, data_id, token_of(mine_token))
        except StoreError as error:
            return [gr.update(value=problem(str(error)), visible=True), gr.update(visible=False)]
        return [gr.update(value=view.losses(lost), visible=True), gr.update(visible=True)]

    delete.click(asking, [mine, token], [sure, confirm], **QUIET)
    keep.click(lambda: [gr.update(visible=False)] * 2, None, [sure, confirm], **QUIET)

    def deleted(data_id: object, mine_token: object) -> list[Any]:
        owner = token_of(mine_token)
        try:
            library.remove(app.store, data_id, owner)
        except StoreError as error:
            return [problem(str(error)), gr.update(**offer(app, owner)), *blank()]
        return ["", gr.update(**offer(app, owner)), *blank()]

    removed = really.click(deleted, [mine, token], [message, mine, *parts], **QUIET)
    return UploadedPanel(mine, mapping, use, message, removed)


def _columns(looked: Inspection) -> list[Any]:
    """The fields of the columns that are read and told."""
    names, roles = list(looked.kept.columns), looked.roles
    of_text, of_label = (PROMPT, OF_ANSWER) if roles.is_generative else (TEXT, OF_LABEL)
    is_text = looked.kept.kind == "text"
    return [
        gr.update(choices=names, value=list(roles.inputs), visible=is_text, **of_text),
        gr.update(choices=names, value=roles.label, **of_label),
    ]
