"""The Learn tab: lessons in which something is dragged and something answered, one at a time."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import gradio as gr

from cdvft_app.inspection.turns import Busy, Turn
from cdvft_app.ui.learn.lab import lab
from cdvft_app.ui.learn.lesson_texts import LESSONS, Lesson
from cdvft_app.ui.shared.component import ASSETS, component
from cdvft_app.ui.shared.state import AppState

TITLE = "Learn"
PATIENCE = 5.0  # seconds that a measurement waits for somebody else's

LATEX: list[dict[str, str | bool]] = [
    {"left": "$$", "right": "$$", "display": True},
    {"left": "$", "right": "$", "display": False},
]


def build(app: AppState) -> None:
    """Lay the tab out. All of it runs in the browser, but for what is measured."""
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


def _recorded(module: str) -> dict[str, Any]:
    if module != "reach":
        return {}
    # Written by benchmarks/record_lesson_factors.py.
    return {"recorded": json.loads((ASSETS / "lesson_factors.json").read_text(encoding="utf-8"))}


def server_functions(app: AppState) -> dict[str, dict[str, Callable[[object], Any]]]:
    """What a lesson asks of the server, by its module: short measurements, made when somebody asks."""

    def crossover(_: object) -> dict[str, Any]:
        from cdvft_app.lessons.crossover import measured

        return measured()

    def trial(asked: object) -> dict[str, Any]:
        from cdvft_app.lessons.trial import trained

        return trained(asked.get("rate") if isinstance(asked, dict) else None)

    turn = Turn("The server is busy with somebody else's measurement; try again in a few seconds.")

    def in_turn(call: Callable[[object], dict[str, Any]]) -> Callable[[object], Any]:
        def answer(asked: object) -> dict[str, Any]:
            app.await_libraries()
            try:
                with turn.taken(PATIENCE):
                    return call(asked)
            except (Busy, ValueError) as error:
                return {"error": str(error)}

        return answer

    return {"convolution": {"crossover": in_turn(crossover)}, "breaking": {"trial": in_turn(trial)}}
