"""For teachers: a plan for 45 and for 90 minutes, and what each question checks."""

from __future__ import annotations

from collections.abc import Sequence

from cdvft_app.ui.learn.lesson_texts.lesson import Choice, Estimate, Lesson, Question

KEY, TITLE = "teaching", "For teachers"

# Minutes of each lesson, by its key; None: left out. The rest of the time is for what comes before and after.
PLANS: dict[int, dict[str, int | None]] = {
    45: {
        "circulant": 5,
        "rank": 15,
        "fft": 10,
        "reach": None,
        "blocks": None,
        "start": None,
        "breaking": None,
        "shapes": 10,
    },
    90: {
        "circulant": 5,
        "rank": 20,
        "fft": 15,
        "reach": 10,
        "blocks": 5,
        "start": 10,
        "breaking": 5,
        "shapes": 10,
    },
}

INTRODUCTION = """
Each machine works from the start, and its answer is hidden until somebody has predicted it. Let everybody
predict alone, then vote, then press the button: the machine does what was asked. The reasons come after the
last question.
A link keeps the lesson, what was dragged and what was answered: prepare a state, and copy the address. With
`&embed=1` in it the page shows the lesson alone, for slides and notebooks. The browser prints a lesson
as a sheet. Once the page is loaded, the lessons need no server, except for one measurement.

Beforehand, everybody should know what a matrix does to a vector, and what a complex number is. The FFT is
introduced here.
"""

AFTERWARDS = """
Ask afterwards, without the page: What makes the rank fall by two? Why is no circulant the identity plus one
more entry? What does full rank not mean?
"""


def text(lessons: Sequence[Lesson]) -> str:
    """Return the page as Markdown: an introduction, the plans, and the questions of these lessons."""
    plans = "\n".join(
        f"| {lesson.title} | " + " | ".join(_minutes(plan[lesson.key]) for plan in PLANS.values()) + " |"
        for lesson in lessons
    )
    spare = " | ".join(_minutes(total - taught(plan)) for total, plan in PLANS.items())
    questions = "\n".join(
        f"| {lesson.title} | {question.prompt} | {right(question)} | {question.checks} |"
        for lesson in lessons
        for question in lesson.questions
    )
    return (
        f"{INTRODUCTION}\n"
        f"| lesson | {' | '.join(f'in {total} minutes' for total in PLANS)} |\n"
        f"|---|{'---|' * len(PLANS)}\n{plans}\n| questions of the class | {spare} |\n\n"
        "### What each question checks\n\n"
        f"| lesson | question | right | checks |\n|---|---|---|---|\n{questions}\n"
        f"{AFTERWARDS}"
    )


def right(question: Question) -> str:
    """Return the right answer in words."""
    if isinstance(question, Choice):
        return question.answers[question.right][0]
    return f"{question.right:,}" if isinstance(question, Estimate) else "done on the machine"


def taught(plan: dict[str, int | None]) -> int:
    return sum(minutes or 0 for minutes in plan.values())


def _minutes(minutes: int | None) -> str:
    return str(minutes) if minutes else "–"
