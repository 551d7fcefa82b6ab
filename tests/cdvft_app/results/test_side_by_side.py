"""Runs asked side by side on one model answer as each does by itself, and what an adapter promises holds."""

from __future__ import annotations

import shutil

import pytest
from torch import nn

from cdvft import layer as cdvft_layer
from cdvft.layer import CDVFTLayer
from cdvft_app.results import apply as applying
from cdvft_app.results.finished_run import FinishedRun, ResultsError
from cdvft_app.results.inference import FROZEN, load_side_by_side, prove
from cdvft_app.training import trainable

TEXTS = ["good", "the plot the film very awful a a a", "bad film"]
ADAPTERS, OTHERS = ("cdvft", "lora", "fourierft", "c3a", "dora", "vera"), ("head", "full")
ALL = (*ADAPTERS, *OTHERS)


@pytest.fixture(scope="module")
def race(runs) -> list[FinishedRun]:
    return [runs("text", method) for method in ALL]


def test_each_answers_as_by_itself_on_one_model(race):
    models = load_side_by_side(race)
    said = {}
    for run in race:
        alone = trainable.load_trained(run.plan, run.folder)[0].predict(TEXTS)
        beside = models.answers(run.record.id, TEXTS)
        for one, other in zip(alone, beside, strict=True):
            assert one.label == other.label
            assert other.probabilities == pytest.approx(one.probabilities, abs=1e-5)
        said[run.record.method] = tuple(round(one.probabilities[0], 4) for one in beside)
    assert len(set(said.values())) == len(ALL)
    bare = sum(parameter.numel() for parameter in models.task.model.parameters())
    frozen = trainable.load_base(race[0].plan, race[0].folder).model
    fresh = sum(parameter.numel() for parameter in frozen.parameters())
    assert bare == fresh, "one model, and no adapter left on it"


def test_what_of_a_text_is_not_read_is_counted(race):
    """Of the tiny tokenizer's words each is a token, beside one before and one after all of them."""
    task = load_side_by_side(race[:1]).task
    room = race[0].plan.settings.max_length - 2
    texts = ["film " * room, "film " * (room + 1), "film " * (room + 40)]
    assert task.too_long_by(texts) == [0, 1, 40]
    assert task.lengths(task.examples(texts)) == [room + 2] * 3


def test_the_frozen_model_has_the_first_one_s_head_and_nothing_of_its_update(race):
    models = load_side_by_side(race[:2])
    model = trainable.load_base(race[0].plan, race[0].folder).model
    adapted = trainable.load_trained(race[0].plan, race[0].folder)[0].model
    head: nn.Module = adapted.get_submodule("classifier").modules_to_save["default"]
    model.get_submodule("classifier").load_state_dict(head.state_dict())
    expected = trainable.load_trained(race[0].plan, race[0].folder)[0].predict(TEXTS, model.eval())
    for one, other in zip(models.answers(FROZEN, TEXTS), expected, strict=True):
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-6)


def test_a_run_that_was_trained_further_answers_with_what_it_has_learned_since(
    trained, text_plan, text_rows, answered_here
):
    run = trained(text_plan("lora", max_steps=4, learning_rate=0.05), text_rows)
    ids, kept = [run.record.id], answered_here(run)

    def shares(questions):
        return [one["probabilities"] for one in questions.answer(ids, TEXTS, [], None)["sides"][1]["answers"]]

    columns = applying.Columns(("text",), None)
    before, about = shares(kept), applying.about(run, "a file", columns)
    assert applying.about(run, "a file", columns) == about
    further = trained(text_plan("lora", max_steps=8, learning_rate=0.5), text_rows)
    shutil.copytree(further.folder, run.folder, dirs_exist_ok=True, copy_function=shutil.copyfile)
    now = shares(answered_here(run))
    assert now != before
    assert shares(kept) == now
    assert applying.about(run, "a file", columns) != about, "a file that was half answered begins again"


def test_images_as_well(runs, image_rows):
    race = [runs("image", method) for method in ("cdvft", "lora")]
    models, images = load_side_by_side(race), image_rows.evaluation.inputs[:3]
    for run in race:
        alone = trainable.load_trained(run.plan, run.folder)[0].predict(images)
        for one, other in zip(alone, models.answers(run.record.id, images), strict=True):
            assert other.probabilities == pytest.approx(one.probabilities, abs=1e-5)


def test_runs_of_two_races_are_not_mixed(race, trained, text_plan, text_rows):
    other = trained(text_plan("lora", max_steps=2, max_length=8), text_rows)
    with pytest.raises(ResultsError, match="choose runs of one race"):
        load_side_by_side([race[0], other])


@pytest.mark.parametrize("method", ADAPTERS)
def test_an_adapter_keeps_its_promises(race, method):
    run = race[ALL.index(method)]
    proof = prove(run, TEXTS)
    *kept, learned = proof.checks
    by_fft = [check for check in kept if check.invariant.startswith("By FFTs")]
    assert len(by_fft) == (run.record.method == "cdvft")
    assert len(kept) == 3 + len(by_fft) and all(
        check.difference < 1e-5 * max(1, check.size) for check in kept
    )
    assert learned.difference > 1e-3
    (file,) = run.folder.glob("*.safetensors")
    assert proof.file_bytes == file.stat().st_size
    trainable = (run.record.trainable_parameters or 0) + run.record.result["head_parameters"]
    shared = ("base_model.vera_A", "base_model.vera_B")  # VeRA's random matrices are kept with it
    assert sum(numbers for name, _, numbers in proof.tensors if name not in shared) == trainable


@pytest.mark.parametrize("method", ["cdvft", "fourierft"])
def test_an_adapter_that_writes_keeps_its_promises_at_each_token_of_its_answer(method, runs, monkeypatch):
    run = runs("answer", method)
    *kept, learned = prove(run, ["go go go 2"]).checks
    assert len(kept) == 3 + (method == "cdvft")
    assert all(check.difference < 1e-5 * max(1, check.size) for check in kept)
    assert learned.difference > 1e-2
    whole, loaded = trainable.load_base, []

    def shaken(*given):
        loaded.append(whole(*given))
        if len(loaded) == 2:  # the first one gets the adapter
            loaded[1].model.lm_head.weight.data *= 1.01
        return loaded[-1]

    monkeypatch.setattr(trainable, "load_base", shaken)
    _, off, again, *_ = prove(run, ["go go go 2"]).checks
    assert min(off.difference, again.difference) > 1e-3, "another frozen model is found out"


def test_a_broken_promise_shows(race, monkeypatch):
    whole = CDVFTLayer.get_delta_weight
    monkeypatch.setattr(CDVFTLayer, "get_delta_weight", lambda self, name: 1.5 * whole(self, name))
    assert prove(race[0], TEXTS).checks[0].difference > 1e-4


def test_ffts_that_differ_from_the_matrices_show(race, monkeypatch):
    whole = cdvft_layer.adapted_linear

    def wrong(x, weight, bias, factors, backend):
        return whole(x, weight, bias, factors, backend) + (0.01 if backend == "fft" else 0)

    monkeypatch.setattr(cdvft_layer, "adapted_linear", wrong)
    assert next(one for one in prove(race[0], TEXTS).checks if "FFT" in one.invariant).difference > 1e-4


@pytest.mark.parametrize("method", OTHERS)
def test_without_an_adapter_there_is_nothing_to_prove(race, method):
    with pytest.raises(ResultsError, match="has no adapter"):
        prove(race[ALL.index(method)], TEXTS)
