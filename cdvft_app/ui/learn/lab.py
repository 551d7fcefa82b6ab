"""The lab of the Learn tab: fits a chosen matrix by each family, and shows the fits as they come."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Generator, Mapping
from typing import Any

import gradio as gr
from anyio import CapacityLimiter, to_thread

from cdvft_app import ASSETS
from cdvft_app.catalog import libraries
from cdvft_app.data.drawing import SIDE
from cdvft_app.errors import UserError
from cdvft_app.payloads.learn import LabView
from cdvft_app.public import intake
from cdvft_app.public.budget import OverBudget
from cdvft_app.training import children
from cdvft_app.ui.learn.lab_table import lab_view
from cdvft_app.ui.learn.lab_targets import OWN, SIZES, TARGETS, layer_choices, make, run_choices
from cdvft_app.ui.learn.shared_fits import EMPTY, SharedFits, Viewer, Work
from cdvft_app.ui.shared.component import component, telling
from cdvft_app.ui.shared.controls import LATEX, html
from cdvft_app.ui.shared.listeners import QUIET
from cdvft_app.ui.shared.problem import without_paths
from cdvft_app.ui.shared.state import AppState, OnVisit
from cdvft_app.ui.shared.viewing import visitor

RECORDED = ASSETS / "recorded_fit.json"  # written by benchmarks/record_lessons.py
SIZE = "Size n"
IDLE = "No fit is running to stop."
STOPPED = "Stopped; what was found is shown"
PREPARING = 4  # threads that read or make the matrices asked for
MAX_VIEWERS = 64  # at the same time; more wait in Gradio's queue

TEXT = r"""## Fit a matrix

How much of a given matrix can each form say, with how many numbers? Choose a target and press Fit: this
server searches $m = 1, 2, \dots$ circulant-diagonal factors and circulant blocks between two diagonals, and
beside them the best low rank (by SVD), the best Fourier entries (places counted, since they were chosen for
the target), random ones as FourierFT has them, and the best circulant blocks. Up to 64 × 64 it takes
seconds; larger ones stop after a minute with the best found by then. Whoever asks for the same fit shares
it; others come by turns.
"""


def lab(app: AppState) -> OnVisit:
    """Lay the lab out and connect it; a visit chooses what the address names (&target=toeplitz&n=32)."""
    with gr.Column(elem_id="lesson-lab", elem_classes=["lab"]):
        gr.Markdown(TEXT, latex_delimiters=LATEX, elem_classes=["lesson-text"])
        with gr.Row(elem_classes=["lab-form"]):
            name = gr.Dropdown(
                list(TARGETS),
                value="smooth_kernel",
                label="Target",
                info="A known kind, from a run, or your own.",
                elem_id="lab-target",
            )
            size = gr.Dropdown(
                list(SIZES), value=32, label=SIZE, info="n rows, n columns.", elem_id="lab-size"
            )
            most_m = gr.Slider(
                1,
                5,
                value=3,
                step=1,
                label="Factors up to m",
                info="m diagonals: more reach more, and take longer.",
                elem_id="lab-m",
            )
            with gr.Column(elem_classes=["lab-go"]):
                with gr.Row(elem_classes=["lab-buttons"]):
                    fit = gr.Button("Fit", variant="primary", elem_id="lab-fit")
                    stop = gr.Button("Stop", elem_id="lab-stop", interactive=False)
                html(f'<p class="quiet">{IDLE}</p>', elem_classes=["lab-reason"])
        with gr.Row(visible=False, elem_classes=["lab-run"]) as of_run:
            run = gr.Dropdown([], label="Finished run", elem_id="lab-run")
            layer = gr.Dropdown(
                [], label="Layer; its first n rows and columns are fitted", elem_id="lab-layer"
            )
        with gr.Column(visible=False) as of_drawing:
            drawing = component("learn/matrix_pad.js", elem_id="lab-pad")
        file = gr.File(
            label="A square .npy matrix up to 256 × 256, or a PNG or JPEG picture, up to 2 MB",
            file_types=[".npy", ".png", ".jpg", ".jpeg"],
            visible=False,
            elem_id="lab-file",
            height=120,
        )
        view = lab_view(_recorded())

    def size_of(chosen: object, path: object) -> Any:
        if chosen == "drawing":
            return gr.update(interactive=False, value=SIDE, label=f"{SIZE} of drawings")
        if chosen == "file" and str(path).lower().endswith(".npy"):
            return gr.update(interactive=False, label=f"{SIZE} (not for .npy)")
        return gr.update(interactive=True, label=SIZE)

    def choose(chosen: object, path: object) -> list[Any]:
        runs = run_choices(app.store) if chosen == "run" else []
        first = runs[0][1] if runs else None
        visibility = [gr.update(visible=chosen == own) for own in OWN]
        return [*visibility, size_of(chosen, path), gr.update(choices=runs, value=first)]

    def choose_run(run_id: object) -> Any:
        found = layer_choices(app.store, run_id) if run_id else []
        return gr.update(choices=found, value=found[0][1] if found else None)

    def asked(inputs: dict[Any, Any], who: str | None) -> tuple[str, Work]:
        """Return a key of the fit that is asked for, and the work that computes it."""
        libraries.load()
        from cdvft_app.lessons.fitting import fitted_on_one_thread

        request = {
            "target": inputs[name],
            "n": inputs[size],
            "path": inputs[file],
            "drawing": inputs[drawing],
        }
        budget, m = app.queue.budget, inputs[most_m]
        with intake.slot(budget, who if inputs[name] == "file" else None):
            matrix, about = make(app.store, request | {"run": inputs[run], "module": inputs[layer]})
        budget.require(who, 0)
        numbers = matrix.numpy()

        def fit_steps() -> Generator[LabView, None, None]:
            try:
                with budget.spending(who, "fit"):
                    yield from children.stream(fitted_on_one_thread, numbers, m, about)
            except (ValueError, OverBudget, children.ChildEnded) as error:
                yield _not_fitted(error)

        key = hashlib.sha256(repr((numbers.shape, m, about)).encode() + numbers.tobytes()).hexdigest()
        return key, fit_steps

    fits = SharedFits()
    preparing = CapacityLimiter(PREPARING)
    viewers: dict[str | None, Viewer] = {}  # by session

    async def fit_shared(inputs: dict[Any, Any], request: gr.Request) -> AsyncIterator[LabView]:
        who = visitor()
        try:
            key, work = await to_thread.run_sync(asked, inputs, who, limiter=preparing)
            viewer = viewers[request.session_hash] = fits.look(key, who, work)
        except (ValueError, UserError) as error:
            yield _not_fitted(error)
            return
        view = EMPTY
        try:
            async for view in viewer.views():
                yield view
            if viewer.has_left:
                yield {**view, "running": False, "status": STOPPED}
        finally:
            viewer.leave()
            if viewers.get(request.session_hash) is viewer:
                del viewers[request.session_hash]

    async def end_fit(request: gr.Request) -> None:
        """End what this page waits for. Gradio's `cancels` would miss a fit that is about to begin."""
        if viewer := viewers.get(request.session_hash):
            await viewer.stop()

    name.input(choose, [name, file], [of_run, of_drawing, file, size, run], **QUIET)
    file.change(size_of, [name, file], size, **QUIET)
    run.change(choose_run, run, layer, **QUIET)
    running = fit.click(
        fit_shared,
        {name, size, most_m, file, drawing, run, layer},
        view,
        js=telling("lab-started"),
        show_progress="hidden",
        concurrency_limit=MAX_VIEWERS,
        concurrency_id="lab",
        api_visibility="private",
    )
    stop.click(end_fit, None, None, js=telling("lab-stopped"), **QUIET)
    running.then(None, None, None, js=telling("lab-ended"), **QUIET)
    running.failure(None, None, None, js=telling("lab-failed"), **QUIET)

    def visited(request: gr.Request) -> list[Any]:
        return asked_for(request.query_params)

    return OnVisit(visited, [], [name, size])


def asked_for(address: Mapping[str, str]) -> list[Any]:
    """Target and size as an address names them; what it does not name, or is not offered, is left."""
    target, n = address.get("target"), address.get("n", "")
    known = {key for _, key in TARGETS} - {*OWN}
    return [
        target if target in known else gr.skip(),
        int(n) if n in map(str, SIZES) else gr.skip(),
    ]


def _not_fitted(error: Exception) -> LabView:
    return {**EMPTY, "status": "Not fitted", "sentence": without_paths(str(error))}


def _recorded() -> dict[str, Any]:
    """Return the recorded fit that the lab shows first."""
    return json.loads(RECORDED.read_text(encoding="utf-8"))
