"""A class on the Learn tab: what the browsers of teacher and students request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import segno

from cdvft_app.lessons.classes import NO_CLASS, ClassError, Classes, GoneError
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
)
from cdvft_app.public.guessing import Guesses
from cdvft_app.ui.learn.lesson_texts import LESSONS, Choice, Estimate, Question
from cdvft_app.ui.shared.component import component
from cdvft_app.ui.shared.server_functions import refusing
from cdvft_app.ui.shared.viewing import client_key

Calls = Mapping[str, Callable[[Any], Any]]
MAX_ADDRESS = 500  # characters of the address in the QR code
LESSON_OF = {question.key: lesson.key for lesson in LESSONS for question in lesson.questions}


def lay_out_bar(calls: Calls) -> None:
    """Build the line above the lessons for students and their teacher."""
    fixed: ClassFixed = {
        "questions": {question.key: _axis(question) for lesson in LESSONS for question in lesson.questions}
    }
    functions = {name: calls[name] for name in ("show", "reveal", "seen", "vote")}
    component("learn/class_bar.js", server_functions=functions, elem_id="class-bar", **fixed)


def lay_out_start(calls: Calls) -> None:
    """Build the start of a class, the field for its code, and the table of votes."""
    functions = {name: calls[name] for name in ("start", "code", "table")}
    component(
        "learn/class_start.js",
        server_functions=functions,
        elem_id="class-start",
        elem_classes=("class-start",),
    )


def _axis(question: Question) -> ClassQuestion:
    """Return the labels of a question's answers, which votes count from 1, and the correct vote."""
    if isinstance(question, Choice):
        labels, right = [answer for answer, _ in question.answers], question.right + 1
    elif isinstance(question, Estimate):
        labels = [str(number) for number in range(question.low, question.high + 1)]
        right = question.right - question.low + 1
    else:
        labels, right = ["done", "shown"], 1
    return {"prompt": question.prompt, "labels": labels, "right": right}


def server_functions(folder: Path) -> Calls:
    """Return the functions of classes, which are stored in `folder`."""
    answers = {
        question.key: len(_axis(question)["labels"]) for lesson in LESSONS for question in lesson.questions
    }
    classes = Classes(answers, folder)
    guesses = Guesses("class codes")

    def known(asked: ClassRequest) -> str:
        code, who = str(asked.get("code")), client_key()
        if not guesses.judge(who, code, lambda: classes.exists(code)):
            raise GoneError(NO_CLASS)
        return code

    def start(_: object) -> ClassStarted:
        return classes.start(client_key())

    def code(asked: ClassRequest) -> ClassPicture:
        """Return the QR code of an address as a data URI."""
        address = asked.get("address", "")
        if not (address.isascii() and address.startswith("http") and len(address) <= MAX_ADDRESS):
            raise ClassError(f"A QR code needs an ASCII http address of at most {MAX_ADDRESS} characters.")
        return {"image": segno.make(address, micro=False).svg_data_uri(scale=5, dark="#000", light="#fff")}

    def show(asked: ClassRequest) -> ClassDone:
        question = asked.get("question", "")
        classes.show(known(asked), asked.get("key"), LESSON_OF.get(question, ""), question)
        return {}

    def reveal(asked: ClassRequest) -> ClassDone:
        classes.reveal(known(asked), asked.get("key"), asked.get("question"))
        return {}

    def seen(asked: ClassRequest) -> ClassSeen | ClassGone:
        try:
            return classes.seen(known(asked), asked.get("student"), asked.get("key"), client_key())
        except GoneError as gone:
            return {"gone": str(gone)}

    def vote(asked: ClassRequest) -> ClassDone:
        voter = known(asked), asked.get("student")
        classes.vote(*voter, asked.get("question"), asked.get("given"), client_key())
        return {}

    def table(asked: ClassRequest) -> ClassTable:
        return {"csv": classes.table(known(asked), asked.get("key"))}

    return {call.__name__: refusing(call) for call in (start, code, show, reveal, seen, vote, table)}
