"""The Learn tab: interactive lessons with a question each, and the lab."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from html import escape
from typing import Any

import gradio as gr

from cdvft_app import ASSETS
from cdvft_app.catalog import libraries
from cdvft_app.figures import palette
from cdvft_app.payloads.learn import ContentsEntry, Crossover
from cdvft_app.ui.learn import classroom
from cdvft_app.ui.learn.lab import lab
from cdvft_app.ui.learn.lesson_texts import LESSONS, Lesson, Question, RealLayer, teaching
from cdvft_app.ui.shared.component import component
from cdvft_app.ui.shared.controls import LATEX, html
from cdvft_app.ui.shared.pool import Pool
from cdvft_app.ui.shared.server_functions import refusing
from cdvft_app.ui.shared.state import AppState, OnVisit
from cdvft_app.ui.shared.viewing import visitor

TITLE = "Learn"
_PUNCTUATED = re.compile(r"(?<!\$)\$(?!\$)([^$]+)\$(?!\$)([.,;:])")
MAX_WAITING = 4  # measurements, of a few seconds each
SHARED_SECONDS = 600  # in which a measurement answers everybody


def build(app: AppState) -> OnVisit:
    """Lay the tab out. All of it runs in the browser, except measurements and the lab's fits."""
    calls, of_classes = server_functions(app), classroom.server_functions(app.store.root)
    with gr.Row(elem_classes=["learn"]):
        component(
            "learn/contents.js",
            lessons=[
                *(_entry(lesson.key, lesson.title, lesson.questions[-1].key) for lesson in LESSONS),
                _entry("lab", "Lab: fit a matrix"),
                _entry(teaching.KEY, teaching.TITLE),
            ],
            formerly={former: lesson.key for lesson in LESSONS for former in lesson.formerly},
            elem_classes=("contents",),
            elem_id="lessons",
        )
        with gr.Column(elem_classes=["lessons"]):
            classroom.lay_out_bar(of_classes)
            for lesson in LESSONS:
                _lesson(lesson, dict(calls.get(lesson.module, {})))
            visit = lab(app)
            with gr.Column(elem_id=f"lesson-{teaching.KEY}", elem_classes=["teaching"]):
                gr.Markdown(f"## {teaching.TITLE}", elem_classes=["lesson-text"])
                classroom.lay_out_start(of_classes)
                gr.Markdown(teaching.text(LESSONS), elem_classes=["lesson-text"])
            html('<div class="pager-place"></div>')
    return visit


def _entry(key: str, title: str, last: str = "") -> ContentsEntry:
    return {"key": key, "title": title, "last": last}


def _lesson(lesson: Lesson, calls: dict[str, Callable[[object], Any]]) -> None:
    with gr.Column(elem_id=f"lesson-{lesson.key}", elem_classes=["lesson"]):
        with gr.Column(elem_classes=["lesson-words"]):
            gr.Markdown(
                f"## {lesson.title}\n{_unbroken(lesson.text)}",
                latex_delimiters=LATEX,
                elem_classes=["lesson-text"],
            )
            component("learn/question.js", questions=[_asked(question) for question in lesson.questions])
            gr.Markdown(
                _unbroken(lesson.reasons),
                latex_delimiters=LATEX,
                elem_classes=["lesson-text", "lesson-reasons"],
            )
            _real_layer(lesson.real_layer)
            _answerable(lesson)
        component(
            f"learn/{lesson.module}.js",
            server_functions=calls,
            elem_id=f"play-{lesson.key}",
            elem_classes=("lesson-play", "when-shown"),  # most lessons of a visit are not turned to
            **_fixed(lesson.module),
        )


def _unbroken(text: str) -> str:
    """Return the text with punctuation inside the formula before it, else browsers begin a line with it."""
    return _PUNCTUATED.sub(r"$\1\\text{\2}$", text)


def _asked(question: Question) -> dict[str, Any]:
    told = {name: value for name, value in asdict(question).items() if name != "checks"}
    return {"kind": type(question).__name__.lower(), **told}


def _real_layer(seen: RealLayer) -> None:
    address = f"?tab=factors&factors=recorded-{seen.run}&show={seen.part}"
    html(
        f'<p class="real-layer">Now in a real layer: <a href="{address}">{escape(seen.look_at)}</a>.</p>',
    )


def _answerable(lesson: Lesson) -> None:
    asked = "".join(f"<li>{escape(question)}</li>" for question in lesson.answerable)
    html(f'<div class="answerable"><p>Now you can answer:</p><ul>{asked}</ul></div>')


def _fixed(module: str) -> dict[str, Any]:
    if module not in ("reach", "blocks", "shapes"):
        return {}
    styled = {"lines": palette.lines()}
    if module != "reach":
        return styled
    # Written by benchmarks/record_lesson_factors.py.
    recorded = json.loads((ASSETS / "lesson_factors.json").read_text(encoding="utf-8"))
    return {**styled, "recorded": recorded}


def server_functions(app: AppState) -> dict[str, dict[str, Callable[[object], Any]]]:
    """The lessons' server functions, by module: one short measurement, made on request and then shared."""
    busy = "The server is busy with others' measurements; try again in a few seconds."
    measurements = Pool(1, MAX_WAITING, busy, share=(1, 1))
    measuring = ThreadPoolExecutor(1, "measuring")  # 24 MB stay with each thread that has ever measured

    def measure(_: object) -> Crossover:
        from cdvft_app.lessons.crossover import measured

        libraries.load()
        with app.queue.budget.spending(visitor(), "measurement"):
            return measuring.submit(measured).result()

    one_at_a_time = asyncio.Lock()
    last: tuple[float, Crossover] | None = None

    async def crossover(request: object) -> Crossover:
        """Return the last measurement, or a new one, for which all who ask meanwhile wait."""
        nonlocal last
        async with one_at_a_time:
            if last is None or time.monotonic() - last[0] > SHARED_SECONDS:
                found = await measurements.run(measure, request)
                last = time.monotonic(), found
            return last[1]

    return {"products": {"crossover": refusing(crossover)}}
