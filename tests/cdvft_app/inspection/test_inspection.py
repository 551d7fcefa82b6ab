"""What the Factors tab says is what PEFT and cdvft compute; and strangers' words reach nothing."""

from types import SimpleNamespace

import numpy as np
import pytest
import run_events
import torch
from sent_numbers import floats
from torch import nn

from cdvft import factors as formulas
from cdvft_app.inspection import layers, numbers, sources
from cdvft_app.inspection.sources import Unavailable
from cdvft_app.settings import RunSettings
from cdvft_app.store import snapshots
from cdvft_app.store.runs import RunStore
from cdvft_app.training import trainable
from cdvft_app.training.children import WorkerProcess
from cdvft_app.ui.factors.tab import Questions
from cdvft_app.ui.shared.server_functions import refusing

NAMES = ("encoder.layer.0.output.dense", "encoder.layer.10.output.dense", "encoder.layer.2.output.dense")
OF_A_LAYER = ("layer", "singular")
METHODS = {
    "cdvft": {"block_size": 4, "alpha": 2.0},
    "lora": {"lora_r": 3},
    "fourierft": {"fourierft_n": 20},
    "c3a": {"c3a_block_size": 4},
}
SENT_WHOLE = {"dora": {"dora_r": 2}, "vera": {"vera_r": 5}}


def adapted(settings: RunSettings, d_out: int, d_in: int) -> nn.Module:
    """A model with three adapted layers whose vectors are all drawn at random."""
    dense = {n: nn.ModuleDict({"dense": nn.Linear(d_in, d_out)}) for n in ("0", "2", "10")}
    layer = nn.ModuleDict({number: nn.ModuleDict({"output": one}) for number, one in dense.items()})
    base = nn.ModuleDict({"encoder": nn.ModuleDict({"layer": layer}), "classifier": nn.Linear(2, 2)})
    base.config = SimpleNamespace(to_dict=dict, get=lambda *_: None)
    model = trainable.build(settings, base, "classifier")
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and "classifier" not in name:
            nn.init.normal_(parameter)
    return model


def settings_of(method: str) -> RunSettings:
    return RunSettings(method=method, target_modules=("output.dense",), **(METHODS | SENT_WHOLE)[method])


def kept(store: RunStore, settings: RunSettings, steps: dict[int, dict[str, object]]) -> sources.Source:
    """A run of the store with these snapshots."""
    [run] = store.create([settings], "somebody", process="1:1")
    store.append(run.id, run_events.started(9))
    for step, vectors in steps.items():
        if step:
            store.append(run.id, run_events.step(step))
        snapshots.write(store.folder(run.id), step, vectors)
    return sources.find(store, run.id)


def kept_once(store: RunStore, method: str = "cdvft") -> sources.Source:
    """A run with one snapshot."""
    settings = settings_of(method)
    return kept(store, settings, {0: trainable.vectors(adapted(settings, 8, 12), settings.method)})


@pytest.mark.parametrize("method", METHODS)
def test_an_update_is_the_one_peft_applies(store, monkeypatch, method):
    torch.manual_seed(0)
    settings = settings_of(method)
    model = adapted(settings, 8, 12)
    shapes = SimpleNamespace(target_shapes=(("output.dense", 8, 12, 3),))
    monkeypatch.setattr(layers.catalog, "resolve", lambda _: shapes)
    run = kept(store, settings, dict.fromkeys((0, 9), trainable.vectors(model, settings.method)))
    found = layers.layers(run)
    assert [layer.module for layer in found] == [NAMES[0], NAMES[2], NAMES[1]]
    depths = [(layer.depth, layer.kind, layer.d_out, layer.d_in) for layer in found]
    assert depths == [(depth, "dense", 8, 12) for depth in (0, 2, 10)]
    truth = {update.layer: update.delta for update in formulas.weight_updates(model)}
    for layer in found:
        delta = numbers.update(run, layer, 9)
        torch.testing.assert_close(delta, truth[layer.module])
        said = numbers.singular(run, layer)
        values = floats(said["values"]).reshape(2, said["count"])
        np.testing.assert_allclose(values[1], torch.linalg.svdvals(truth[layer.module]), atol=1e-5)
        assert said["norm"][1] == pytest.approx(float(truth[layer.module].norm()), rel=1e-5)
    said = numbers.overview(run)
    assert said["next"] is None and [one["module"] for one in said["layers"]] == [one.module for one in found]
    assert said["layers"][0]["norm"][0] == pytest.approx(float(truth[NAMES[0]].norm()), rel=1e-5)


def test_a_layer_of_fourierft_has_a_size_of_its_own(store, monkeypatch):
    """Those of a Swin have one name and four sizes; snapshots of earlier versions do not tell them apart."""
    torch.manual_seed(0)
    settings = settings_of("fourierft")
    sizes = {NAMES[0]: (8, 12), NAMES[1]: (16, 24)}
    shapes = SimpleNamespace(target_shapes=tuple(("output.dense", *size, 1) for size in sizes.values()))
    monkeypatch.setattr(layers.catalog, "resolve", lambda _: shapes)
    vectors, truth = {}, {}
    for name, size in sizes.items():
        model = adapted(settings, *size)
        learned = trainable.vectors(model, settings.method)
        vectors |= {key: vector for key, vector in learned.items() if key.startswith(name)}
        truth |= {one.layer: one.delta for one in formulas.weight_updates(model) if one.layer == name}
    run = kept(store, settings, {0: vectors})
    found = layers.layers(run)
    assert {one.module: (one.d_out, one.d_in) for one in found} == sizes
    for layer in found:
        torch.testing.assert_close(numbers.update(run, layer, 0), truth[layer.module])
    earlier = {key: vector for key, vector in vectors.items() if not key.endswith("/size")}
    with pytest.raises(Unavailable, match="is known neither from its vectors nor from the catalogue"):
        layers.layers(kept(store, settings, {0: earlier}))


def test_the_page_begins_with_the_layer_that_changed_most(store):
    size = {name: size for size, name in enumerate(NAMES, 1)}
    vectors = {f"{name}/A": np.full((1, 12), float(size[name])) for name in NAMES}
    vectors |= {f"{name}/B": np.ones((8, 1)) for name in NAMES}
    run = kept(store, settings_of("lora"), {0: vectors, 9: vectors})
    assert Questions(store).most_changed({"run": run.id}) == {"module": NAMES[-1]}
    assert numbers.last_norms(run, seconds=-1).keys() == {layers.layers(run)[0].module}


@pytest.mark.parametrize(("method", "trained"), [("dora", 2 * (8 + 12) + 8), ("vera", 5 + 8)])
def test_a_change_that_the_page_cannot_rebuild_is_sent_whole(store, monkeypatch, method, trained):
    settings = settings_of(method)
    model = adapted(settings, 8, 12)
    run = kept(store, settings, dict.fromkeys((0, 9), trainable.vectors(model, settings.method)))
    base = {name: layer.get_base_layer() for name, layer in model.named_modules() if hasattr(layer, "r")}
    weights = {name.removeprefix("base_model.model."): layer.weight.detach() for name, layer in base.items()}
    monkeypatch.setattr(numbers.frozen, "weight", lambda source, module: weights[module])
    layer = layers.layers(run)[0]
    said = numbers.dense_payload(run, layer)
    assert said["trained"] == trained and said["steps"] == [0, 9]
    sent = floats(said["vectors"]["update"]["data"]).reshape(2, 8, 12)
    x = torch.randn(3, 12)
    whole = model.get_submodule(f"base_model.model.{layer.module}")
    with torch.no_grad():
        added = whole(x) - whole.get_base_layer()(x)
    np.testing.assert_allclose(x.numpy() @ sent[1].T, added, rtol=1e-4, atol=1e-4)


def test_the_payload_is_the_snapshots(store):
    steps = {
        step: {f"{NAMES[0]}/diagonal.{place}": np.arange(4.0) + step + place for place in (0, 1)}
        | {f"{NAMES[0]}/circulant.0": np.full((1, 1, 4), float(step))}
        for step in (0, 7)
    }
    run = kept(store, settings_of("cdvft"), steps)
    [layer] = layers.layers(run)
    said = layers.payload(run, layer)
    assert said["steps"] == [0, 7] and said["vectors"]["circulant.0"]["shape"] == [1, 1, 4]
    sent = floats(said["vectors"]["diagonal.1"]["data"]).reshape(2, 4)
    np.testing.assert_array_equal(sent, [np.arange(4.0) + 1, np.arange(4.0) + 8])
    moved = numbers.overview(run)["layers"][0]["moved"]
    assert moved == {"diagonal.0": [0, 7], "diagonal.1": [0, 7], "circulant.0": [0, 7]}


def test_a_large_layer_comes_with_fewer_snapshots(store, monkeypatch):
    vectors = {f"{NAMES[0]}/diagonal.{place}": np.ones(8) for place in (0, 1)}
    vectors[f"{NAMES[0]}/circulant.0"] = np.ones((1, 1, 8))
    run = kept(store, settings_of("cdvft"), dict.fromkeys(range(0, 10, 3), vectors) | {1: vectors})
    [layer] = layers.layers(run)
    monkeypatch.setattr(layers, "MAX_BYTES", 3 * 24 * 4)
    assert layers.payload(run, layer)["steps"] == [0, 3, 9]
    monkeypatch.setattr(formulas, "LARGEST_SIDE", 7)
    assert "8 x 8 they take too long" in numbers.singular(run, layer)["reason"]
    assert numbers.overview(run)["layers"][0]["effective_rank"] is None


@pytest.mark.parametrize("entry", [np.nan, np.inf])
def test_of_an_update_that_is_not_finite_the_page_says_so(store, entry):
    vectors = {f"{NAMES[0]}/A": np.full((1, 12), entry), f"{NAMES[0]}/B": np.ones((8, 1))}
    run = kept(store, settings_of("lora"), {0: vectors, 9: vectors})
    [layer] = layers.layers(run)
    assert "training diverged" in numbers.singular(run, layer)["reason"]
    assert numbers.overview(run)["layers"][0]["effective_rank"] is None


def test_an_overview_comes_in_parts(store):
    run = kept_once(store)
    first = numbers.overview(run, seconds=0)
    assert len(first["layers"]) == 1 and first["next"] == 1
    assert numbers.overview(run, first["next"])["layers"][-1]["module"] == NAMES[1]


@pytest.mark.parametrize("name", ["open", *OF_A_LAYER, "overview", "weights", "effects", "most_changed"])
def test_an_unknown_run_or_layer_is_a_sentence(store, name):
    ask = refusing(getattr(Questions(store), name))
    for run in ("", "../..", "recorded-../cdvft", "x" * 10**5):
        said = ask({"run": run, "module": run, "first": 0})
        assert said["error"].startswith("There is no run ") and len(said["error"]) < 200
    for module in ("", "../layer", "encoder.layer.0", "x" * 10**5) if name in OF_A_LAYER else ():
        said = ask({"run": "recorded-cdvft", "module": module})
        assert said["error"].startswith("This run has no layer ") and len(said["error"]) < 200


def test_what_is_computed_is_computed_in_another_process(store, monkeypatch):
    run, asked_of = kept_once(store), Questions(store)
    ask, asked = refusing(asked_of.singular), {"run": run.id, "module": NAMES[0]}
    monkeypatch.setattr(numbers, "singular", None)  # in this one
    first = ask(asked)
    assert first["count"] > 0
    asked_of.inspector._worker.end()
    assert ask(asked) == first  # by a new one

    def ended(*_):
        raise EOFError

    monkeypatch.setattr(WorkerProcess, "receive", ended)
    assert "has ended, most likely for want of memory" in ask(asked)["error"]


def test_a_run_without_factors_is_a_sentence(store):
    [run] = store.create([RunSettings(method="head")], "somebody")
    with pytest.raises(Unavailable, match="keeps no factors yet"):
        sources.find(store, run.id)
    recorded = [f"recorded-{key}" for key in sources.recorded_keys()]
    assert [source.id for source in sources.list_sources(store)] == recorded
