"""The process that answers for the page: refusals are sentences, and one that has gone is replaced."""

from __future__ import annotations

import pytest

from cdvft_app.results import answering
from cdvft_app.results.answering import Answering
from cdvft_app.results.errors import ResultsError
from cdvft_app.store.runs import RunStore

NOBODYS = {"run_ids": ["0" * 32], "texts": ["good"], "second": [], "image": None}


@pytest.fixture
def asked(tmp_path):
    RunStore(tmp_path).close()
    made = Answering(tmp_path)
    yield made
    made.close()


def test_a_refusal_is_a_sentence_and_the_next_question_is_heard(asked):
    for _ in range(2):
        with pytest.raises(ResultsError, match="There is no run '000"):
            asked.ask("answer", **NOBODYS)


def test_a_process_that_is_killed_is_said_and_replaced(asked):
    with pytest.raises(ResultsError, match="There is no run"):
        asked.ask("answer", **NOBODYS)
    asked._talk._process.kill()
    asked._talk._process.join()
    with pytest.raises(ResultsError, match="There is no run"):
        asked.ask("answer", **NOBODYS)


def test_one_that_takes_too_long_is_ended(asked, monkeypatch):
    monkeypatch.setattr(answering, "PATIENCE", 0.0)
    with pytest.raises(ResultsError, match="process that answers has ended"):
        asked.ask("answer", **NOBODYS)
    monkeypatch.setattr(answering, "PATIENCE", 120.0)
    with pytest.raises(ResultsError, match="There is no run"):
        asked.ask("answer", **NOBODYS)


def test_it_goes_when_nobody_asks(asked, monkeypatch):
    monkeypatch.setattr(answering, "IDLE_SECONDS", 0.01)
    with pytest.raises(ResultsError):
        asked.ask("answer", **NOBODYS)
    asked._talk._process.join(60)
    assert not asked._talk.alive()
