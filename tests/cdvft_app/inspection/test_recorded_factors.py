"""The recorded runs' factors, which are shown where nobody has trained."""

import itertools

import numpy as np
import pytest
from sent_numbers import floats

from cdvft_app.inspection import background, layers, numbers, sources
from cdvft_app.inspection.sources import RecordedRun, Unavailable


@pytest.mark.parametrize("key", sources.recorded_keys())
def test_what_is_recorded_agrees_with_itself(key):
    run = RecordedRun(key)
    last = layers.layers(run)[-1]
    said, known = numbers.singular(run, last), run.singular(last.module)
    assert run.steps()[0] == 0 and known["steps"] == said["steps"] and known["count"] == said["count"]
    for one, other in ((said["norm"], known["norm"]), (said["effective_rank"], known["effective_rank"])):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-9)
    values = [floats(one["values"]) for one in (said, known)]
    np.testing.assert_allclose(*values, rtol=2e-3, atol=2e-3 * values[0].max())
    assert {one["module"] for one in run.overview()["layers"]} == {one.module for one in layers.layers(run)}
    for layer in (last, layers.find_layer(run, run.first())):  # which is shown first
        assert sources.recorded_weight_norms(run)[layer.module] > 0


RACE = ("cdvft", "lora", "fourierft")  # that ships with the program, weights and all


@pytest.mark.parametrize("key", [*RACE, "c3a", "blocks", "digits"])
def test_what_a_recorded_run_does_to_inputs_is_known_of_all_its_layers(key):
    run = RecordedRun(key)
    known = run.effects()
    assert known and known["next"] is None and known["tokens"] == 500
    assert [one["module"] for one in known["layers"]] == [layer.module for layer in layers.layers(run)]


@pytest.mark.parametrize("key", RACE)
def test_what_each_direction_of_the_recorded_race_does_is_known(key):
    run = RecordedRun(key)
    for module in (layer.module for layer in layers.layers(run)):
        alone = run.together(module, None)
        assert alone and [len(one["shares"]) for one in alone["directions"]] == [1] * 4
        assert {len(one["answers"]) for one in alone["examples"]} == {1}


@pytest.mark.parametrize("pair", [*itertools.combinations(RACE, 2)], ids=" and ".join)
def test_two_recorded_runs_are_the_same_whichever_is_the_first(pair):
    one, other = map(RecordedRun, pair)
    for layer in layers.layers(one):
        found, turned = one.together(layer.module, other), other.together(layer.module, one)
        assert found and turned
        updates = [numbers.update(run, layer, run.steps()[-1]).double() for run in (one, other)]
        expected = (updates[0] * updates[1]).sum() / (updates[0].norm() * updates[1].norm())
        assert found["updates"] == turned["updates"] == pytest.approx(float(expected), abs=1e-3)
        assert found["alone"] == turned["alone"][::-1] and found["common"] == turned["common"][::-1]
        for first, second in zip(found["examples"], turned["examples"], strict=True):
            assert first["text"] == second["text"] and first["answers"] == second["answers"][::-1]


@pytest.mark.mirror
def test_a_recorded_run_is_compared_with_any_other_whose_weights_are_there(store):
    """What is not recorded of a pair is computed from the weights that ship, as it was for the record."""
    run = RecordedRun("lora")
    module = layers.layers(run)[-1].module
    answer, known = background._start(store.root, lambda: False), run.together(module, RecordedRun("cdvft"))
    asked = {"run_id": "recorded-lora", "module": module}
    found = answer("together", asked | {"beside": "recorded-cdvft"})
    assert known
    for name in ("updates", "effects", "centred"):
        assert found[name] == pytest.approx(known[name], abs=2e-3)
    with pytest.raises(Unavailable, match="This is not recorded of this run"):
        answer("together", asked | {"beside": "recorded-c3a"})


def test_a_vector_of_zeros_is_recorded_without_entries():
    """As the output diagonal is at the start."""
    run = RecordedRun("cdvft")
    with run._vectors() as tensors:
        stored = next(k for k in tensors.keys() if k.startswith("0/") and k.endswith("/diagonal.1"))  # noqa: SIM118
        assert tensors.get_tensor(stored).size == 0
    module = stored.split("/")[1]
    start, end = (run.read(step, module)["diagonal.1"] for step in (0, run.steps()[-1]))
    assert start.shape == end.shape and not start.any() and end.any()
