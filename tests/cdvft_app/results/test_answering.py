"""The child process of predictions: streams, rejections, and its replacement."""

from __future__ import annotations

import threading
from functools import partial
from multiprocessing import Pipe
from pathlib import Path

import psutil
import pytest

from cdvft_app.results import answering
from cdvft_app.results.answering import ENDED, Answering, _start
from cdvft_app.results.finished_run import ResultsError
from cdvft_app.settings import RunSettings
from cdvft_app.store.runs import RunStore
from cdvft_app.training import inference_service
from cdvft_app.training.inference_service import explained, serve


@pytest.fixture
def asked(tmp_path):
    """The process, and a run that cannot be used yet."""
    store = RunStore(tmp_path)
    (run,) = store.create([RunSettings(method="lora")], "secret")
    made = Answering(store)
    yield made, run
    made.close()
    store.close()


def test_process_that_ended_is_replaced(asked, monkeypatch):
    service, run = asked

    def ask(refusal="queued"):
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
    ask(refusal=ENDED)
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
def test_failures_name_no_folders(error, told):
    assert told in inference_service.unexpected(error)
    assert not any(word in inference_service.unexpected(error) for word in ("srv", "runs", "ada"))


class Counts:
    """In place of what can be asked: counts until it is stopped."""

    def __init__(self, store, stopped):
        self.stopped = stopped

    def count(self, run_ids, to):
        for one in range(to):
            if self.stopped():
                return
            yield one

    def refuse(self, run_ids):
        yield 1
        raise ResultsError("no more")

    def say(self, run_ids):
        return "said"


class Here:
    """A conversation with a thread in place of a process."""

    def __init__(self, root):
        self.words, theirs = Pipe()
        self.thread = threading.Thread(
            target=serve,
            args=(theirs, _start, Path(root), partial(explained, ResultsError, ENDED), 30.0),
            daemon=True,
        )
        self.thread.start()

    def alive(self):
        return self.thread.is_alive()

    def send(self, message):
        self.words.send(message)

    def receive(self, seconds):
        assert self.words.poll(seconds)
        return self.words.recv()


@pytest.fixture
def talk(tmp_path, monkeypatch):
    monkeypatch.setattr(answering, "Questions", Counts)
    store = RunStore(tmp_path)
    (run,) = store.create([RunSettings(method="lora")], "secret")
    made = Answering(store)
    made._worker = Here(str(tmp_path))
    yield made, {"run_ids": [run.id]}
    store.close()


def test_stream_yields_items(talk):
    asked, about = talk
    assert list(asked.stream("count", **about, to=4)) == [0, 1, 2, 3]
    assert asked.ask("say", **about) == "said"


@pytest.mark.parametrize("closed", [True, False])
def test_stream_ends_when_closed_or_stopped(talk, closed):
    asked, about = talk
    stream = asked.stream("count", **about, to=10**9)
    assert [next(stream), next(stream)] == [0, 1]
    if closed:
        stream.close()
    else:
        asked.stop()
        assert len(list(stream)) < 10**6
        asked.stop()  # nothing is streamed any more
    assert asked.ask("say", **about) == "said"
    assert list(asked.stream("count", **about, to=2)) == [0, 1]


def test_stream_raises_rejections(talk):
    asked, about = talk
    stream = asked.stream("refuse", **about)
    assert next(stream) == 1
    with pytest.raises(ResultsError, match="no more"):
        next(stream)
    assert asked.ask("say", **about) == "said"


def test_closed_stream_starts_no_process(talk, monkeypatch):
    asked, about = talk
    stream = asked.stream("count", **about, to=1)
    assert next(stream) == 0
    asked._worker.words.close()
    asked._worker.thread.join()
    monkeypatch.setattr(inference_service, "WorkerProcess", lambda *_: pytest.fail("Nobody asked."))
    stream.close()
