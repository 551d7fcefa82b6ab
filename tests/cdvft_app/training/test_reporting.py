"""Trackers hear what the callbacks of transformers tell them; the package is a stand-in."""

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace

import pytest
from listening import run

from cdvft_app.events import Note, Step


class Config(dict):
    def update(self, given, allow_val_change):
        super().update(given)


@pytest.fixture
def trackio(monkeypatch):
    """A trackio that keeps what it is told in lists."""
    module = ModuleType("trackio")
    module.__spec__ = ModuleSpec("trackio", None)
    told = SimpleNamespace(begun=[], logged=[], finished=[])
    module.init = lambda **about: told.begun.append(about)
    module.log = told.logged.append
    module.finish = lambda: told.finished.append(True)
    module.config = Config()
    module.context_vars = SimpleNamespace(current_space_id=SimpleNamespace(get=lambda: None))
    monkeypatch.setitem(sys.modules, "trackio", module)
    return told


def test_trackers_receive_every_loss(trackio, text_plan, text_rows, tmp_path, monkeypatch):
    monkeypatch.setenv("CDVFT_REPORT_TO", "trackio")
    heard, _ = run(text_plan("cdvft", max_steps=3), text_rows, tmp_path / "run-7")
    losses = {step.step: step.loss for step in heard.of(Step)}
    assert len(losses) == 3
    logged = [row for row in trackio.logged if "train/loss" in row]
    assert {row["train/global_step"]: row["train/loss"] for row in logged} == losses
    (begun,) = trackio.begun
    assert begun["project"] == "cdvft" and begun["name"].endswith("run-7") and begun["space_id"] is None
    evaluated = [row["train/global_step"] for row in trackio.logged if "eval/accuracy" in row]
    assert evaluated[-1] == 3 and trackio.finished == [True]
    assert not [note for note in heard.of(Note) if "failed" in note.text]
