"""Stores as the last two formats' programs wrote them are read, runs with flat settings among them."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from cdvft_app import catalog
from cdvft_app.events import Step
from cdvft_app.inspection import layers, numbers, sources
from cdvft_app.judging.compared_runs import compared_run
from cdvft_app.methods import METHODS
from cdvft_app.store.processes import this_process
from cdvft_app.store.runs import RunStore
from cdvft_app.ui.shared import form
from cdvft_app.ui.train.run_view import Feed, poll

KEPT = Path(__file__).parent / "kept_histories"
QUERY = "encoder.layer.0.attention.self.query"


@pytest.fixture(params=["format-11", "format-12"])
def store(request, tmp_path):
    shutil.copytree(KEPT / request.param, tmp_path / "store")
    return RunStore(tmp_path / "store")


@pytest.fixture
def race(store):
    _, runs = store.groups(5, sweeps=False)
    return {run.method: run for run in runs}


def test_its_latest_race_is_its_owners_and_goes_on(store):
    runs, _ = store.groups(5, sweeps=False)
    states = {run.method: (run.state, run.step) for run in runs}
    assert states == {"cdvft": ("finished", 2), "lora": ("interrupted", 2)}
    for run in runs:
        assert run.private and run.visitor == "address 192.0.2.7" and store.owner(run.id, "secret")
    assert runs[0].forecast and runs[0].forecast["seconds"]["value"] == 9.0 and runs[0].metric == 0.5
    kinds = [row["kind"] for row in store.rows(runs[0].id)[0]]
    assert kinds == ["started", "step", "step", "evaluation", "done"]
    assert len(store.datasets.of("secret")) == 1 and store.spending.since("address 192.0.2.7", 0.0)
    again = store.leases.acquire(runs[1].id, this_process())
    store.append(again.id, Step(3, 0.3, 0.4, 1e-3, 0.9, 1000.0), again.epoch)
    assert store.get(again.id).step == 3


def test_its_runs_have_their_methods_with_their_own_settings(race):
    """And, of settings that came later, with what these were before."""
    expected = {
        "cdvft": {"m": 3, "block_size": 64, "alpha": 1.0, "init_weights": "zero_output"}
        | {"input_diagonal_lr_ratio": 1.0},
        "lora": {"r": 4, "alpha": None, "dropout": 0.0, "rank_pattern": None, "loraplus_lr_ratio": 1.0},
        "fourierft": {"n": 200, "scaling": 150.0},
        "c3a": {"block_size": 384},
        "head": {},
    }
    assert race.keys() == expected.keys()
    for key, run in race.items():
        assert expected[key].items() <= run.settings.method.setting_values().items()
    assert race["lora"].settings.method.learning_rate == 0.01
    assert [run.state for run in race.values()] == ["finished"] * 4 + ["interrupted"]


def test_the_page_shows_them_by_the_ids_of_a_link(store, race):
    shown = json.loads(poll(store, Feed(store), {"cursors": {run.id: 0 for run in race.values()}}).body)
    labels = [run["label"].replace("\u00a0", " ") for run in shown["runs"]]
    assert labels == ["CDVFT m = 3, p = 64", "LoRA r = 4", "FourierFT n = 200", "C3A", "Head only"]
    assert not shown["missing"]
    assert all(run["steps"] for run in shown["runs"])


def test_they_are_asked_for_again_as_they_were(race):
    settings = [run.settings for run in race.values()]
    again = form.race(form.remembered(form.from_runs(settings)))
    assert [catalog.resolve(one).settings for one in again.runs()] == settings
    assert [catalog.resolve(one).settings for one in settings] == settings  # and so they resume


def test_what_they_learned_is_drawn(store, race):
    for key, rank in (("cdvft", 384), ("lora", 4)):
        source = sources.find(store, race[key].id)
        (layer,) = layers.layers(source)
        assert (layer.module, layer.d_out, layer.d_in) == (QUERY, 384, 384)
        assert int(torch.linalg.matrix_rank(numbers.update(source, layer, 1).double(), rtol=1e-4)) <= rank


def test_its_sweep_goes_on(store):
    (runs,) = store.groups(5, sweeps=True)
    assert [compared_run(run).values for run in runs] == [
        {"m": 3, "block_size": 64, "learning_rates": 1.0},
        {"r": 4, "learning_rates": 3.33},
    ]


def test_its_measured_times_are_found_by_the_names_of_now(store):
    asked = {"model": "FacebookAI/roberta-base", "targets": ["query", "value"], "batch": 16, "sequence": 128}
    lora = METHODS["lora"](method="lora", r=8)
    found = store.measurements.latest(**asked, method="lora", setting=lora.sizes(), device="CPU, 2 threads")
    assert found and found["seconds"] == 0.5
