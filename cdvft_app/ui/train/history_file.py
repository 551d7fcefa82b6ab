"""The visitor's own history as one file, and back, below the list of races."""

from __future__ import annotations

from dataclasses import asdict, replace
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from cdvft_app import catalog
from cdvft_app.errors import UserError
from cdvft_app.format import counted
from cdvft_app.public import intake
from cdvft_app.results.finished_run import ResultsError
from cdvft_app.settings import RunSettings
from cdvft_app.settings.environment import environment
from cdvft_app.store import replication
from cdvft_app.store.history_file import (
    PAGE,
    Limits,
    export_history,
    import_untrusted,
    imported_bytes,
    unpack,
)
from cdvft_app.store.records import StoreError
from cdvft_app.ui.shared import files
from cdvft_app.ui.shared.component import telling
from cdvft_app.ui.shared.controls import html
from cdvft_app.ui.shared.problem import problem
from cdvft_app.ui.shared.state import AppState, token_of
from cdvft_app.ui.shared.viewing import visitor

TITLE = "Take your history along, or bring one back"
ABOUT = (
    "Your ended runs as one zip: settings, curves, factors, adapters. It is read here again, on a Space that "
    "has restarted, or by a studio elsewhere; what you bring is yours."
)
LOST = (
    "This Space forgets its history when it restarts. Take what you want to keep along, below, or push it to "
    "the hub on the Use tab."
)
NONE = "None of the runs here is yours, or none has ended: there is nothing to take along."
FULL = (
    "The runs that visitors brought here fill the {:g} MB there are for them (CDVFT_UPLOAD_BYTES). Some must "
    "be deleted first."
)
MAX_EXPORTED = 10**9  # bytes
WORKING: dict[str, Any] = {
    "concurrency_limit": 1,
    "concurrency_id": "history-file",
    "api_visibility": "private",
    "show_progress": "minimal",
    "trigger_mode": "once",
}
# Who brings what, and when, is for `intake.slot` to say.
BRINGING = {**WORKING, "concurrency_limit": 16, "concurrency_id": "history-given"}


def history_file(app: AppState, token: gr.BrowserState, view: gr.HTML) -> None:
    """Lay it out and connect it; `view` is the history, which asks for a file of chosen runs."""
    if environment().space and environment().kept is None:
        html(f'<p class="hint" id="forgets">{LOST}</p>')
    with gr.Accordion(TITLE, open=False, elem_classes=["fold"], elem_id="history-file") as fold:
        html(f'<p class="hint">{ABOUT}</p>')
        make = gr.Button("Make the file", elem_id="history-make")
        file = gr.File(label="Your history", interactive=False, visible=False, elem_id="history-zip")
        given = gr.File(
            label="Bring a history back", file_types=[".zip"], file_count="single", elem_id="history-given"
        )
        message = html(elem_id="history-said")

    def made(mine: str, only: object = None) -> tuple[Any, str]:
        try:
            out, said = export(app, token_of(mine), only)
        except UserError as error:
            return gr.update(visible=False, value=None), problem(str(error))
        return gr.update(visible=True, value=str(out)), said

    def brought(path: Any, mine: str) -> tuple[Any, str, str]:
        mine = token_of(mine)
        if not isinstance(path, str):
            return None, "", mine
        try:
            return None, bring(app, Path(path), mine), mine
        except UserError as error:
            return None, problem(str(error)), mine

    def chosen(event: gr.EventData, mine: str) -> tuple[Any, str, Any]:
        return *made(mine, event._data), gr.update(open=True)

    make.click(made, token, [file, message], **WORKING)
    view.export_runs(chosen, token, [file, message, fold], **WORKING)
    taken = given.upload(brought, [given, token], [given, message, token], **BRINGING)
    taken.then(None, None, None, js=telling("runs-changed"))


def export(app: AppState, token: str, only: object = None) -> tuple[Path, str]:
    """The file of the token's own runs, or of those {"runs": ids} that are its own; what is in it as HTML.

    Raises:
        StoreError, ResultsError: there is none; why.
    """
    most = PAGE.file_bytes if environment().public else MAX_EXPORTED
    told = 0, 0
    ids = only.get("runs") if isinstance(only, dict) else None
    chosen = None if only is None else {str(one) for one in ids or () if isinstance(one, str)}

    def write(out: Path) -> None:
        nonlocal told
        told = export_history(app.store, out, token, most, chosen)
        if not told[0]:
            out.unlink()
            raise ResultsError(NONE)

    out = files.export("cdvft-history.zip", write)
    written, left = told
    size = out.stat().st_size
    said = [f"{counted(written, 'run')}, {size / 1e6:.1f} MB."]
    if left:
        takes = f"a file takes {most / 1e6:g} MB of runs."
        said.append(f"Left out, as the oldest: {counted(left, 'run')}; {takes}")
    if size > PAGE.file_bytes:
        said.append(
            f"The page takes back up to {PAGE.file_bytes / 1e6:.0f} MB; this one goes back by "
            "python -m cdvft_app history import."
        )
    return out, f'<p role="status">{" ".join(said)}</p>'


def bring(app: AppState, file: Path, token: str) -> str:
    """Take the runs of a file for the token; what became of them as HTML.

    Raises:
        StoreError: nothing was taken; why.
    """
    room = PAGE.unpacked_bytes
    if environment().public:
        room = min(room, environment().upload_bytes - imported_bytes(app.store))
        if room <= 0:
            raise StoreError(FULL.format(environment().upload_bytes / 1e6))
    who = visitor()
    with intake.slot(app.queue.budget, who):
        taken = import_untrusted(
            app.store,
            file,
            token,
            private=environment().public,
            visitor=who,
            check=_check,
            unpack=_unpack_in_child,
            limits=replace(PAGE, unpacked_bytes=room),
        )
    for run_id in taken.ids:
        replication.replicate(app.store, run_id)
    said = [f"{counted(len(taken.ids), 'run')} taken."]
    if taken.known:
        said.append(f"{taken.known} {'was' if taken.known == 1 else 'were'} here before.")
    if taken.refused:
        said.append(f"{len(taken.refused)} not taken: {taken.refused[0]}")
    return f'<p role="status">{escape(" ".join(said))}</p>'


def _unpack_in_child(file: Path, place: Path, here: list[str], limits: Limits) -> dict[str, Any]:
    found: dict[str, Any] = intake.read_in_child(
        unpack,
        str(file),
        str(place),
        here,
        asdict(limits),
        limits=intake.child_limits(),
        imports=("safetensors.numpy",),
        refusals=(StoreError,),
    )
    return found


def _check(settings: RunSettings) -> None:
    catalog.resolve(settings)
