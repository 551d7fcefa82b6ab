"""Trackers hear what transformers' own callbacks tell them; a missing or failing one costs no run.

The packages are stand-ins of a few lines with the calls that transformers makes.
"""

import json
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace

import pytest
from listening import run

from cdvft_app.events import Note, Step
from cdvft_app.settings import InvalidChoice, RunSettings
from cdvft_app.settings.environment import _read
from cdvft_app.training.queue import RunQueue
from cdvft_app.training.run import run_here

TENSORBOARD_X = """
import json, pathlib

class SummaryWriter:
    def __init__(self, log_dir):
        self.file = pathlib.Path(log_dir, "scalars.jsonl")
        self.file.parent.mkdir(parents=True)
    def add_text(self, name, text): pass
    def add_scalar(self, name, value, step):
        with self.file.open("a") as file:
            file.write(json.dumps([name, value, step]) + "\\n")
    def flush(self): pass
    def close(self): pass
"""


@pytest.fixture
def tensorboard_x(tmp_path_factory, monkeypatch):
    place = tmp_path_factory.mktemp("packages")
    (place / "tensorboardX.py").write_text(TENSORBOARD_X)
    monkeypatch.syspath_prepend(place)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)  # as where it is not installed
    yield
    sys.modules.pop("tensorboardX", None)


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


@pytest.mark.usefixtures("tensorboard_x")
def test_trackers_receive_every_loss(trackio, text_plan, text_rows, tmp_path, monkeypatch):
    monkeypatch.setenv("CDVFT_REPORT_TO", "tensorboard, trackio")
    heard, _ = run(text_plan("cdvft", max_steps=3), text_rows, tmp_path / "run-7")
    losses = {step.step: step.loss for step in heard.of(Step)}
    assert len(losses) == 3
    lines = (tmp_path / "run-7" / "tensorboard" / "scalars.jsonl").read_text().splitlines()
    scalars = [json.loads(line) for line in lines]
    assert {step: value for name, value, step in scalars if name == "train/loss"} == losses
    assert "eval/accuracy" in {name for name, _, _ in scalars}
    logged = [row for row in trackio.logged if "train/loss" in row]
    assert {row["train/global_step"]: row["train/loss"] for row in logged} == losses
    (begun,) = trackio.begun
    assert begun["project"] == "cdvft" and begun["name"].endswith("run-7") and begun["space_id"] is None
    evaluated = [row["train/global_step"] for row in trackio.logged if "eval/accuracy" in row]
    assert evaluated[-1] == 3 and trackio.finished == [True]
    assert not [note for note in heard.of(Note) if "failed" in note.text]


def test_failing_tracker_ends_no_run(trackio, text_plan, text_rows, tmp_path, monkeypatch):
    def full(row):
        trackio.logged.append(row)
        raise OSError("no room")

    sys.modules["trackio"].log = full
    monkeypatch.setenv("CDVFT_REPORT_TO", "trackio")
    heard, done = run(text_plan("cdvft", max_steps=3), text_rows, tmp_path)
    assert (done.state, len(trackio.logged)) == ("finished", 1)
    (note,) = (note for note in heard.of(Note) if "trackio" in note.text)
    assert note.text.startswith("trackio failed (OSError)") and note.kind == "warning"


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("trackio", "trackio is not installed here; run `pip install trackio`, or unset it."),
        ("wandb", "it is tensorboard or trackio, or both with a comma."),
    ],
)
def test_unknown_tracker_is_rejected_before_a_run(named, said, store, monkeypatch):
    monkeypatch.setattr("cdvft_app.settings.environment.find_spec", lambda name: None)
    monkeypatch.setenv("CDVFT_REPORT_TO", named)
    _read.cache_clear()  # what was installed a moment ago is remembered

    def take(store):
        return store.create([RunSettings(method="lora")], None)[0]

    for begin in (lambda: RunQueue(store), lambda: run_here(store, take, print)):
        with pytest.raises(InvalidChoice) as refused:
            begin()
        assert str(refused.value) == f"CDVFT_REPORT_TO: got {named!r}. {said}"
    assert store.history() == []
