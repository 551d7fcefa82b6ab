"""Runs on one base model predict and generate as each does alone."""

from __future__ import annotations

import json
import shutil

import pytest
from torch import nn

from cdvft_app.results import predictor as predicting
from cdvft_app.results.finished_run import FinishedRun, ResultsError
from cdvft_app.results.predictor import (
    DIFFERENT_RACES,
    FROZEN,
    SAME_PROMPT,
    Completion,
    Predictor,
    stream_side_by_side,
)
from cdvft_app.tasks.base import InvalidInput
from cdvft_app.tasks.writing import GREEDY, Sampling
from cdvft_app.training import trainable

TEXTS = ["good", "the plot the film very awful a a a", "bad film"]
METHODS = ("cdvft", "lora", "fourierft", "c3a", "dora", "vera", "head", "full")
PROMPT = "go go go 2"


@pytest.fixture(scope="module")
def race(runs) -> list[FinishedRun]:
    return [runs("text", method) for method in METHODS]


def test_runs_on_one_model_predict_as_alone(race):
    predictor = Predictor.load(race)
    shares = set()
    for run in race:
        alone = trainable.load_trained(run.plan, run.folder)[0].predict(TEXTS)
        beside = predictor.predict(run.record.id, TEXTS)
        for one, other in zip(alone, beside, strict=True):
            assert one.label == other.label
            assert other.probabilities == pytest.approx(one.probabilities, abs=1e-5)
        shares.add(tuple(round(one.probabilities[0], 4) for one in beside))
    assert len(shares) == len(METHODS)
    fresh = trainable.load_base(race[0].plan, race[0].folder).model
    assert [one.shape for one in predictor.task.model.parameters()] == [
        one.shape for one in fresh.parameters()
    ]


def test_images_are_predicted_as_alone(runs, image_rows):
    race = [runs("image", method) for method in ("cdvft", "lora")]
    predictor, images = Predictor.load(race), image_rows.evaluation.inputs[:3]
    for run in race:
        alone = trainable.load_trained(run.plan, run.folder)[0].predict(images)
        for one, other in zip(alone, predictor.predict(run.record.id, images), strict=True):
            assert other.probabilities == pytest.approx(one.probabilities, abs=1e-5)


def test_base_model_has_the_first_head_and_no_update(race):
    model = trainable.load_base(race[0].plan, race[0].folder).model
    task = trainable.load_trained(race[0].plan, race[0].folder)[0]
    head: nn.Module = task.model.get_submodule("classifier").modules_to_save["default"]
    model.get_submodule("classifier").load_state_dict(head.state_dict())
    expected = task.predict(TEXTS, model.eval())
    for one, other in zip(Predictor.load(race[:2]).predict(FROZEN, TEXTS), expected, strict=True):
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-6)


def test_cut_tokens_are_counted(race):
    task = Predictor.load(race[:1]).task
    room = race[0].plan.settings.max_length - 2  # each word is a token, beside one before and one after all
    assert task.too_long_by(["film " * room, "film " * (room + 1), "film " * (room + 40)]) == [0, 1, 40]


def test_retrained_run_is_loaded_again(trained, text_plan, text_rows, answered_here):
    run = trained(text_plan("lora", max_steps=4, learning_rate=0.05), text_rows)
    questions = answered_here(run)

    def shares() -> list:
        found = questions.answer([run.record.id], TEXTS, [], None)
        return [one["probabilities"] for one in found["sides"][1]["answers"]]

    before = shares()
    further = trained(text_plan("lora", max_steps=8, learning_rate=0.5), text_rows)
    shutil.copytree(further.folder, run.folder, dirs_exist_ok=True, copy_function=shutil.copyfile)
    assert shares() != before


def test_load_rejects_runs_of_two_races(race, trained, text_plan, text_rows):
    other = trained(text_plan("lora", max_steps=2, max_length=8), text_rows)
    with pytest.raises(ResultsError, match=DIFFERENT_RACES):
        Predictor.load([race[0], other])


# Generation


@pytest.fixture(scope="module")
def writers(learned, runs):
    return [learned, runs("answer", "lora")]


@pytest.fixture(scope="module")
def models(writers):
    return Predictor.load(writers)


def sides(models, writers, prompt=PROMPT, stopped=lambda: False, **more):
    given = {"max_tokens": 24, "sampling": GREEDY, **more}
    return list(stream_side_by_side(models, writers, prompt, stopped=stopped, **given))


def text(side):
    return "".join(piece for piece, _ in side["pieces"])


def test_stream_has_the_text_that_each_generates_alone(writers, models):
    *_, last = sides(models, writers)
    assert last[0]["note"] == SAME_PROMPT
    for run, side in zip(writers, last[1:], strict=True):
        (alone,) = trainable.load_trained(run.plan, run.folder)[0].predict([PROMPT])
        assert alone.text.startswith(text(side)) and len(text(side)) >= 4
        assert side["pieces"] == list(alone.tokens[: len(side["pieces"])])
    assert text(last[1]) == "n: 2\nkind: even" and last[1]["ended"]
    assert json.loads(last[1]["json"]) == last[1]["fields"] == {"n": "2", "kind": "even"}
    assert text(last[0]) != text(last[1])


def test_stream_yields_pieces_and_stops(writers, models, monkeypatch):
    monkeypatch.setattr(predicting, "UPDATE_SECONDS", 0.0)
    lengths = [len(text(columns[1])) for columns in sides(models, writers)]
    assert lengths == sorted(lengths) and len(set(lengths)) > 5
    asked = iter([False, False, True])
    cut = sides(models, writers, stopped=lambda: next(asked))
    assert [side["tokens"] for side in cut[-1]] == [2, 2, 2]
    assert not any(side["ended"] for side in cut[-1])


def test_sampling_follows_from_the_seed(writers, models):
    def sampled(seed):
        return [text(side) for side in sides(models, writers, sampling=Sampling(1.5, seed))[-1]]

    assert sampled(1) == sampled(1) != sampled(2)


def test_stream_rejects_long_prompts(writers, models):
    with pytest.raises(InvalidInput, match="256"):
        sides(models, writers, "word " * 46)


def completion(models, run, prompt, **more) -> Completion:
    request = Completion(models.task._prompt(prompt), **{"max_tokens": 24, **more})
    pieces = models.complete(run.record.id, request)
    assert "".join(filter(None, pieces)) == request.text
    return request


@pytest.mark.parametrize(
    ("more", "expected"),
    [({"max_tokens": 2}, ("length", 2)), ({"stops": ["kind"]}, ("stop", None)), ({}, ("stop", None))],
)
def test_completion_ends_at_stops_and_length(writers, models, more, expected):
    whole, one = (completion(models, writers[0], PROMPT, **how) for how in ({}, more))
    reason, tokens = expected
    assert one.finish_reason == reason and one.tokens == (tokens or one.tokens)
    assert whole.text.startswith(one.text)
    if "stops" in more:
        assert one.text == whole.text.partition("kind")[0]
