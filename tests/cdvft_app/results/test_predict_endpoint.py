"""/predict of a model that writes: what each side wrote, and the fields that were found in it."""

from __future__ import annotations

import json

import gradio as gr
import pytest

from cdvft_app.executors.queue import RunQueue
from cdvft_app.results import answering
from cdvft_app.results.answering import Answering, Questions
from cdvft_app.results.predictor import SAME_PROMPT
from cdvft_app.ui.shared.state import AppState
from cdvft_app.ui.use import endpoints


@pytest.fixture
def run(learned, monkeypatch):
    """A run that knows its task, asked in this process."""
    monkeypatch.setattr(answering, "find", lambda store, run_id: learned)
    monkeypatch.setattr(
        Answering, "_answer", lambda self, question, about: getattr(Questions(self._store), question)(**about)
    )
    return learned


@pytest.fixture
def predict(store):
    app = AppState.make(store, RunQueue(store))
    with gr.Blocks() as page:
        endpoints.register(app, Answering(app.store), Answering(app.store))
    return next(handler.fn for handler in page.fns.values() if handler.api_name == "predict")


def test_predict_returns_texts_and_fields(run, predict, answer_rows):
    prompt, expected = answer_rows.evaluation.inputs[0], answer_rows.evaluation.labels[0]
    said = json.loads(json.dumps(predict([run.record.id], [prompt])))
    assert said["labels"] == []
    frozen, trained = said["sides"]
    assert frozen["note"] == SAME_PROMPT
    (answer,) = trained["answers"]
    assert answer["text"] == expected and answer["label"] is None
    assert answer["fields"] == dict(line.split(": ") for line in expected.splitlines())
    assert frozen["answers"][0]["text"] != expected


@pytest.mark.parametrize(("texts", "sentence"), [([""], "Text 1 is empty"), (["a"] * 101, "1 to 100 texts")])
def test_predict_rejects_invalid_texts(run, predict, texts, sentence):
    with pytest.raises(gr.Error, match=sentence):
        predict([run.record.id], texts)
