"""Races on prompts and answers of one's own: what the model scores before training stands beside."""

from __future__ import annotations

import dataclasses
import json

import made
import pytest
from listening import run

from cdvft_app import catalog
from cdvft_app.data.imported_table import import_file
from cdvft_app.data.inspect import inspect, roles_of
from cdvft_app.events import Note, Preparing
from cdvft_app.settings import RunSettings
from cdvft_app.training import trainer


@pytest.fixture
def own_plan(tmp_path, monkeypatch, llama_folder):
    """`own_plan(path)`: a plan of two steps on a file, with the tiny model that reads bytes."""
    monkeypatch.setenv("RUNS_DIR", str(tmp_path / "home"))

    def make(path):
        kept = import_file(path)
        data = inspect(kept, path.stem, roles_of(kept, is_generative=True)).data
        chosen = RunSettings(recipe="addresses", method="lora", data=data, max_steps=2, max_length=200)
        plan = catalog.resolve(chosen)
        model = dataclasses.replace(plan.model, source="local", location=str(llama_folder))
        return dataclasses.replace(plan, model=model)

    return make


def told(heard):
    return [note.text for note in heard.of(Note) if note.text.startswith("The same model without training")]


def test_the_model_is_asked_once_and_its_score_is_kept_beside_the_rows(own_plan, tmp_path, monkeypatch):
    plan = own_plan(made.answers_jsonl(tmp_path / "made_of.jsonl"))
    heard, done = run(plan, None, tmp_path / "run")
    assert done.metric_name == "exact_match"
    untrained = "The same model without training, given the same prompt"
    sentence = f"{untrained}: exact match 0.0\u00a0%, on 12 of 12 evaluation rows."
    assert told(heard) == [sentence]
    assert any(one.text == "Asking the model before any training" for one in heard.of(Preparing))
    monkeypatch.setattr(trainer, "_measured", pytest.fail)
    heard, _ = run(plan, None, tmp_path / "again")
    assert told(heard) == [sentence]


def test_answers_in_free_text_are_scored_by_their_likeness(own_plan, tmp_path):
    path = tmp_path / "long.jsonl"
    rows = [{"prompt": f"Go {n}", "answer": f"So {n}. " + "yes " * 20} for n in range(40)]
    path.write_text("\n".join(map(json.dumps, rows)))
    heard, done = run(own_plan(path), None, tmp_path / "run")
    assert done.metric_name == "chrf" and 0 <= done.metric < 1
    (sentence,) = told(heard)
    assert "given the same prompt: chrF 0." in sentence and "on 8 of 8 evaluation rows" in sentence


def test_a_stop_is_heard_between_its_answers(own_plan, tmp_path):
    plan = own_plan(made.answers_jsonl(tmp_path / "made_of.jsonl"))

    class Halted(Exception):
        pass

    def progress(fraction, text):
        if text == "Asking the model before any training":
            raise Halted

    from cdvft_app.tasks.prepare import prepare

    prepared = prepare(plan, lambda fraction, text: None, lambda: False)
    with pytest.raises(Halted):
        trainer.base_model_baseline(plan, prepared, progress)
