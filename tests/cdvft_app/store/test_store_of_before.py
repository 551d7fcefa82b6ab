"""A store as the version before wrote it, with all methods' settings side by side, is still read."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from cdvft_app import catalog
from cdvft_app.inspection import layers, numbers, sources
from cdvft_app.methods import METHODS
from cdvft_app.store.runs import RunStore
from cdvft_app.sweep.group import sweep_run
from cdvft_app.ui.shared import form
from cdvft_app.ui.train.feed import Feed
from cdvft_app.ui.train.run_view import poll

BEFORE = Path(__file__).parent / "of_before"
QUERY = "encoder.layer.0.attention.self.query"


@pytest.fixture
def store(tmp_path):
    shutil.copytree(BEFORE, tmp_path / "store")
    return RunStore(tmp_path / "store")


@pytest.fixture
def race(store):
    (runs,) = store.groups(5, sweeps=False)
    return {run.method: run for run in runs}


def test_its_runs_have_their_methods_with_their_own_settings(race):
    own = {key: run.settings.method.setting_values() for key, run in race.items()}
    assert own == {
        "cdvft": {"m": 3, "block_size": 64, "alpha": 1.0, "init_weights": "zero_output"},
        "lora": {"r": 4},
        "fourierft": {"n": 200, "scaling": 150.0},
        "c3a": {"block_size": 384},
        "head": {},
    }
    assert race["lora"].settings.method.learning_rate == 0.01
    assert [run.state for run in race.values()] == ["finished"] * 4 + ["interrupted"]


def test_the_page_shows_them_by_the_ids_of_a_link(store, race):
    shown = json.loads(poll(store, Feed(store), {"cursors": {run.id: 0 for run in race.values()}}).body)
    assert not shown["missing"] and [run["label"].replace("\u00a0", " ") for run in shown["runs"]] == [
        "CDVFT m = 3, p = 64",
        "LoRA r = 4",
        "FourierFT n = 200",
        "C3A",
        "Head only",
    ]
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
    assert [sweep_run(run).values for run in runs] == [
        {"m": 3, "block_size": 64, "learning_rates": 1.0},
        {"r": 4, "learning_rates": 3.33},
    ]


def test_its_measured_times_are_found_by_the_names_of_now(store):
    asked = {"model": "FacebookAI/roberta-base", "targets": ["query", "value"], "batch": 16, "sequence": 128}
    lora = METHODS["lora"](method="lora", r=8)
    found = store.measurements.latest(**asked, method="lora", setting=lora.sizes(), device="CPU, 2 threads")
    assert found and found["seconds"] == 0.5
