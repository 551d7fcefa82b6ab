"""Data of one's own on the Train tab: given, looked at, its columns told apart; it is then learned from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gradio as gr
from pydantic import ValidationError

from cdvft_app import catalog
from cdvft_app.data import library
from cdvft_app.data.imported_table import import_in_child
from cdvft_app.data.inspect import Inspection, nearest_recipe
from cdvft_app.data.source import MAX_PASTED, limits
from cdvft_app.data.spreadsheets import SPREADSHEETS
from cdvft_app.data.zip_file import PICTURES
from cdvft_app.errors import UserError
from cdvft_app.format import counted
from cdvft_app.public import intake
from cdvft_app.settings import HELD_OUT, UploadedDataset
from cdvft_app.store.records import StoreError
from cdvft_app.ui.shared.component import component
from cdvft_app.ui.shared.controls import html, text_field
from cdvft_app.ui.shared.files import as_file
from cdvft_app.ui.shared.form import UNLEARNABLE
from cdvft_app.ui.shared.listeners import LATEST
from cdvft_app.ui.shared.problem import problem, without_paths
from cdvft_app.ui.shared.state import AppState, token_of
from cdvft_app.ui.shared.viewing import visitor
from cdvft_app.ui.train import uploaded_view as view
from cdvft_app.ui.train.recipes import recipe_key

PROGRESS = gr.Progress()  # Gradio knows it by the default value of an argument
MAX_NAME, MAX_QUOTED = 120, 80
FORMATS = "CSV, Excel, JSON, Parquet, images"
TABLES = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".ndjson", ".parquet", ".zip", ".gz")
KEPT = "Kept here until you delete it; only this browser sees it and trains on it."
KEPT_PUBLIC = "Kept for {hours} after its last use; only this browser sees it and trains on it."
GUESSED: list[Any] = [None, None, f"{100 * HELD_OUT:g}", "0"]  # roles, evaluation and split of new data
SHARE, SEED = 2, 3  # where they stand in it
SHOW = """() => {
  const refusal = document.querySelector("#own-said .problem");
  (refusal ?? document.querySelector("#own-shown"))?.scrollIntoView({ block: refusal ? "center" : "start" });
}"""
# The page numbers what it is given, and tells what it says already: see `given`.
NUMBERED = """(...values) => [
  ...values.slice(0, -2),
  document.querySelector("#own-said")?.textContent ?? "",
  (window.filesGiven = (window.filesGiven ?? 0) + 1),
]"""
GIVEN = "(...values) => [...values.slice(0, -1), window.filesGiven ?? 0]"
# More calls than files are read at once: whoever has too much waiting is refused by `intake.slot`, and is in
# nobody's way. Several may be given one after the other.
SLOW: dict[str, Any] = {"concurrency_limit": 16, "concurrency_id": "data", "api_visibility": "private"}

OfRecipe = Callable[[object, Any, "UploadedDataset | None"], list[Any]]


def look(app: AppState, chosen: Sequence[Any], token: str) -> Inspection:
    """Return what the data is with the panel's fields. DataRefused, StoreError: with a sentence."""
    data_id, roles, evaluation, share, seed = chosen
    said = roles if isinstance(roles, dict) else {}
    inputs, label = said.get("inputs"), said.get("label")
    task, steps = said.get("task"), said.get("clean")
    with intake.slot(app.queue.budget, visitor()):
        return library.look(
            app.store,
            data_id,
            token,
            inputs=[name for name in inputs if isinstance(name, str)][:2] if isinstance(inputs, list) else [],
            label=label if isinstance(label, str) and label else None,
            is_generative=None if task not in ("label", "answer") else task == "answer",
            evaluation=evaluation or None,
            clean=library.read_steps(map(str, steps) if isinstance(steps, list) else []),
            **library.read_split(share, seed),
        )


def how_long_kept() -> str:
    """Return how long own data is kept, in a sentence."""
    hours = limits().keep_hours
    return KEPT if hours is None else KEPT_PUBLIC.format(hours=counted(hours, "hour"))


def readable(data: object) -> UploadedDataset | None:
    """Return the form's data, as it is validated; `ValidationError` where it is none."""
    return UploadedDataset.model_validate(data) if data else None


def as_chosen(data: Any) -> dict[str, Any] | str:
    """The form's data, or why nothing can be learned from it; what is neither is text, which is refused."""
    if isinstance(data, dict) and isinstance(data.get(UNLEARNABLE), str):
        return {UNLEARNABLE: data[UNLEARNABLE]}
    try:
        own = readable(data)
    except ValidationError:
        own = None
    return own.model_dump(mode="json") if own else str(data)[:MAX_QUOTED]


class UploadedPanel:
    """Call `give` and `look_and_say` where they belong on the page, then `connect`.

    `mine` is the list of what the visitor has given.
    """

    def __init__(self, app: AppState, token: gr.BrowserState) -> None:
        self.app, self.token = app, token
        self.private = catalog.hub_ids_allowed()

    def give(self) -> None:
        """Lay out the fields to drop a file, to paste rows, and to choose data that was given before."""
        self.file = gr.File(
            label="Your file, or several",
            show_label=False,
            file_count="multiple",
            file_types=[*TABLES, *PICTURES, *SPREADSHEETS],
            elem_id="own-file",
            height=132,
        )
        # The next one is not added to it: what is read is taken out of the field at once.
        self.taken = gr.File(visible=False, file_count="multiple")
        most = 64 if self.private else 8
        larger = "A larger one by its path." if self.private else how_long_kept()
        self.message = html(elem_id="own-said")
        self.refused = gr.State({"sentences": [], "newest": 0})
        self.mine = gr.Dropdown(
            [],
            show_label=False,
            label="Your data",
            container=False,
            elem_id="own-mine",
            value=None,
            visible=False,
        )
        with gr.Accordion("Paste rows", open=False, elem_classes=["fold"], elem_id="own-paste"):
            html(f'<p class="quiet">{FORMATS}, up to {most} MB. {larger}</p>')
            self.pasted = gr.Textbox(
                label="Rows",
                info="With a first line of names, as out of a spreadsheet.",
                placeholder="text,label",
                lines=2,
                max_lines=6,
                max_length=MAX_PASTED,
                elem_id="own-pasted",
            )
            self.path = text_field(
                "Or a file, or a folder of images, on this machine",
                visible=self.private,
                elem_id="own-path",
                max_length=1000,
            )
            self.read = gr.Button("Read the rows", elem_id="own-read")

    def look_and_say(self) -> None:
        """Lay out the view of the data, as wide as the page, and the fields that say how it is read."""
        with gr.Column(visible=False, elem_id="own-shown") as self.shown:
            self.found = component("train/uploaded.js", None, events=("input",), elem_id="own-found")
            self.roles = gr.JSON(None, visible=False)
            fold = gr.Accordion("Evaluation, name, delete", open=False, elem_classes=["fold"])
            with fold:
                with gr.Row(elem_classes=["own-fields"]):
                    self.evaluation = gr.Dropdown(
                        [],
                        label="Evaluate on",
                        info="Another file of yours; else a share is held out.",
                        elem_id="own-evaluation",
                    )
                    self.share = text_field(
                        "Held out, in %",
                        "Fewer rows make a less sure score.",
                        max_length=10,
                        elem_id="own-share",
                    )
                    self.seed = text_field(
                        "Seed of the split",
                        "Another one holds out other rows.",
                        max_length=10,
                        elem_id="own-seed",
                    )
                with gr.Row(elem_classes=["own-fields"]):
                    self.name = gr.Textbox(label="Name", max_lines=1, max_length=MAX_NAME, elem_id="own-name")
                    self.rename = gr.Button("Rename", elem_id="own-rename")
                    self.delete = gr.Button("Delete …", elem_id="own-delete")
                self.sure = html(visible=False, elem_id="own-sure")
                with gr.Row(visible=False, elem_classes=["own-fields"]) as self.confirm:
                    self.really = gr.Button("Delete it", variant="stop", elem_id="own-really")
                    self.keep = gr.Button("Keep it", elem_id="own-keep")

    @property
    def fields(self) -> list[Any]:
        """The components that say how the chosen data is read."""
        return [self.mine, self.roles, self.evaluation, self.share, self.seed]

    def offer(self, mine_token: str, value: str | None = None) -> dict[str, Any]:
        """Return the visitor's data for the list."""
        records = library.owned(self.app.store, mine_token)
        known = {record.id for record in records}
        return {
            "choices": [(view.choice_label(record), record.id) for record in records],
            "value": value if value in known else None,
            "visible": bool(records),
        }

    def id_of(self, data: UploadedDataset, mine_token: str) -> str | None:
        """Return the visitor's record of what is learned from."""
        records = library.owned(self.app.store, mine_token)
        return next((record.id for record in records if record.sha256 == data.sha256), None)

    def connect(
        self,
        field: Mapping[str, Any],
        *,
        recipe_updates: OfRecipe,
        recipe_outputs: Sequence[Any],
        recount_after: Callable[[Any], Any],
    ) -> Callable[[Any], Any]:
        """Let its parts answer, and fill the form: `recipe_updates` gives `recipe_outputs` their values.

        `recount_after` follows each event that fills the form. What is returned lets the panel show, after an
        event, the data that the form has come to hold by it.
        """
        app, mine, token = self.app, self.mine, self.token
        hidden = gr.update(visible=False)
        section = [self.shown, self.found, self.roles, self.evaluation, self.share, self.seed, self.name]
        asked = [self.sure, self.confirm]
        form = [field["recipe"], *recipe_outputs, field["data"], field["methods"]]
        of_form = [field["m"], field["methods"]]

        def closed() -> list[Any]:
            return [hidden, None, *[gr.skip()] * (len(section) - 2)]

        def opened(data_id: object, said: Sequence[Any], owner: str) -> tuple[Inspection, list[Any]]:
            """Return the inspection of a piece of data, and the updates of the section that shows it."""
            looked = look(app, [data_id, *said], owner)
            record = app.store.datasets.get(data_id, owner)
            others = [(one.name, one.id) for one in app.store.datasets.of(owner) if one.kind == record.kind]
            shown = view.look_of(looked, record.name)
            held_out = gr.update(value=said[SHARE], visible=view.is_held_out(looked) or looked.data is None)
            return looked, [
                gr.update(visible=True),
                shown,
                shown["roles"],
                gr.update(
                    choices=[("A held-out share", ""), *(one for one in others if one[1] != record.id)],
                    value=said[1] or "",
                ),
                held_out,
                gr.update(value=said[SEED], visible=held_out["visible"]),
                record.name,
            ]

        def learned(looked: Inspection, name: str, m: Any, methods: Any) -> list[Any]:
            """The form that learns from it: the nearest measured recipe, and the head alone to be beaten."""
            recipe = nearest_recipe(looked.kind)
            value = {"recipe": recipe.key, "own": name}
            if looked.data is None:
                held = {UNLEARNABLE: looked.problem or "Nothing can be learned from it."}
                return [value, *[gr.skip()] * len(recipe_outputs), held, gr.skip()]
            chosen = [one for one in methods if isinstance(one, str)] if isinstance(methods, list) else []
            others = [one for one in chosen if one != "head"]
            raced = others if looked.kind == "generation" else [*others, "head"]
            data = looked.data.model_dump(mode="json")
            return [value, *recipe_updates(recipe.key, m, looked.data), data, raced]

        def given(  # noqa: PLR0917 (Gradio's call)
            uploaded: object,
            rows: object,
            local: object,
            mine_token: object,
            m: Any,
            methods: Any,
            refused: dict[str, Any],
            seen: object,
            number: object,
            progress: Any = PROGRESS,
        ) -> list[Any]:
            """A file may come while another is read: a refusal stays until the next one is given, and what
            came last is learned from."""
            owner = token_of(mine_token)
            turn = number if isinstance(number, (int, float)) else 0
            refused["newest"] = max(refused["newest"], turn)
            refused["sentences"] = [one for one in refused["sentences"] if one not in str(seen)]

            def told(fraction: float | None, sentence: str) -> None:
                progress(fraction, desc=sentence)

            try:
                with (
                    as_file(uploaded, rows, local if self.private else None) as source,
                    intake.slot(app.queue.budget, visitor()),
                ):
                    record = library.give(
                        app.store, source, owner, limits=limits(), progress=told, read=import_in_child
                    )
                told(None, "Looking at what is in it")
                looked, filled = opened(record.id, GUESSED, owner)
            except UserError as error:
                refused["sentences"].append(without_paths(str(error)))
                said = "".join(map(problem, refused["sentences"]))
                return [said, gr.skip(), *[gr.skip()] * len([*section, *form]), owner, *[gr.skip()] * 2]
            said = "".join(map(problem, refused["sentences"]))
            if turn < refused["newest"]:
                skipped = [gr.skip()] * len([*section, *form])
                return [said, gr.update(**self.offer(owner, record.id)), *skipped, owner, *[gr.skip()] * 2]
            form_now = learned(looked, record.name, m, methods)
            return [said, gr.update(**self.offer(owner, record.id)), *filled, *form_now, owner, "", ""]

        last = [self.refused, gr.Textbox(visible=False), gr.Number(visible=False)]
        reading: dict[str, Any] = {
            **SLOW,
            "outputs": [self.message, mine, *section, *form, token, self.pasted, self.path],
            "show_progress_on": self.message,  # Gradio would draw it on each output
            "trigger_mode": "multiple",
            "js": NUMBERED,
        }
        rest = [self.pasted, self.path, token, *of_form, *last]
        taken = self.file.upload(
            None,
            self.file,
            [self.taken, self.file],
            js="(file) => [file, null]",
            trigger_mode="multiple",
            api_visibility="private",
        )
        for read in (
            self.read.click(given, [self.file, *rest], **reading),
            taken.then(given, [self.taken, *rest], **reading),
        ):
            recount_after(read)
            read.then(None, None, None, js=SHOW)

        def chosen_of(data_id: object, mine_token: object, m: Any, methods: Any) -> list[Any]:
            owner = token_of(mine_token)
            try:
                looked, filled = opened(data_id, GUESSED, owner)
            except UserError as error:
                return [problem(str(error)), *closed(), *[gr.skip()] * len(form)]
            return ["", *filled, *learned(looked, filled[-1], m, methods)]

        recount_after(
            mine.input(
                chosen_of,
                [mine, token, *of_form],
                [self.message, *section, *form],
                **SLOW,
                show_progress_on=self.message,
            )
        )

        def mapped(*given_now: Any) -> list[Any]:
            *said, name, mine_token, m, methods = given_now
            return said_anew(said, name, token_of(mine_token), m, methods)

        def said_anew(said: Sequence[Any], name: str, owner: str, m: Any, methods: Any) -> list[Any]:
            try:
                looked, (_, *filled, _) = opened(said[0], said[1:], owner)
            except UserError as error:
                held = {UNLEARNABLE: str(error)}
                return [problem(str(error)), *[gr.skip()] * 4, *_data_alone(len(form), held)]
            found, roles, _, share, seed = filled
            share, seed = gr.update(visible=share["visible"]), gr.update(visible=seed["visible"])
            return ["", found, roles, share, seed, *learned(looked, str(name), m, methods)]

        of_roles = [self.message, self.found, self.roles, self.share, self.seed, *form]
        inputs = [*self.fields, self.name, token, *of_form]
        changed = [one.input for one in (self.evaluation, self.share, self.seed)]
        changed += [self.share.blur, self.seed.blur]  # what is typed while it is shown has no input event
        recount_after(gr.on(changed, mapped, inputs, of_roles, **LATEST))

        def with_roles(event: gr.EventData, *given_now: Any) -> list[Any]:
            data_id, _, *rest = given_now
            return mapped(data_id, event._data, *rest)

        recount_after(self.found.input(with_roles, inputs, of_roles, **LATEST))

        def renamed(data_id: object, new: str, mine_token: object) -> list[Any]:
            owner = token_of(mine_token)
            try:
                record = library.rename(app.store, data_id, str(new), owner)
            except StoreError as error:
                return [problem(str(error)), gr.skip()]
            return ["", gr.update(**self.offer(owner, record.id))]

        by = [self.rename.click, self.name.submit]
        named = gr.on(by, renamed, [mine, self.name, token], [self.message, mine], **LATEST)
        recount_after(named.then(mapped, inputs, of_roles, **LATEST))

        def asking(data_id: object, mine_token: object) -> list[Any]:
            try:
                lost = library.losses(app.store, data_id, token_of(mine_token))
            except StoreError as error:
                return [gr.update(value=problem(str(error)), visible=True), hidden]
            return [gr.update(value=view.losses(lost), visible=True), gr.update(visible=True)]

        self.delete.click(asking, [mine, token], asked, **LATEST)
        self.keep.click(lambda: [hidden] * 2, None, asked, **LATEST)

        def deleted(data_id: object, mine_token: object) -> list[Any]:
            owner = token_of(mine_token)
            try:
                library.remove(app.store, data_id, owner)
            except StoreError as error:
                return [problem(str(error)), gr.update(**self.offer(owner)), *closed(), hidden, hidden]
            return ["", gr.update(**self.offer(owner)), *closed(), hidden, hidden]

        removed = self.really.click(deleted, [mine, token], [self.message, mine, *section, *asked], **LATEST)
        recount_after(removed)  # it may be what the form learns from

        # A recipe, or data of the hub, in place of one's own.
        def without(chosen: Any, m: Any) -> list[Any]:
            key = recipe_key(chosen)
            return [*recipe_updates(key, m, None), None, None, *closed()]

        of_recipe = [*recipe_outputs, field["data"], mine, *section]
        recount_after(field["recipe"].input(without, [field["recipe"], field["m"]], of_recipe, **LATEST))

        def instead(dataset: object, chosen: Any) -> list[Any]:
            if not dataset:  # its field was left as it was, which is an input, too
                return [gr.skip()] * (3 + len(section))
            return [{"recipe": recipe_key(chosen), "own": None}, None, None, *closed()]

        of_dataset = [field["recipe"], field["data"], mine, *section]
        recount_after(
            field["dataset"].input(instead, [field["dataset"], field["recipe"]], of_dataset, **LATEST)
        )

        def held(data: Any, mine_token: object, refused: dict[str, Any], number: object) -> list[Any]:
            """Show the form's data, unless somebody gives other data while it is looked for."""
            found = looked_for(data, mine_token)
            given_before = number if isinstance(number, (int, float)) else 0
            return [gr.skip()] * len(found) if refused["newest"] > given_before else found

        def looked_for(data: Any, mine_token: object) -> list[Any]:
            owner = token_of(mine_token)
            try:
                own = readable(data)
            except ValidationError:  # what nothing can be learned from, or no data
                own = None
            data_id = self.id_of(own, owner) if own else None
            if own is None or data_id is None:
                return [gr.update(**self.offer(owner)), *closed()]
            roles = {
                "task": "answer" if own.kind == "generation" else "label",
                "inputs": list(own.inputs),
                "label": own.label,
                "clean": list(own.clean),
            }
            records = library.owned(app.store, owner)
            evaluation = next((one.id for one in records if one.sha256 == own.evaluation_sha256), None)
            said = [roles, evaluation, f"{100 * own.held_out:g}", str(own.split_seed)]
            try:
                _, filled = opened(data_id, said, owner)
            except UserError:
                return [gr.update(**self.offer(owner)), *closed()]  # Start says what is wrong with it
            return [gr.update(**self.offer(owner, data_id)), *filled]

        what = [field["data"], token, self.refused, gr.Number(visible=False)]
        return lambda event: event.then(held, what, [mine, *section], js=GIVEN, **LATEST)


def _data_alone(count: int, data: Any) -> list[Any]:
    """Updates of the form that change its data, the last but the methods, and nothing else."""
    return [*[gr.skip()] * (count - 2), data, gr.skip()]
