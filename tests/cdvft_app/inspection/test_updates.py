"""The weight changes of finished runs, whatever their method."""

from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
import run_events
import torch
from safetensors.torch import save_file
from torch import nn
from transformers.pytorch_utils import Conv1D

from cdvft_app.catalog.entries import LinearGroup
from cdvft_app.inspection import frozen, sources, updates
from cdvft_app.inspection.sources import Unavailable
from cdvft_app.settings import RunSettings
from cdvft_app.store import snapshots
from cdvft_app.store.runs import RunStore
from cdvft_app.ui.learn.lab_targets import layer_choices, make, run_choices

MODULE = "encoder.layer.3.attention.self.query"


def finished(store: RunStore, settings: RunSettings, vectors: dict, state: str = "finished") -> str:
    [run] = store.create([settings], "somebody", "A run", process="1:1")
    folder = store.folder(run.id)
    store.append(run.id, run_events.started(1))
    if vectors:
        snapshots.write(folder, 1, {f"{MODULE}/{name}": vector for name, vector in vectors.items()})
    (folder / "adapter").mkdir(parents=True)
    store.append(run.id, run_events.done(1, folder / "adapter", state=state, metric=0.5))
    return run.id


def lora(store: RunStore, state: str = "finished") -> tuple[str, np.ndarray]:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 40)), rng.normal(size=(20, 2))
    settings = RunSettings(method="lora", lora_r=2, target_modules=("attention.self.query",))
    return finished(store, settings, {"A": a, "B": b}, state), b @ a


def test_the_lab_gets_a_corner_of_what_a_run_changed(store):
    run, change = lora(store)
    assert run_choices(store)[0] == ("A run · LoRA r\u00a0=\u00a02", run)
    assert layer_choices(store, run) == [("layer 3 · query, 20 × 40", MODULE)]
    target, about = make(store, {"target": "run", "n": 16, "run": run, "module": MODULE})
    np.testing.assert_allclose(target, change[:16, :16], rtol=1e-5, atol=1e-6)
    assert "20 × 40" in about and "1 to 16" in about
    target, _ = make(store, {"target": "run", "n": 256, "run": run, "module": MODULE})
    assert target.shape == (20, 20)


@pytest.mark.parametrize("run", [None, 7, {}, "../..", "recorded-../cdvft", "x" * 10**5])
def test_an_unknown_run_is_a_sentence(store, run):
    with pytest.raises(ValueError, match="There is no run"):
        make(store, {"target": "run", "n": 16, "run": run, "module": MODULE})
    assert layer_choices(store, run) == []


def test_unknown_layers_and_unfinished_runs_are_sentences(store):
    run, _ = lora(store)
    with pytest.raises(ValueError, match="changed no layer"):
        make(store, {"target": "run", "n": 16, "run": run, "module": "../x"})
    stopped, _ = lora(store, "stopped")
    with pytest.raises(ValueError, match="has not finished"):
        make(store, {"target": "run", "n": 16, "run": stopped, "module": MODULE})
    assert stopped not in [one for _, one in run_choices(store)]


@pytest.mark.parametrize(
    ("request_", "quoted"),
    [
        ({"target": "gaussian", "n": 17}, "'17'"),
        ({"target": "gaussian", "n": True}, "'True'"),
        ({"target": "../x", "n": 16}, "'../x'"),
        ({"target": ["x"] * 99, "n": 16}, "'x', 'x'"),
    ],
)
def test_make_quotes_an_invalid_target(store, request_, quoted):
    with pytest.raises(ValueError, match=quoted):
        make(store, request_)


@pytest.mark.parametrize("kind", [nn.Linear, Conv1D])
def test_full_fine_tuning_changed_the_difference_to_the_pretrained_weights(store, monkeypatch, kind):
    torch.manual_seed(0)
    pretrained = nn.Sequential()
    pretrained.add_module("query", nn.Linear(6, 4) if kind is nn.Linear else Conv1D(4, 6))
    trained = torch.randn(pretrained.query.weight.shape)
    run = finished(store, RunSettings(method="full"), {})
    with pytest.raises(Unavailable, match="keeps no weights"):
        updates.find(store, run)
    kept = {"backbone.query.weight": trained, "head.weight": torch.ones(2, 4), "query.bias": torch.ones(4)}
    save_file(kept, store.folder(run) / "adapter" / updates.WEIGHTS)
    model = SimpleNamespace(layers=(LinearGroup("query", 4, 6, 1),))
    monkeypatch.setattr(updates.catalog, "resolve", lambda _: SimpleNamespace(model=model))
    monkeypatch.setattr(frozen, "backbone", lambda _: nullcontext(SimpleNamespace(model=pretrained)))
    source = updates.find(store, run)
    recorded = [f"recorded-{key}" for key in sources.recorded_keys()]
    assert [one.id for one in updates.list_sources(store)] == [run, *recorded]
    [layer] = updates.changed(source)
    assert (layer.module, layer.title, layer.d_out, layer.d_in) == ("backbone.query", "query", 4, 6)
    change, _ = updates.weight_change(source, layer.module)
    difference = trained - pretrained.query.weight.detach()
    torch.testing.assert_close(change, difference if kind is nn.Linear else difference.T)
