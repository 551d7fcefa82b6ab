"""A store with finished runs on tiny models, and the command line on it."""

from __future__ import annotations

import dataclasses
import sys
import types

import made
import pytest
from listening import finished

from cdvft_app.catalog import MODELS, get_model
from cdvft_app.commands import main as cli
from cdvft_app.store.runs import RunStore


@pytest.fixture(scope="session")
def home(request, tmp_path_factory):
    """A store with a run on texts and one on images."""
    folder = tmp_path_factory.mktemp("home")
    store = RunStore(folder)
    ids = {}
    for kind in ("text", "image"):
        plan, rows = (request.getfixturevalue(f"{kind}_{what}") for what in ("plan", "rows"))
        planned = plan("cdvft", max_steps=4, learning_rate=0.1)
        (record,) = store.create([planned.settings], None, kind, "1:1")
        ids[kind] = finished(store, record, planned, rows).record.id
    (queued,) = store.create([planned.settings], None, "waits")
    ids["queued"] = queued.id
    store.close()
    return folder, ids


@pytest.fixture
def tiny_models(bert_folder, vit_folder, llama_folder, monkeypatch):
    """In the catalogue, in place of those that recipes train."""
    text = dataclasses.replace(get_model("minilm"), source="local", location=str(bert_folder))
    image = dataclasses.replace(
        get_model("vit_small", "image"), source="local", location=str(vit_folder), architecture=None
    )
    monkeypatch.setitem(MODELS, "minilm", text)  # type: ignore[arg-type]
    monkeypatch.setitem(MODELS, "vit_small", dataclasses.replace(image, patch_size=16))  # type: ignore[arg-type]
    writer = dataclasses.replace(
        get_model("smollm2", "generation"), source="local", location=str(llama_folder)
    )
    monkeypatch.setitem(MODELS, "smollm2", writer)  # type: ignore[arg-type]


@pytest.fixture
def command_line(monkeypatch, capsys):
    """`command_line("train", "--m", 3)`: exit code, standard output, standard error."""

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["cdvft_app", *map(str, words)])
        with pytest.raises(SystemExit) as left:
            cli.main()
        return left.value.code or 0, *capsys.readouterr()

    return run


@pytest.fixture
def command(home, tiny_models, monkeypatch, command_line):
    """The command line over that store."""
    monkeypatch.setenv("RUNS_DIR", str(home[0]))
    return command_line


@pytest.fixture
def command_with(tmp_path, monkeypatch, command_line):
    """`command_with(train)`: the command line over an empty store, where `train` is the trainer."""

    def make(train):
        trainer = types.ModuleType("cdvft_app.training.trainer")
        trainer.train = train
        monkeypatch.setitem(sys.modules, trainer.__name__, trainer)
        monkeypatch.setenv("RUNS_DIR", str(tmp_path))
        return command_line

    return make


@pytest.fixture
def mine(tmp_path):
    """A file of one's own: texts with one of two labels."""
    rows = "".join(f"scene {n},{n % 2}\n" for n in range(60))
    return made.written(tmp_path, "review,stars\n" + rows, "mine.csv")


@pytest.fixture
def trained():
    """The settings of the runs that were trained, in order; "interrupt": the place at which Ctrl-C comes."""
    return {"settings": [], "interrupt": None}
