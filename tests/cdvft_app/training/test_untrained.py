"""Races on prompts and answers of one's own: what the model scores before training stands beside."""

from __future__ import annotations

import dataclasses

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


def test_baseline_is_measured_once_per_dataset(own_plan, tmp_path, monkeypatch):
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
