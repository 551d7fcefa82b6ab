"""The Factors tab's questions take the arguments that it asks them with."""

from __future__ import annotations

import inspect

import pytest

from cdvft_app.inspection.background import questions

ASKED = {
    "dense": ("module",),
    "singular": ("module",),
    "overview": ("first",),
    "most_changed": (),
    "weights": (),
    "images": (),
    "patches": ("module", "image"),
    "typed": ("module", "text"),
    "effects": ("first",),
    "seeds": ("first",),
    "together": ("module", "beside"),
    "walk": ("module", "text", "image"),
}


@pytest.mark.parametrize("question", ASKED)
def test_a_question_takes_what_the_tab_asks_it_with(question: str) -> None:
    inspect.signature(questions()[question]).bind(object(), **dict.fromkeys(ASKED[question]))


def test_each_question_is_among_these() -> None:
    assert questions().keys() == ASKED.keys()
