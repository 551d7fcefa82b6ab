"""A class on the Learn tab: what its teacher's and its pupils' browsers ask the server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import segno

from cdvft_app.lessons.classes import ClassError, Classes, GoneError
from cdvft_app.lessons.sealed import KINDS
from cdvft_app.payloads.learn import (
    ClassDone,
    ClassFixed,
    ClassGone,
    ClassPicture,
    ClassQuestion,
    ClassRequest,
    ClassSeen,
    ClassStarted,
    ClassTable,
    HomeworkProof,
    HomeworkReceipt,
    SealedGrade,
    SealedQuestion,
    WorksheetQuestion,
    WorksheetsFixed,
)
from cdvft_app.settings.environment import environment
from cdvft_app.ui.learn.lesson_texts import LESSONS, Choice, Estimate, Question, Task, teaching
from cdvft_app.ui.shared.component import component
from cdvft_app.ui.shared.server_functions import refusing
from cdvft_app.ui.shared.viewing import client_key

Calls = Mapping[str, Callable[[Any], Any]]
TITLES = {"shift": "a shift", "rank": "rank", "blocks": "blocks"}
assert TITLES.keys() == KINDS.keys()
MAX_ADDRESS = 500  # characters of the address that the QR code holds


def answers(question: Question) -> int:
    """Return the number of answers of a question, which scripts count from 1."""
    if isinstance(question, Choice):
        return len(question.answers)
    return question.high - question.low + 1 if isinstance(question, Estimate) else 2


def lay_out_bar(calls: Calls) -> None:
    """Lay out the line above the lessons, for those who follow a class and for its teacher."""
    fixed: ClassFixed = {
        "kinds": [(kind, title) for kind, title in TITLES.items()],
        "questions": {question.key: _shown(question) for lesson in LESSONS for question in lesson.questions},
    }
    own = ("show", "reveal", "seen", "vote", "draw", "answer", "hand_in")
    component(
        "learn/class_bar.js",
        server_functions={name: calls[name] for name in own},
        elem_id="class-bar",
        **fixed,
    )


def lay_out_start(calls: Calls) -> None:
    """Lay out for teachers the start of a class, its table, and receipts."""
    own = ("start", "code", "table", "check")
    component(
        "learn/class_start.js",
        server_functions={name: calls[name] for name in own},
        elem_id="class-start",
        elem_classes=("class-start",),
    )


def lay_out_worksheets() -> None:
    fixed: WorksheetsFixed = {
        "lessons": [
            {"title": lesson.title, "questions": [_printed(question) for question in lesson.questions]}
            for lesson in LESSONS
        ]
    }
    component("learn/worksheets.js", elem_id="worksheets", elem_classes=("worksheets",), **fixed)


def _shown(question: Question) -> ClassQuestion:
    labels = [answer for answer, _ in question.answers] if isinstance(question, Choice) else []
    if isinstance(question, Task):
        labels = ["done", "shown"]
    return {
        "prompt": question.prompt,
        "labels": labels,
        "low": question.low if isinstance(question, Estimate) else 0,
    }


def _printed(question: Question) -> WorksheetQuestion:
    return {
        "prompt": question.prompt,
        "answers": [answer for answer, _ in question.answers] if isinstance(question, Choice) else [],
        "right": teaching.right(question),
    }


def server_functions(folder: Path) -> Calls:
    """Return the functions of classes, which are kept in this folder; all of them are quick."""
    key = environment().class_key.get_secret_value()
    questions = {question.key: answers(question) for lesson in LESSONS for question in lesson.questions}
    classes = Classes(questions, key, folder)

    def start(_: object) -> ClassStarted:
        return classes.start(client_key())

    def code(asked: ClassRequest) -> ClassPicture:
        """Return the QR code of an address, as the address of a picture."""
        address = asked.get("address", "")
        if not (address.isascii() and address.startswith("http")):
            raise ClassError("A QR code is made of an address that begins with http, in ASCII.")
        if len(address) > MAX_ADDRESS:
            raise ClassError(f"A QR code is made of an address of at most {MAX_ADDRESS} characters.")
        return {"image": segno.make(address, micro=False).svg_data_uri(scale=5, dark="#000", light="#fff")}

    def show(asked: ClassRequest) -> ClassDone:
        classes.show(asked.get("code"), asked.get("key"), asked.get("address"))
        return {}

    def reveal(asked: ClassRequest) -> ClassDone:
        classes.reveal(asked.get("code"), asked.get("key"), asked.get("question"))
        return {}

    def seen(asked: ClassRequest) -> ClassSeen | ClassGone:
        try:
            return classes.seen(asked.get("code"), asked.get("pupil"), asked.get("key"))
        except GoneError as gone:
            return {"gone": str(gone)}

    def vote(asked: ClassRequest) -> ClassDone:
        classes.vote(asked.get("code"), asked.get("pupil"), asked.get("question"), asked.get("given"))
        return {}

    def draw(asked: ClassRequest) -> SealedQuestion:
        return classes.draw(asked.get("code"), asked.get("pupil"), asked.get("kind"))

    def answer(asked: ClassRequest) -> SealedGrade:
        return classes.answer(asked.get("code"), asked.get("pupil"), asked.get("number"), asked.get("given"))

    def hand_in(asked: ClassRequest) -> HomeworkReceipt:
        return {"receipt": classes.hand_in(asked.get("code"), asked.get("pupil"), asked.get("state"))}

    def check(asked: ClassRequest) -> HomeworkProof:
        return classes.check(asked.get("receipt"))

    def table(asked: ClassRequest) -> ClassTable:
        return {"csv": classes.table(asked.get("code"), asked.get("key"))}

    calls = (start, code, show, reveal, seen, vote, draw, answer, hand_in, check, table)
    return {call.__name__: refusing(call) for call in calls}
