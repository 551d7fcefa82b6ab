"""A prompt for models that write: every method's answer, and the untrained model's, as they are written."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator
from typing import Any

import gradio as gr

from cdvft_app.errors import UserError
from cdvft_app.payloads.use import Writing
from cdvft_app.results import inputs
from cdvft_app.results.answering import Answering
from cdvft_app.results.finished_run import FinishedRun, prepare
from cdvft_app.ui.shared.component import component
from cdvft_app.ui.shared.listeners import QUIET
from cdvft_app.ui.shared.pool import SessionStreams
from cdvft_app.ui.shared.state import AppState
from cdvft_app.ui.use import races

# JavaScript: the view of writing that failed. That which was cancelled counts as failed, and is emptied.
FAILED = """(said) => said.running
  ? { ...said, running: false, status: "", problem: "This failed; press Write to try again." } : said"""
EMPTY: Writing = {"prompt": "", "sides": [], "status": "", "problem": "", "running": False}


class Prompt:
    """The prompt box with its buttons, and the columns under it; hidden until such a race is opened."""

    def __init__(self) -> None:
        with gr.Column(visible=False, elem_classes=["use-write"]) as self.column:
            self.prompt = gr.Textbox(
                label="Prompt", lines=3, max_lines=12, max_length=inputs.MAX_CHARACTERS, elem_id="use-prompt",
                info="Several turns: begin each with System:, User: or Assistant:, an empty line between.",
            )  # fmt: skip
            with gr.Accordion("Temperature, length, seed", open=False, elem_classes=["fold"]):
                self.temperature = gr.Slider(
                    0, inputs.MAX_TEMPERATURE, value=0, step=0.1, label="Temperature",
                    elem_id="use-temperature",
                    info="0: always the most probable piece. Higher: more is left to chance.",
                )  # fmt: skip
                self.length = gr.Slider(
                    8,
                    inputs.MAX_ANSWER_TOKENS,
                    value=128,
                    step=8,
                    label="Longest answer",
                    info="In tokens.",
                    elem_id="use-length",
                )
                self.seed = gr.Number(
                    0,
                    precision=0,
                    minimum=0,
                    label="Seed",
                    info="Same seed, same chance.",
                    elem_id="use-seed",
                )
            with gr.Row(elem_classes=["go-buttons"]):
                self.write = gr.Button("Write", variant="primary", elem_id="use-write")
                self.stop = gr.Button("Stop", interactive=False, elem_id="use-stop")
            self.view = component("use/write.js", EMPTY, elem_id="use-written")

    def opened(self, run: FinishedRun) -> list[Any]:
        """Updates of `outputs` for a race of this run."""
        writes = run.plan.model.kind == "generation"
        own = run.plan.settings.own_prompt or run.plan.dataset.example
        return [gr.update(visible=writes), gr.update(value=own) if writes else gr.skip(), EMPTY]

    @property
    def outputs(self) -> list[Any]:
        return [self.column, self.prompt, self.view]


def connect(
    app: AppState,
    answering: Answering,
    race: gr.Dropdown,
    at: Prompt,
    *,
    get_ready: Callable[[object], None],
    asking: dict[str, Any],
) -> gr.events.Dependency:
    """Return the event that writes.

    `get_ready` loads a race's models; `asking`: how a listener waits its turn.
    """
    streams = SessionStreams(answering)

    def writing(group_id: object, prompt: object, how: dict[str, Any]) -> Generator[Writing, None, None]:
        said: Writing = {**EMPTY, "prompt": str(prompt), "running": True}
        try:
            runs = races.require(app.store, group_id)
            inputs.prompt(runs[0], prompt)
            numbers = inputs.how_to_write(**how)
            yield {**said, "status": races.first_needs(runs[0]) or "Getting the models ready …"}
            prepare(runs[0])
            for sides in answering.stream(
                "stream", run_ids=[one.record.id for one in runs], prompt=prompt, **numbers
            ):
                said = {**said, "sides": sides, "status": "Writing …"}
                yield said
            stopped = not all(side["ended"] for side in said["sides"])
            yield {**said, "status": "Stopped." if stopped else "", "running": False}
        except UserError as error:
            yield {**said, "status": "", "problem": str(error), "running": False}

    async def write(given: dict[Any, Any], request: gr.Request) -> AsyncIterator[list[Any]]:
        how = {"temperature": given[at.temperature], "length": given[at.length], "seed": given[at.seed]}
        with streams.of(request, writing(given[race], given[at.prompt], how)) as items:
            async for said in items:
                able = gr.update(interactive=said["running"] and bool(said["sides"]))
                yield [said, able]

    given = {race, at.prompt, at.temperature, at.length, at.seed}
    running = gr.on(
        [at.write.click, at.prompt.submit], write, given, [at.view, at.stop],
        **{**asking, "show_progress": "hidden"},
    )  # fmt: skip
    running.failure(lambda: gr.update(interactive=False), None, at.stop, **QUIET)
    running.failure(None, at.view, at.view, js=FAILED, **QUIET)
    at.stop.click(streams.stop_own, None, None, **QUIET)
    at.prompt.focus(get_ready, race, None, **{**asking, "show_progress": "hidden"})
    return running
