"""Predict: run finished models, verify their adapters, and export them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from cdvft_app.catalog.conversations import transcript
from cdvft_app.errors import UserError
from cdvft_app.payloads.use import AnsweredInputs, Sections
from cdvft_app.results import inputs
from cdvft_app.results.answering import Answering
from cdvft_app.results.exporters import (
    AS_TRAINED,
    DEFAULT_RANK,
    EXPORTERS,
    base_note,
    exporter,
    file_name,
)
from cdvft_app.results.finished_run import FinishedRun, ResultsError, find, prepare
from cdvft_app.results.inputs import takes_pairs
from cdvft_app.ui.shared import files
from cdvft_app.ui.shared.component import component
from cdvft_app.ui.shared.controls import html
from cdvft_app.ui.shared.listeners import QUIET
from cdvft_app.ui.shared.problem import problem, status, without_paths
from cdvft_app.ui.shared.state import AppState, OnVisit
from cdvft_app.ui.shared.viewing import visitor
from cdvft_app.ui.use import (
    answers,
    apply,
    drawing,
    endpoints,
    examples,
    publish,
    races,
    request,
    sheets,
    write,
)
from cdvft_app.ui.use.endpoints import own_picture

TITLE = "Predict"
NOT_ASKED: AnsweredInputs = {"answered": [], "problem": ""}
READING = "Loading finished races …"
NONE_YET = "No finished race yet. Start one on the Train tab."
ONLY_RECORDED = "This race was recorded on another machine. Start your own on the Train tab."
FORMATS = [(one.title, one.key) for one in EXPORTERS.values()]
READY = "Latest first."
OTHER = "The run in the address has not finished, or it was deleted. Another race is shown."
MAX_LINES = 20
# One question at a time; further visitors wait in Gradio's queue.
ASKING: dict[str, Any] = {
    "concurrency_limit": 1,
    "concurrency_id": "use",
    "api_visibility": "private",
    "show_progress": "minimal",
}
PROGRESS = gr.Progress()  # shows what `prepare` tells it over the handler's outputs


def build(app: AppState) -> OnVisit:
    """Lay the tab out and connect it."""
    answering = Answering(app.store, lambda: app.queue.budget.spending(visitor(), "question"))
    of_files = apply.answering_of_files(app)
    endpoints.register(app, answering, of_files)

    def write_folder(run_id: str, folder: Path) -> None:
        answering.ask("export", run_id=run_id, to=AS_TRAINED.key, out=str(folder))

    with gr.Column(elem_classes=["use"]):
        race = gr.Dropdown([], label="Finished race", info=READING, elem_id="use-race")
        with gr.Column(visible=False, elem_classes=["use-race"]) as opened:
            html("<h2>Try</h2>")
            texts = gr.Textbox(
                label="Texts, one per line", lines=3, max_lines=12, elem_id="use-texts",
                placeholder="A gripping, funny and deeply human film.",
            )  # fmt: skip
            second = gr.Textbox(
                label="Second texts, one per line", lines=3, max_lines=12, visible=False, elem_id="use-second"
            )
            at = write.Prompt()
            pad = drawing.pad()
            image = gr.File(
                label="Image", file_types=["image"], visible=False, elem_id="use-image", height=120
            )
            waits = html(elem_id="use-waits")
            with gr.Row():
                ask = gr.Button("Predict", variant="primary", elem_id="use-ask")
                example = gr.Button("Use an example", elem_id="use-example")
            example_message = html(elem_id="use-example-said")
            taken = gr.State()  # what the example put into the fields
            answered = component("use/answers.js", NOT_ASKED, elem_id="use-answers")
            examples.section(app, answering, race, ASKING)
            run = gr.Radio([], label="Method to check and export", elem_id="use-run")
            of_file = apply.build(app, of_files, run)
            html(
                "<h3>Verify</h3><p class='hint'>Compare the merged, disabled, and reloaded adapter.</p>",
            )
            prove = gr.Button("Verify", elem_id="use-prove")
            proved = sheets.sections("use-proof")
            html("<h2>Export</h2>")
            form = gr.Radio(FORMATS, value=AS_TRAINED.key, label="Format", elem_id="use-form")
            rank = gr.Number(
                DEFAULT_RANK, label="Rank", info="Higher ranks keep more of the update.", precision=0,
                minimum=1, visible=False, elem_id="use-rank",
            )  # fmt: skip
            take = gr.Button("Prepare download", elem_id="use-take")
            refused = html(elem_id="use-refused")
            file = gr.File(label="Zip", interactive=False, visible=False, elem_id="use-file")
            publish.build(run, write_folder, ASKING)
            request.build(app, run)

    def open_race(group_id: object, request: gr.Request) -> list[Any]:
        runs = races.opened(app.store, group_id)
        if not runs:
            return [
                gr.update(visible=False),
                *[gr.skip()] * 11,
                "",
                NOT_ASKED,
                "",
                "",
                gr.update(visible=False),
            ]
        kind = runs[0].plan.model.kind
        text = kind == "text"
        named = [(one.label, one.record.id) for one in runs]
        wanted = races.first_run(request.query_params.get("run", ""))
        return [
            gr.update(visible=True),
            gr.update(visible=text),
            gr.update(visible=text and takes_pairs(runs[0])),
            drawing.opened(runs[0]),
            gr.update(visible=kind == "image", value=None),
            gr.update(visible=kind != "generation"),
            *at.opened(runs[0]),
            status(races.first_needs(runs[0])),
            gr.update(choices=named, value=wanted if wanted in dict(named).values() else named[0][1]),
            gr.update(value=AS_TRAINED.key, info=next(filter(None, map(base_note, runs)), "")),
            "",
            NOT_ASKED,
            sheets.NOTHING,
            "",
            gr.update(visible=False),
        ]

    shown = [
        opened,
        texts,
        second,
        pad,
        image,
        ask,
        *at.outputs,
        waits,
        run,
        form,
        example_message,
        answered,
        proved,
        refused,
        file,
    ]
    race.change(open_race, race, shown, **QUIET)
    race.focus(lambda: gr.update(**_offer(app)), None, race, **QUIET)

    given = {texts, second, pad, image, at.prompt}

    def about(finished: FinishedRun, fields: dict[Any, Any]) -> dict[str, Any]:
        """Return the question in the fields for the race of a run; a chosen file counts before a drawing."""
        if finished.plan.model.kind == "generation":
            return {"texts": [inputs.prompt(finished, fields[at.prompt])], "second": [], "image": None}
        if finished.plan.model.kind != "image":
            return {"texts": _lines(fields[texts]), "second": _lines(fields[second]), "image": None}
        file = fields[image]
        if file:
            own: bytes | None = own_picture(Path(file).read_bytes())
        else:
            own = drawing.picture(fields[pad], finished.plan.dataset.key)
        return {"texts": [], "second": [], "image": own}

    def ask_all(fields: dict[Any, Any], progress: Any = PROGRESS) -> list[Any]:
        try:
            runs = races.require(app.store, fields[race])
            question = about(runs[0], fields)
            prepare(runs[0], _progress_to(progress))
            found = answering.ask("answer", run_ids=[one.record.id for one in runs], **question)
        except UserError as error:
            return [{**NOT_ASKED, "problem": without_paths(str(error))}, "", gr.skip()]
        shown = question["texts"] or ["Your image" if fields[image] else "Your drawing"]
        said = gr.skip() if _of_example(fields[texts], fields[second], fields[image]) == fields[taken] else ""
        return [answers.answers(shown, found, question["image"]), "", said]

    def fill_in(group_id: object) -> list[Any]:
        """Fill the fields with a held-out row of the race, and say its label in a sentence."""
        try:
            first = races.require(app.store, group_id)[0]
            row = answering.ask("example", run_id=first.record.id)
            text, own = row["text"], None
            if text and first.plan.model.kind == "generation":
                text = transcript(text)
            if row["image"]:
                own = files.new_file(f"row_{row['row']}.png")
                own.write_bytes(row["image"])
        except UserError as error:
            return [*[gr.skip()] * 5, problem(str(error))]
        sentence = f"Held-out example {row['row']:,}. Label: <b>{escape(row['label'])}</b>."
        put = [text, row["second"], own and str(own)]
        return [*put, text, _of_example(*put), f'<p class="quiet">{sentence}</p>']

    filled = [texts, second, image, at.prompt, taken, example_message]
    filling = example.click(fill_in, race, filled, show_progress_on=example_message, **ASKING)

    for event in (texts.input, second.input, at.prompt.input, image.upload, image.clear):
        event(None, None, example_message, js="() => ''", **QUIET)  # Gradio tells of keys, and of no pasting

    def get_ready(group_id: object) -> None:
        """Load the models while a text is written, so that the first answer is soon there."""
        runs = races.opened(app.store, group_id)
        if runs and not races.first_needs(runs[0]):
            with suppress(UserError):  # said where an answer is asked for
                answering.ask("load", run_ids=[one.record.id for one in runs])

    writing = write.connect(app, answering, race, at, get_ready=get_ready, asking=ASKING)
    texts.focus(get_ready, race, None, **{**ASKING, "show_progress": "hidden"})
    asking = gr.on(
        [ask.click, texts.submit],
        ask_all,
        {race, taken, *given},
        [answered, waits, example_message],
        show_progress_on=answered,
        **ASKING,
    )

    def prove_one(fields: dict[Any, Any], progress: Any = PROGRESS) -> Sections:
        try:
            one = find(app.store, fields[run])
            question = about(one, fields)
            prepare(one, _progress_to(progress))
            return answers.proof(answering.ask("prove", run_id=one.record.id, **question), "this adapter")
        except UserError as error:
            return sheets.refused(str(error))

    proving = prove.click(prove_one, {run, *given}, proved, **ASKING)

    def take_home(run_id: object, kind: str, of_rank: float | None, progress: Any = PROGRESS) -> list[Any]:
        try:
            run = find(app.store, run_id)
            prepare(run, _progress_to(progress))
            asked = {"run_id": run_id, "to": kind, "rank": int(of_rank or 0)}
            name = file_name(run, exporter(kind).key)
            progress(None, desc="Preparing the download")
            made = files.export(name, lambda out: answering.ask("export", **asked, out=str(out)))
        except UserError as error:
            return [problem(str(error)), gr.update(visible=False)]
        return ["", gr.update(value=str(made), visible=True)]

    taking = take.click(take_home, [run, form, rank], [refused, file], show_progress_on=refused, **ASKING)

    def other_form(kind: object) -> list[Any]:
        takes_rank = isinstance(kind, str) and kind in EXPORTERS and EXPORTERS[kind].takes_rank
        return [gr.update(visible=takes_rank), "", gr.update(visible=False)]

    gr.on([form.change, run.change], other_form, form, [rank, refused, file], **QUIET)

    # What is still asked of another race or run would be shown under this one.
    race.change(None, None, None, cancels=[asking, filling, writing], **QUIET)
    run.change(lambda: sheets.NOTHING, None, proved, cancels=[proving, taking, of_file], **QUIET)

    def visited(request: gr.Request) -> Any:
        offer, run_id = _offer(app), request.query_params.get("run", "")
        groups = [group_id for _, group_id in offer["choices"]]
        wanted = races.race_of_run(app.store, races.first_run(run_id))
        if run_id and groups and wanted not in groups:
            offer["info"] = OTHER
        return gr.update(**offer, value=wanted if wanted in groups else next(iter(groups), None))

    return OnVisit(visited, [], [race])


def _of_example(text: str | None, second: str | None, image: str | None) -> tuple[str, ...]:
    return text or "", second or "", Path(image or "").name


def _offer(app: AppState) -> dict[str, Any]:
    offered = races.choices(app.store)
    shipped = {run.group_id for run in app.store.recorded()}
    own = any(group_id not in shipped for _, group_id in offered)
    return {"choices": offered, "info": READY if own else ONLY_RECORDED if offered else NONE_YET}


def _progress_to(bar: gr.Progress) -> Callable[[float | None, str], None]:
    """Tells Gradio's bar, which writes the share by itself."""
    return lambda fraction, text: bar(fraction, desc=text if fraction is None else text.rpartition(", ")[0])


def _lines(text: str | None) -> list[str]:
    lines = [line for line in (text or "").splitlines() if line.strip()]
    if len(lines) > MAX_LINES:
        raise ResultsError(f"There are {len(lines):,} lines. Enter at most {MAX_LINES}.")
    return lines
