"""The actor that trains a run on a node, in this process."""

from __future__ import annotations

import io
import time
import zipfile

import pytest

from cdvft_app.executors import ray_node as node
from cdvft_app.settings import RunSettings


@pytest.fixture
def start(tmp_path, bert_folder, monkeypatch):
    """`start()`: a run that trains as on a node."""
    monkeypatch.setattr(node.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(node.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("RUNS_DIR", str(tmp_path))
    monkeypatch.setenv("TINY_MODEL", str(bert_folder))
    asked = RunSettings(method="cdvft", max_steps=12, checkpoint_every=5, batch_size=8, keep="last")
    made = []

    def begin():
        order = ("a" * 32, 1, asked.model_dump_json(exclude_none=True), {}, False, None, {}, "")
        there = node.NodeRun(node.Order(*order, "tiny_trainer:train"))
        there.begin({})
        made.append(there)
        return there

    yield begin
    for one in made:
        one.remove()


def everything(run):
    """Return all rows and files of a run, and its state."""
    rows, files, last, newest, state = [], [], 0, "", None
    while state is None:
        update = run.update(last, newest)
        rows, files, last = rows + update.rows, files + update.files, update.last
        newest, state = update.checkpoint, update.state
        time.sleep(0.02)
    return rows, files, state


def test_node_reports_every_event_and_file(start):
    run = start()
    rows, files, state = everything(run)
    assert state == "finished"
    assert [row["step"] for row in rows if row["kind"] == "step"] == list(range(1, 13))
    assert {"checkpoints/checkpoint-10", "adapter"} <= set(files)
    assert zipfile.is_zipfile(io.BytesIO(run.read("adapter")))
    assert everything(run)[0] == rows, "for an app that was restarted"
    for name in (
        "../run.json",
        "run.json",
        "snapshots/../../x",
        "adapter/x",
        "checkpoints/checkpoint-1/../..",
    ):
        assert run.read(name) is None, "only files of the run are given"


def test_folder_survives_packing_and_stays_inside(tmp_path):
    source = tmp_path / "there"
    (source / "a").mkdir(parents=True)
    (source / "a" / "b").write_text("text")
    node.place_file(tmp_path / "here", node.packed(source))
    assert (tmp_path / "here" / "a" / "b").read_text() == "text"
    evil = io.BytesIO()
    with zipfile.ZipFile(evil, "w") as archive:
        archive.writestr("../../outside", "x")
    node.place_file(tmp_path / "below" / "evil", evil.getvalue())
    assert not (tmp_path / "outside").exists() and (tmp_path / "below" / "evil" / "outside").is_file()
