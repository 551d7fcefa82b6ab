"""The Learn tab: interactive lessons with a question each, and the lab."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from html import escape
from typing import Any

import gradio as gr

from cdvft_app.catalog import libraries
from cdvft_app.payloads.learn import Crossover, Trial, Unmeasured
from cdvft_app.public.budget import OverBudget
from cdvft_app.ui.learn.lab import lab
from cdvft_app.ui.learn.lesson_texts import LESSONS, Lesson
from cdvft_app.ui.shared.component import ASSETS, component
from cdvft_app.ui.shared.pool import Pool
from cdvft_app.ui.shared.state import AppState
from cdvft_app.ui.shared.viewing import visitor

TITLE = "Learn"
MOST_WAITING = 4  # measurements, of a few seconds each

LATEX: list[dict[str, str | bool]] = [
    {"left": "$$", "right": "$$", "display": True},
    {"left": "$", "right": "$", "display": False},
]


def build(app: AppState) -> None:
    """Lay the tab out. All of it runs in the browser, except measurements and the lab's fits."""
    calls = server_functions(app)
    with gr.Row(elem_classes=["learn"]):
        component(
            "learn/contents.js",
            lessons=[*((lesson.key, lesson.title) for lesson in LESSONS), ("lab", "Lab: fit a matrix")],
            elem_classes=("contents",),
            elem_id="lessons",
        )
        with gr.Column(elem_classes=["lessons"]):
            for lesson in LESSONS:
                _lesson(lesson, calls.get(lesson.module, {}))
            lab(app)
            gr.HTML('<div class="pager-place"></div>', apply_default_css=False)


def _lesson(lesson: Lesson, calls: dict[str, Callable[[object], Any]]) -> None:
    with gr.Column(elem_id=f"lesson-{lesson.key}", elem_classes=["lesson"]):
        gr.Markdown(f"## {lesson.title}\n{lesson.text}", latex_delimiters=LATEX, elem_classes=["lesson-text"])
        component(
            f"learn/{lesson.module}.js",
            server_functions=calls,
            elem_classes=("lesson-play",),
            question={"key": lesson.key, **asdict(lesson.question)},
            **_recorded(lesson.module),
        )
        seen = lesson.real_layer
        gr.HTML(
            f'<p class="real-layer">Now in a real layer: <a href="?tab=factors&factors=recorded-{seen.run}">'
            f"{escape(seen.look_at)}</a>.</p>",
            apply_default_css=False,
        )


def _recorded(module: str) -> dict[str, Any]:
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

    # One at a time: two at once would measure each other's load.
    pool = Pool(1, MOST_WAITING, "The server is busy with others' measurements; try again in a few seconds.")

    def measuring(call: Callable[[object], Crossover | Trial]) -> Callable[[object], Any]:
        def measure(request: object) -> Crossover | Trial | Unmeasured:
            libraries.load()
            try:
                with app.queue.budget.spending(visitor(), "measurement"):
                    return call(request)
            except (ValueError, OverBudget) as error:
                return {"error": str(error)}

        return pool.answering(measure)

    return {"convolution": {"crossover": measuring(crossover)}, "breaking": {"trial": measuring(trial)}}
