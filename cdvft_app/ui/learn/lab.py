"""The lab of the Learn tab: fit a chosen matrix with CDVFT and LoRA, and show the fits as they arrive."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Generator, Mapping
from typing import Any

import gradio as gr
from anyio import CapacityLimiter, to_thread

from cdvft_app import ASSETS
from cdvft_app.catalog import libraries
from cdvft_app.errors import UserError
from cdvft_app.payloads.learn import LabView
from cdvft_app.public.budget import OverBudget
from cdvft_app.training import children
from cdvft_app.ui.learn.lab_table import lab_view
from cdvft_app.ui.learn.lab_targets import SIZES, TARGETS, layer_choices, make, run_choices
from cdvft_app.ui.learn.shared_fits import EMPTY, SharedFits, Viewer, Work
from cdvft_app.ui.shared.component import telling
from cdvft_app.ui.shared.controls import LATEX, html
from cdvft_app.ui.shared.listeners import QUIET
from cdvft_app.ui.shared.problem import without_paths
from cdvft_app.ui.shared.state import AppState, OnVisit
from cdvft_app.ui.shared.viewing import visitor

RECORDED = ASSETS / "recorded_fit.json"  # written by benchmarks/record_lessons.py
SIZE = "Size n"
IDLE = "No fit is running."
STOPPED = "Stopped. The fits so far are shown."
PREPARING = 4  # threads that build target matrices
MAX_VIEWERS = 64  # more wait in Gradio's queue

TEXT = r"""## Lab: fit a matrix

How well do $m$ diagonal and $m - 1$ circulant factors approximate a matrix? Choose a target and press Fit.
LoRA gets the best rank with no more parameters, by SVD.
"""


def lab(app: AppState) -> OnVisit:
    """Build the lab. The address can name a target and a size (&target=toeplitz&n=32)."""
    with gr.Column(elem_id="lesson-lab", elem_classes=["lab"]):
        gr.Markdown(TEXT, latex_delimiters=LATEX, elem_classes=["lesson-text"])
        with gr.Row(elem_classes=["lab-form"]):
            name = gr.Dropdown(
                list(TARGETS),
                value="smooth_kernel",
                label="Target",
                info="A known kind, or a layer of a run.",
                elem_id="lab-target",
            )
            size = gr.Dropdown(
                list(SIZES), value=32, label=SIZE, info="Rows and columns.", elem_id="lab-size"
            )
            most_m = gr.Slider(
                1,
                5,
                value=3,
                step=1,
                label="Factors up to m",
                info="Diagonal factors. More take longer.",
                elem_id="lab-m",
            )
            with gr.Column(elem_classes=["lab-go"]):
                with gr.Row(elem_classes=["lab-buttons"]):
                    fit = gr.Button("Fit", variant="primary", elem_id="lab-fit")
                    stop = gr.Button("Stop", elem_id="lab-stop", interactive=False)
                html(f'<p class="quiet">{IDLE}</p>', elem_classes=["lab-reason"])
        with gr.Row(visible=False, elem_classes=["lab-run"]) as of_run:
            run = gr.Dropdown([], label="Finished run", elem_id="lab-run")
            layer = gr.Dropdown([], label="Layer (first n rows and columns)", elem_id="lab-layer")
        view = lab_view(_recorded())

    def choose(chosen: object) -> list[Any]:
        runs = run_choices(app.store) if chosen == "run" else []
        first = runs[0][1] if runs else None
        return [gr.update(visible=chosen == "run"), gr.update(choices=runs, value=first)]

    def choose_run(run_id: object) -> Any:
        found = layer_choices(app.store, run_id) if run_id else []
        return gr.update(choices=found, value=found[0][1] if found else None)

    def asked(inputs: dict[Any, Any], who: str | None) -> tuple[str, Work]:
        """Return a key of the requested fit, and the work that computes it."""
        libraries.load()
        from cdvft_app.lessons.fitting import fitted_on_one_thread

        budget, m = app.queue.budget, inputs[most_m]
        request = {"target": inputs[name], "n": inputs[size], "run": inputs[run], "module": inputs[layer]}
        matrix, about = make(app.store, request)
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

    name.input(choose, name, [of_run, run], **QUIET)
    run.change(choose_run, run, layer, **QUIET)
    running = fit.click(
        fit_shared,
        {name, size, most_m, run, layer},
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
    """Return target and size of an address; skip what is missing or unknown."""
    target, n = address.get("target"), address.get("n", "")
    known = {key for _, key in TARGETS} - {"run"}
    return [
        target if target in known else gr.skip(),
        int(n) if n in map(str, SIZES) else gr.skip(),
    ]


def _not_fitted(error: Exception) -> LabView:
    return {**EMPTY, "status": "Not fitted", "sentence": without_paths(str(error))}


def _recorded() -> dict[str, Any]:
    """Return the recorded fit that the lab shows first."""
    return json.loads(RECORDED.read_text(encoding="utf-8"))
