"""The process that answers for the page: refusals are sentences, and one that has gone is replaced."""

from __future__ import annotations

import psutil
import pytest

from cdvft_app.results.answering import Answering
from cdvft_app.results.finished_run import ResultsError
from cdvft_app.settings import RunSettings
from cdvft_app.store.runs import RunStore
from cdvft_app.training import inference_service


@pytest.fixture
def asked(tmp_path):
    """The process, and a run that cannot be used yet."""
    store = RunStore(tmp_path)
    (run,) = store.create([RunSettings(method="lora")], "secret")
    made = Answering(store)
    yield made, run
    made.close()
    store.close()


def test_refusals_are_sentences_and_a_process_that_has_gone_is_replaced(asked, monkeypatch):
    service, run = asked

    def ask(refusal="is queued; it can be used once"):
        with pytest.raises(ResultsError, match=refusal):
            service.ask("answer", run_ids=[run.id], texts=["good"], second=[], image=None)
        return service._worker and service._worker._process

    first = ask()
    assert ask() is first, "the next question is heard"
    first.kill()
    first.join()
    second = ask()
    psutil.Process(second.pid).suspend()  # it will never answer
    monkeypatch.setattr(inference_service, "TIMEOUT_SECONDS", 0.5)
    ask(refusal="process that answers has ended")
    monkeypatch.setattr(inference_service, "TIMEOUT_SECONDS", 120.0)
    monkeypatch.setattr(inference_service, "IDLE_SECONDS", 0.01)
    ask().join(60)
    assert not service._worker.alive(), "it goes when nobody asks"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(2, "No such file", "/srv/runs/ab12/adapter/w.safetensors"), "file: 'w.saf"),
        (ValueError("bad header in /home/ada/.cache/hub/x.json: at 3"), "bad header in x.json: at 3"),
        (ValueError(r"no C:\Users\ada\runs\x.json"), "no x.json"),
        (ValueError("1/2 and a/b of https://example.org/a/b"), "1/2 and a/b of https://example.org/a/b"),
        (ValueError(""), "no message"),
    ],
)
def test_a_failure_is_told_without_folders_of_the_machine(error, told):
    assert told in inference_service.unexpected(error)
    assert not any(word in inference_service.unexpected(error) for word in ("srv", "runs", "ada"))
