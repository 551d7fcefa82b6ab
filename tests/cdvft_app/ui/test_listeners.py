"""Requests of one form that are under way together: only the newest one's answer is shown."""

from __future__ import annotations

import threading

import gradio as gr
import pytest

from cdvft_app.ui.shared.listeners import NUMBER, DropStaleAnswers


@pytest.fixture
def form():
    """A form that answers "slow" once it is told to, and all else at once."""
    ready = threading.Event()

    def answer(text: str) -> list[str]:
        assert text != "slow" or ready.wait(20)
        return [text, text.upper()]

    with gr.Blocks(analytics_enabled=False):
        newest = DropStaleAnswers(answer, [gr.Textbox()], [gr.HTML(), gr.HTML()])
    return newest, ready


def test_an_answer_that_comes_after_a_newer_request_is_skipped(form):
    newest, ready = form
    page, late = {NUMBER: 0}, []
    asking = threading.Thread(target=lambda: late.append(newest.answered("slow", page, 1)))
    asking.start()
    assert newest.answered("quick", page, 2) == ["quick", "QUICK"]
    ready.set()
    asking.join()
    assert late == [[gr.skip(), gr.skip()]]


def test_an_older_request_that_is_begun_later_is_skipped(form):
    newest, _ = form
    page = {NUMBER: 0}
    assert newest.answered("first", page, 7)[0] == "first"
    assert newest.answered("new", page, 8) == ["new", "NEW"]
    assert newest.answered("old", page, 7) == [gr.skip(), gr.skip()]
    assert newest.answered("of another page", {NUMBER: 0}, 1) == ["of another page", "OF ANOTHER PAGE"]
