"""The process that answers for the page: refusals are sentences, and one that has gone is replaced."""

from __future__ import annotations

import psutil
import pytest

from cdvft_app.results.answering import Answering
from cdvft_app.results.finished_run import ResultsError
from cdvft_app.settings import RunSettings
from cdvft_app.store.runs import RunStore
from cdvft_app.training import inference_service

UNFINISHED = "is queued; it can be used once"


@pytest.fixture
def asked(tmp_path):
    """Of a run that cannot be used yet, which the process refuses."""
    store = RunStore(tmp_path)
    made = Answering(store)
    (run,) = store.create([RunSettings(method="lora")], "secret")
    made.about = {"run_ids": [run.id], "texts": ["good"], "second": [], "image": None}
    yield made
    made.close()
    store.close()


def test_a_refusal_is_a_sentence_and_the_next_question_is_heard(asked):
    for _ in range(2):
        with pytest.raises(ResultsError, match=UNFINISHED):
            asked.ask("answer", **asked.about)


def test_a_process_that_is_killed_is_said_and_replaced(asked):
    with pytest.raises(ResultsError, match=UNFINISHED):
        asked.ask("answer", **asked.about)
    asked._worker._process.kill()
    asked._worker._process.join()
    with pytest.raises(ResultsError, match=UNFINISHED):
        asked.ask("answer", **asked.about)


def test_one_that_takes_too_long_is_ended(asked, monkeypatch):
    with pytest.raises(ResultsError, match=UNFINISHED):
        asked.ask("answer", **asked.about)
    psutil.Process(asked._worker._process.pid).suspend()  # it will never answer
    monkeypatch.setattr(inference_service, "TIMEOUT_SECONDS", 0.5)
    with pytest.raises(ResultsError, match="process that answers has ended"):
        asked.ask("answer", **asked.about)
    monkeypatch.setattr(inference_service, "TIMEOUT_SECONDS", 120.0)
    with pytest.raises(ResultsError, match=UNFINISHED):
        asked.ask("answer", **asked.about)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            OSError(2, "No such file or directory", "/srv/runs/ab12/adapter/w.safetensors"),
            "directory: 'w.saf",
        ),
        (ValueError("bad header in /home/ada/.cache/hub/x.json: at 3"), "bad header in x.json: at 3"),
        (ValueError(r"no C:\Users\ada\runs\x.json"), "no x.json"),
        (
            ValueError("got 1/2 and a/b of https://example.org/a/b"),
            "got 1/2 and a/b of https://example.org/a/b",
        ),
        (ValueError(""), "no message"),
    ],
)
def test_a_failure_is_told_without_folders_of_the_machine(error, told):
    assert told in inference_service.unexpected(error)
    assert not any(word in inference_service.unexpected(error) for word in ("srv", "runs", "ada"))


def test_it_goes_when_nobody_asks(asked, monkeypatch):
    monkeypatch.setattr(inference_service, "IDLE_SECONDS", 0.01)
    with pytest.raises(ResultsError):
        asked.ask("answer", **asked.about)
    asked._worker._process.join(60)
    assert not asked._worker.alive()
