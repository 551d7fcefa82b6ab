"""Nodes read what is on the hub, or in the mirror, as one machine does: what was pinned, and once."""

from __future__ import annotations

import hashlib
import json
from contextlib import contextmanager

import pytest
from held_runs import Held, executor_on, notes, queue_on, ray_cluster, settings
from waiting import wait
from wheels import make_wheel

from cdvft_app.catalog.hub import pin_dataset_commit
from cdvft_app.settings import RunSettings
from cdvft_app.store.states import FINAL

MODEL, DATA, PINNED, LATER = "ada/tiny", "ada/films", "1" * 40, "2" * 40
ROWS = "text,label\n" + "".join(f"a very {word} film,{word}\n" for word in ("good", "bad") * 24)
pytestmark = pytest.mark.cluster


@contextmanager
def trained_side_by_side(store, asked, trainer, folder, **variables):
    """The runs, which a node with nothing in its caches has trained at the same time."""
    empty = {"CDVFT_CACHE": str(folder / "cache"), "HF_HOME": str(folder / "hub")}
    with ray_cluster(Held(folder / "held"), **empty, **variables) as ray:
        ray.add(cpus=len(asked))
        with queue_on(store, executor_on(ray, trainer), workers=len(asked)) as queue:
            yield [wait(store, run_id, *FINAL) for run_id in queue.submit(asked, "a")]


def test_the_pinned_commit_is_read_when_the_branch_has_moved_on(store, stub, bert_folder, tmp_path):
    stub.files_of[MODEL] = {path.name: path.read_bytes() for path in bert_folder.iterdir()}
    stub.files_at |= {PINNED: {"data/train.csv": ROWS.encode()}, LATER: {"data/train.csv": b"text,label\n"}}
    stub.commits |= {f"{DATA}@{PINNED}": PINNED, f"{DATA}@main": PINNED}
    asked = pin_dataset_commit(
        RunSettings(method="cdvft", model=MODEL, dataset=DATA, max_steps=4, batch_size=8, max_length=16)
    )
    stub.commits[f"{DATA}@main"] = LATER
    both = [asked, asked.model_copy(update={"seed": 1})]
    hub = {"HF_ENDPOINT": stub.address, "HF_HUB_OFFLINE": "0"}
    with trained_side_by_side(store, both, "train_from_hub", tmp_path, **hub) as runs:
        assert [(run.state, run.step) for run in runs] == [("finished", 4)] * 2, [run.reason for run in runs]
    assert len(stub.fetched) == len({*stub.fetched}), "each file once, for both"
    (data,) = (one for one in stub.fetched if DATA in one)
    assert data == f"/datasets/{DATA}/resolve/{PINNED}/data/train.csv"


def test_an_archive_of_the_mirror_is_fetched_once_and_is_the_pinned_one(store, tmp_path):
    content = b"weights" * 50_000
    file = make_wheel(tmp_path / "index", content)
    described = {
        "name": "tiny",
        "title": "Tiny",
        "project": "tiny-archive",
        "version": "1.0",
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "wheel_bytes": file.stat().st_size,
        "unpacked_bytes": 400_000,
    }
    index = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(file.parent), "ARCHIVE": json.dumps(described)}
    both = [settings(74), settings(75)]
    with trained_side_by_side(store, both, "train_from_archive", tmp_path, **index) as runs:
        assert [run.state for run in runs] == ["finished"] * 2, [run.reason for run in runs]
    said = [notes(store, run.id) for run in runs]
    assert all(f"archive: {hashlib.sha256(content).hexdigest()}" in one for one in said)
    assert sum("fetched" in one for one in said) == 1
