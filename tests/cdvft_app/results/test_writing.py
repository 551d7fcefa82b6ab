"""Runs that write side by side write what each writes by itself, and what is streamed can be stopped."""

from __future__ import annotations

import json
import threading
from functools import partial
from multiprocessing import Pipe
from pathlib import Path

import numpy as np
import pytest

from cdvft_app.catalog.dataset_readers import Split
from cdvft_app.results import answering
from cdvft_app.results.answering import ENDED, Answering, _start
from cdvft_app.results.finished_run import ResultsError
from cdvft_app.results.inference import load_side_by_side, stream_answers
from cdvft_app.settings import RunSettings
from cdvft_app.store.runs import RunStore
from cdvft_app.tasks.base import InvalidInput
from cdvft_app.tasks.generation import worked_examples
from cdvft_app.tasks.writing import GREEDY, Sampling
from cdvft_app.training import inference_service, trainable
from cdvft_app.training.inference_service import explained, serve

PROMPT = "go go go 2"
EXAMPLES = [("go 1", "n: 1"), ("go 2", "n: 2\nkind: even")]


@pytest.fixture(scope="module")
def race(learned, runs):
    return [learned, runs("answer", "lora")]


@pytest.fixture(scope="module")
def models(race):
    return load_side_by_side(race)


def sides(models, race, prompt=PROMPT, stopped=lambda: False, examples=EXAMPLES, **how):
    given = {"max_tokens": 24, "sampling": GREEDY, **how}
    return list(stream_answers(models, race, examples, prompt, stopped=stopped, **given))


def text(side):
    return "".join(piece for piece, _ in side["pieces"])


def test_each_writes_what_it_writes_alone(race, models):
    *_, last = sides(models, race)
    assert [side["title"] for side in last] == ["Base", "Base", "Full fine-tuning", "LoRA r\u00a0=\u00a02"]
    assert [side["note"] for side in last[:2]] == ["given the same prompt", "with 2 examples in its prompt"]
    for run, side in zip(race, last[2:], strict=True):
        (alone,) = trainable.load_trained(run.plan, run.folder)[0].predict([PROMPT])
        assert alone.text.startswith(text(side)) and len(text(side)) >= 4
        assert side["pieces"] == list(alone.tokens[: len(side["pieces"])])
    assert text(last[2]) == "n: 2\nkind: even" and last[2]["ended"]
    assert json.loads(last[2]["json"]) == last[2]["fields"] == {"n": "2", "kind": "even"}
    assert text(last[0]) not in (text(last[1]), text(last[2])), "the frozen model, with and without examples"
    assert all(side["seconds"] > 0 and side["tokens"] >= len(side["pieces"]) for side in last)


def test_answers_come_piece_by_piece_and_stop_when_asked(race, models, monkeypatch):
    monkeypatch.setattr("cdvft_app.results.inference.UPDATE_SECONDS", 0.0)
    whole = sides(models, race)
    lengths = [len(text(told[2])) for told in whole]
    assert lengths == sorted(lengths) and len(set(lengths)) > 5
    asked = iter([False, False, True])
    cut = sides(models, race, stopped=lambda: next(asked))
    assert [side["tokens"] for side in cut[-1]] == [2, 2, 2, 2]
    assert not any(side["ended"] for side in cut[-1])


def test_chance_is_the_same_for_the_same_seed(race, models):
    def drawn(seed):
        return [text(side) for side in sides(models, race, sampling=Sampling(1.5, seed))[-1]]

    assert drawn(1) == drawn(1) != drawn(2)


def test_a_prompt_that_the_model_cannot_take_is_refused_and_examples_that_do_not_fit_are_left_out(
    race, models
):
    with pytest.raises(InvalidInput, match=r"has 2\d\d tokens. The model takes 256 with the answer"):
        sides(models, race, "word " * 46)
    *_, last = sides(models, race, "word " * 40, max_tokens=8)
    assert (last[1]["note"], last[1]["pieces"]) == ("with 1 example in its prompt", last[1]["pieces"])
    *_, last = sides(models, race, "word " * 45, max_tokens=8)
    assert (last[1]["note"], last[1]["pieces"]) == ("No example fits beside this prompt.", [])


def test_the_examples_show_what_may_be_missing():
    answers = ["n: 1", "n: 3", "n: 2\nkind: even", "n: 5"]
    train = Split(list("abcd"), np.array(answers, dtype=object))
    assert worked_examples(train) == [("a", "n: 1"), ("c", "n: 2\nkind: even"), ("b", "n: 3")]


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


def test_items_come_as_they_are_made(talk):
    asked, about = talk
    assert list(asked.stream("count", **about, to=4)) == [0, 1, 2, 3]
    assert asked.ask("say", **about) == "said"


@pytest.mark.parametrize("closed", [True, False])
def test_a_stream_ends_when_it_is_closed_or_stopped_and_the_next_question_is_heard(talk, closed):
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


def test_a_refusal_in_the_middle_is_a_sentence(talk):
    asked, about = talk
    stream = asked.stream("refuse", **about)
    assert next(stream) == 1
    with pytest.raises(ResultsError, match="no more"):
        next(stream)
    assert asked.ask("say", **about) == "said"


def test_closing_a_stream_whose_process_has_ended_starts_no_other(talk, monkeypatch):
    asked, about = talk
    stream = asked.stream("count", **about, to=1)
    assert next(stream) == 0
    asked._worker.words.close()
    asked._worker.thread.join()
    monkeypatch.setattr(inference_service, "WorkerProcess", lambda *_: pytest.fail("Nobody asked."))
    stream.close()
