"""Named endpoints for data of one's own: /datasets, /upload_dataset, /describe_dataset, /delete_dataset."""

from __future__ import annotations

import secrets
from base64 import b64decode
from collections.abc import Callable, Mapping
from typing import Any

from cdvft_app.data import library
from cdvft_app.data.imported_table import import_in_child
from cdvft_app.data.inspect import Inspection, as_dict, nearest_recipe
from cdvft_app.data.source import MAX_PASTED, DataRefused, limits
from cdvft_app.public import intake
from cdvft_app.store.datasets import DataRecord
from cdvft_app.store.records import StoreError
from cdvft_app.ui.shared.named_endpoint import named_endpoint
from cdvft_app.ui.shared.problem import refusal
from cdvft_app.ui.shared.state import AppState
from cdvft_app.ui.shared.typed_rows import as_file
from cdvft_app.ui.shared.viewing import visitor

TOGETHER = 16  # calls; how many files are read at once, and for whom, is for `intake.turn` to say
WORDS = (
    "id", "token", "text", "label", "prompt", "answer", "evaluation", "held_out_percent", "split_seed",
    "clean",
)  # fmt: skip


def chosen(app: AppState, settings: object) -> tuple[Any, str | None]:
    """Settings of /start with their "data" as a run needs it, and its owner's token, None without data.

    "data" is {"id", "token"}, and where the guess is wrong "text" (a list of columns) and "label" (a column),
    or "prompt" and "answer" in their place for what is to be written, "evaluation" (the id of other rows),
    "held_out_percent", "split_seed" and "clean" (steps that mend the rows before). What names no recipe gets
    the nearest measured one.
    """
    data = settings.get("data") if isinstance(settings, dict) else None
    if not isinstance(settings, dict) or data is None:
        return settings, None
    if not isinstance(data, dict) or set(data) - {*WORDS}:
        raise refusal(f"data: it is an object of {', '.join(WORDS)}; /upload_dataset gives id and token.")
    token = _token(data.get("token"))
    looked = _looked(app, data, token)
    own = _or_refusal(lambda: library.chosen(looked))
    recipe = nearest_recipe(own.kind).key
    return {"recipe": recipe, **settings, "data": own.model_dump(mode="json")}, token


def register(app: AppState) -> None:
    """Add the endpoints to the Blocks that are being built."""

    def datasets(token: str) -> dict[str, Any]:
        """The data that was uploaded with this token, with size and rows."""
        return {"datasets": [vars(record) for record in library.owned(app.store, _token(token))]}

    def upload_dataset(
        rows: str = "", name: str = "pasted rows", token: str = "", file: str = ""
    ) -> dict[str, Any]:
        """Keep rows, the text of a CSV, TSV or JSONL file of up to 400,000 characters.

        Or a `file`, such as a zip of pictures: its bytes in base64, in a request of up to 1 MB. Without a
        token of before it gives a new one, which alone can use and delete the data.
        """
        if not isinstance(rows, str) or len(rows) > MAX_PASTED or not isinstance(name, str):
            raise refusal(f"rows: give the text of a file, of at most {MAX_PASTED:,} characters.")
        try:
            content = b64decode(file, validate=True)
        except (ValueError, TypeError):
            raise refusal("file: give the bytes of a file in base64.") from None
        owner = _token(token or secrets.token_urlsafe(32))

        def give() -> DataRecord:
            with as_file(None, content or rows, None) as source, intake.turn(app.queue.budget, visitor()):
                return library.give(app.store, source, owner, name, limits=limits(), read=import_in_child)

        record = _or_refusal(give)
        return {"id": record.id, "token": owner, "name": record.name, "rows": record.rows}

    def describe_dataset(  # noqa: PLR0917 - Gradio hands arguments over by their places
        id: str,
        token: str,
        text: list[str] | None = None,
        label: str = "",
        evaluation: str = "",
        prompt: list[str] | None = None,
        answer: str = "",
        held_out_percent: float | None = None,
        split_seed: int = 0,
        clean: list[str] | None = None,
    ) -> dict[str, Any]:
        """What would be learned from it: columns, task, classes, split, faults, warnings and what mends them.

        With `prompt` and `answer` in place of text and label: what would be learned to be written. `clean`
        are steps that mend the rows before, such as those of `mended_by`.
        """
        data: Mapping[str, Any] = {
            "id": id, "text": text, "label": label, "evaluation": evaluation, "prompt": prompt,
            "answer": answer, "held_out_percent": held_out_percent, "split_seed": split_seed,
            "clean": clean,
        }  # fmt: skip
        return as_dict(_looked(app, data, _token(token)))

    def delete_dataset(id: str, token: str) -> dict[str, Any]:
        """Delete it; `cannot_resume` names the runs that then lose their rows."""
        lost = _or_refusal(lambda: library.losses(app.store, id, _token(token)))
        _or_refusal(lambda: library.remove(app.store, id, _token(token)))
        return {"id": id, "cannot_resume": lost}

    for call in (datasets, upload_dataset, describe_dataset, delete_dataset):
        named_endpoint(call, concurrency_limit=TOGETHER, concurrency_id="data_api")


def _looked(app: AppState, data: Mapping[str, Any], token: str) -> Inspection:
    """What would be learned from data as it is described in a request."""
    steps = data.get("clean") or []
    steps = [steps] if isinstance(steps, str) else steps
    if not isinstance(steps, list) or not all(isinstance(one, str) for one in steps):
        raise refusal("data: clean is a list of steps, each a text.")
    columns = {name: data.get(name) or [] for name in ("text", "prompt")}
    columns = {name: [one] if isinstance(one, str) else one for name, one in columns.items()}
    names = [data.get("label") or "", data.get("answer") or ""]
    if not all(isinstance(one, list) for one in columns.values()) or not all(
        isinstance(one, str) for one in [*columns["text"], *columns["prompt"], *names]
    ):
        raise refusal("data: text and prompt are lists of columns, label and answer are each a column.")

    def look() -> Inspection:
        with intake.turn(app.queue.budget, visitor()):
            return library.look(
                app.store,
                data.get("id"),
                token,
                **library.read_roles(columns["text"], names[0], columns["prompt"], names[1]),
                evaluation=data.get("evaluation") or None,
                **library.read_split(data.get("held_out_percent"), data.get("split_seed")),
                clean=library.read_steps(steps),
            )

    return _or_refusal(look)


def _token(given: object) -> str:
    if not isinstance(given, str) or not given:
        raise refusal("token: it is the text that /upload_dataset gave.")
    return given


def _or_refusal(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except (DataRefused, StoreError) as error:
        raise refusal(str(error)) from None
