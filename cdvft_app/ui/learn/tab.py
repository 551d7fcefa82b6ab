"""The Learn tab: interactive lessons with a question each, and the lab."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from html import escape
from typing import Any

import gradio as gr

from cdvft_app import ASSETS
from cdvft_app.catalog import libraries
from cdvft_app.payloads.learn import ContentsEntry, Crossover, Trial, Unmeasured
from cdvft_app.public.budget import OverBudget
from cdvft_app.ui.learn.lab import lab
from cdvft_app.ui.learn.lesson_texts import LESSONS, Lesson, Question, RealLayer, teaching
from cdvft_app.ui.shared.component import component
from cdvft_app.ui.shared.pool import Pool
from cdvft_app.ui.shared.problem import without_paths
from cdvft_app.ui.shared.state import AppState, OnVisit
from cdvft_app.ui.shared.viewing import visitor

TITLE = "Learn"
MAX_WAITING = 4  # measurements, of a few seconds each
MAX_WAITING_TRIALS = 60  # trainings, of a tenth of a second each; a class asks for them at once

LATEX: list[dict[str, str | bool]] = [
    {"left": "$$", "right": "$$", "display": True},
    {"left": "$", "right": "$", "display": False},
]


def build(app: AppState) -> OnVisit:
    """Lay the tab out. All of it runs in the browser, except measurements and the lab's fits."""
    visits: list[OnVisit] = []
    lay_out(server_functions(app), lambda: visits.append(lab(app)))
    return visits[0]


def lay_out(
    calls: Mapping[str, Mapping[str, Callable[[object], Any]]],
    lay_out_lab: Callable[[], None],
    measured_where: str = "on this server",
) -> None:
    """The contents, the lessons with their server functions by module, the lab and the teachers' page."""
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
            for lesson in LESSONS:
                _lesson(lesson, dict(calls.get(lesson.module, {})), measured_where)
            lay_out_lab()
            with gr.Column(elem_id=f"lesson-{teaching.KEY}", elem_classes=["teaching"]):
                gr.Markdown(teaching.text(LESSONS), elem_classes=["lesson-text"])
            gr.HTML('<div class="pager-place"></div>', apply_default_css=False)


def _entry(key: str, title: str, last: str = "") -> ContentsEntry:
    return {"key": key, "title": title, "last": last}


def _lesson(lesson: Lesson, calls: dict[str, Callable[[object], Any]], measured_where: str) -> None:
    with gr.Column(elem_id=f"lesson-{lesson.key}", elem_classes=["lesson"]):
        with gr.Column(elem_classes=["lesson-words"]):
            gr.Markdown(
                f"## {lesson.title}\n{lesson.text}", latex_delimiters=LATEX, elem_classes=["lesson-text"]
            )
            component("learn/question.js", questions=[_asked(question) for question in lesson.questions])
            gr.Markdown(
                lesson.reasons, latex_delimiters=LATEX, elem_classes=["lesson-text", "lesson-reasons"]
            )
            _real_layer(lesson.real_layer)
        component(
            f"learn/{lesson.module}.js",
            server_functions=calls,
            elem_id=f"play-{lesson.key}",
            elem_classes=("lesson-play",),
            **_fixed(lesson.module, measured_where),
        )


def _asked(question: Question) -> dict[str, Any]:
    return {name: value for name, value in asdict(question).items() if name != "checks"}


def _real_layer(seen: RealLayer) -> None:
    address = f"?tab=factors&factors=recorded-{seen.run}&show={seen.part}"
    gr.HTML(
        f'<p class="real-layer">Now in a real layer: <a href="{address}">{escape(seen.look_at)}</a>.</p>',
        apply_default_css=False,
    )


def _fixed(module: str, measured_where: str) -> dict[str, Any]:
    if module == "products":
        return {"where": measured_where}
    if module != "reach":
        return {}
    # Written by benchmarks/record_lesson_factors.py.
    return {"recorded": json.loads((ASSETS / "lesson_factors.json").read_text(encoding="utf-8"))}


def server_functions(app: AppState) -> dict[str, dict[str, Callable[[object], Any]]]:
    """The lessons' server functions, by module: short measurements, made on request."""

    def crossover(_: object) -> Crossover:
        from cdvft_app.lessons.crossover import measured

        return measured()

    def trial(request: object) -> Trial:
        from cdvft_app.lessons.trial import trained

        return trained(request.get("rate") if isinstance(request, dict) else None)

    busy = "The server is busy with others' measurements; try again in a few seconds."
    # One at a time: two at once would measure each other's load.
    measurements = Pool(1, MAX_WAITING, busy, share=(1, 1))
    trials = Pool(1, MAX_WAITING_TRIALS, busy, share=(1, MAX_WAITING_TRIALS // 2))

    def charged(call: Callable[[object], Crossover | Trial]) -> Callable[[object], Any]:
        def measure(request: object) -> Crossover | Trial | Unmeasured:
            libraries.load()
            try:
                with app.queue.budget.spending(visitor(), "measurement"):
                    return call(request)
            except (ValueError, OverBudget) as error:
                return {"error": without_paths(str(error))}

        return measure

    return {
        "products": {"crossover": measurements.answering(charged(crossover))},
        "breaking": {"trial": trials.answering(charged(trial))},
    }
