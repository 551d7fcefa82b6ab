"""What runs do to real inputs and to answers is what slow arithmetic and the trained models say."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from listening import finished

from cdvft_app.inspection import effects, sources
from cdvft_app.inspection.background import questions
from cdvft_app.results import held_out
from cdvft_app.results.finished_run import FinishedRun
from cdvft_app.store.processes import this_process
from cdvft_app.store.runs import RunStore
from cdvft_app.training import trainable

QUERY = "encoder.layer.1.attention.self.query"


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def truth(delta: torch.Tensor, weight: torch.Tensor, x: torch.Tensor) -> dict[str, Any]:
    """Token by token and entry by entry in float64."""
    dw, w, tokens = (one.double().numpy() for one in (delta, weight, x))
    moved = [[sum(dw[i, j] * t[j] for j in range(len(t))) for i in range(len(dw))] for t in tokens]
    given = [[sum(w[i, j] * t[j] for j in range(len(t))) for i in range(len(w))] for t in tokens]
    size = [sum(value**2 for value in one) for one in moved]
    ratios = [(a / sum(value**2 for value in one)) ** 0.5 for a, one in zip(size, given, strict=True)]
    shift = [sum(one[i] for one in moved) / len(moved) for i in range(len(dw))]
    second = sum(np.outer(t, t) for t in tokens)  # whose eigenvectors are the inputs' directions
    values, vectors = np.linalg.eigh(second)
    order = np.argsort(-values)
    k = next(n for n in range(1, len(order) + 1) if values[order[:n]].sum() >= 0.9 * values.sum())
    along = sum(((dw @ vectors[:, place]) ** 2).sum() for place in order[:k])
    return {
        "quartiles": [np.quantile(ratios, part) for part in (0.25, 0.5, 0.75)],
        "common": sum(value**2 for value in shift) / (sum(size) / len(size)),
        "used": along / (dw**2).sum(),
        "directions": k,
    }


def test_numbers_on_inputs_are_those_of_loops_in_float64() -> None:
    x = drawn(40, 12, seed=1) * torch.logspace(0, -2, 12) + 0.3
    delta, weight = drawn(9, 12, seed=2), drawn(9, 12, seed=3)
    found, expected = effects.on_inputs(delta, weight, x), truth(delta, weight, x)
    np.testing.assert_allclose(found.quartiles, expected["quartiles"], rtol=1e-5)
    assert found.common == pytest.approx(expected["common"], rel=1e-5)
    assert found.used == pytest.approx(expected["used"], rel=1e-4)
    assert found.directions == expected["directions"] < 12


def test_a_change_of_zeros_does_nothing() -> None:
    found = effects.on_inputs(torch.zeros(9, 12), drawn(9, 12), drawn(40, 12, seed=1))
    assert found.quartiles == (0, 0, 0) and found.common == found.used == 0


def test_directions_are_perpendicular_and_tell_runs_apart() -> None:
    one, other = torch.zeros(50, 6), torch.zeros(50, 6)
    one[:, 0], one[:, 1] = 3 * drawn(50, seed=5), drawn(50, seed=6)
    other[:, 0] = 0.01 * one[:, 0]
    found = effects.directions([one, other], 2)
    torch.testing.assert_close(found @ found.T, torch.eye(2), atol=1e-5, rtol=0)
    assert abs(found[0, 0]) > 0.99  # the one that both have, however small one of them is
    assert effects.alone(other, one) == pytest.approx(0, abs=1e-6)
    apart = float(one[:, 1].square().sum() / one.square().sum())
    assert effects.alone(one, other) == pytest.approx(apart, abs=1e-5)
    assert effects.cosine(one, -2 * one) == pytest.approx(-1)
    assert effects.cosine(one, torch.zeros(50, 6)) is None


@pytest.fixture(scope="module")
def trained(tmp_path_factory, text_plan, text_rows) -> Any:
    """A race of CDVFT and LoRA, LoRA with two more seeds, and the store that keeps it."""
    store = RunStore(tmp_path_factory.mktemp("runs"))
    more = {"max_steps": 40, "learning_rate": 0.05}
    plans = [text_plan("cdvft", **more)] + [text_plan("lora", seed=seed, **more) for seed in (0, 1, 2)]
    made = store.create([plan.settings for plan in plans], "somebody", "Films", this_process())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(held_out, "load_rows", lambda *_, **__: text_rows)
        runs = [finished(store, one, plan, text_rows) for one, plan in zip(made, plans, strict=True)]
        known = {run.record.id: run for run in runs}
        patch.setattr(effects.finished_run, "find", lambda _, run_id: known[run_id])
        yield store, runs
    store.close()


@pytest.fixture(scope="module")
def pair(trained: tuple[RunStore, list[FinishedRun]]) -> effects.OpenedRuns:
    return effects.OpenedRuns(trained[1][:2])


def alone_answers(run: FinishedRun, change: Callable[[Any], None], texts: list[str]) -> list[float]:
    """Probabilities of the first class by the run's own model, merged and changed by hand."""
    task, model = trainable.load_trained(run.plan, run.folder)
    merged: Any = model.merge_and_unload()  # type: ignore[operator]
    change(merged)
    return [one.probabilities[0] for one in task.predict(texts, merged.eval())]


def test_inputs_are_those_of_the_pretrained_model_on_held_out_rows(pair, text_rows) -> None:
    run = pair.runs[0]
    task = trainable.load_base(run.plan, run.folder)
    seen = []
    layer = task.model.eval().get_submodule(f"backbone.{QUERY}")
    layer.register_forward_pre_hook(lambda _, given: seen.append(given[0][0]))
    with torch.no_grad():
        for text in text_rows.evaluation.inputs[:3]:
            task.model(**task.collate([task.examples([text])[0]]))
    expected = torch.cat(seen)
    assert pair.tokens[0] == "[CLS]" and len(pair.tokens) == len(pair.x[QUERY])
    torch.testing.assert_close(pair.x[QUERY][: len(expected)], expected, atol=1e-5, rtol=1e-5)


def test_rows_are_right_as_the_run_answers_them(pair, text_rows) -> None:
    run, texts = pair.runs[0], text_rows.evaluation.inputs[: len(pair.rows)]
    answers = trainable.load_trained(run.plan, run.folder)[0].predict(texts)
    labels = [text_rows.labels[int(label)] for label in text_rows.evaluation.labels[: len(texts)]]
    right = [one.label == label for one, label in zip(answers, labels, strict=True)]
    assert pair.on["right"] == sum(right) and pair.trained[0].tolist() == right

    off = alone_answers(run, restored(run, ""), texts)
    still = [(p > 0.5) == (label == text_rows.labels[0]) for p, label in zip(off, labels, strict=True)]
    assert pair.off["right"] == sum(still)
    assert pair.off["lost"] == sum(a and not b for a, b in zip(right, still, strict=True))
    assert pair.off["gained"] == sum(b and not a for a, b in zip(right, still, strict=True))


def restored(run: FinishedRun, part: str) -> Callable[[Any], None]:
    """Gives the layers whose names hold `part` their pretrained weights back."""
    pretrained = dict(trainable.load_base(run.plan, run.folder).model.named_parameters())

    def restore(merged: Any) -> None:
        for name, parameter in merged.named_parameters():
            if part in name and not name.startswith("classifier"):
                parameter.data.copy_(pretrained[name])

    return restore


def test_one_shift_a_layer_is_what_a_bias_would_add(pair) -> None:
    run = pair.runs[0]
    task, model = trainable.load_trained(run.plan, run.folder)
    merged: Any = model.merge_and_unload()  # type: ignore[operator]
    trained_weights = copy.deepcopy(merged.state_dict())
    restored(run, "")(merged)
    for module, x in pair.x.items():
        layer = merged.get_submodule(f"backbone.{module}")
        delta = trained_weights[f"backbone.{module}.weight"] - layer.weight.data
        layer.bias.data += torch.stack([delta @ token for token in x]).mean(0)
    answers = task.predict(pair.rows, merged.eval())
    said = [task.labels.index(str(one.label)) for one in answers]
    right = [one == label for one, label in zip(said, pair.expected, strict=True)]
    assert pair.shifts["right"] == sum(right)


def test_a_direction_that_is_off_changes_the_answer_as_it_would_by_hand(pair) -> None:
    found = effects.together(pair, QUERY)
    [first, _] = found["examples"]
    axes = effects.directions([pair.x[QUERY] @ pair.delta(run, QUERY).T for run in (0, 1)], 4)
    for place, run in enumerate(pair.runs):

        def without_two(merged: Any, place: int = place) -> None:
            weight = merged.get_submodule(f"backbone.{QUERY}").weight.data
            for k in (0, 2):
                weight -= torch.outer(axes[k], axes[k] @ pair.delta(place, QUERY))

        for chosen, change in (
            (0, lambda merged: None),
            (0b101, without_two),
            (16, restored(run, QUERY)),
            (17, restored(run, "")),
        ):
            label, sure = first["answers"][place][chosen]
            [p] = alone_answers(run, change, [first["text"]])
            assert first["labels"][label] == pair.models.task.labels[0 if p > 0.5 else 1]
            assert sure == pytest.approx(max(p, 1 - p), abs=2e-4)


def test_two_runs_of_one_race_beside_each_other(pair) -> None:
    found = effects.together(pair, QUERY)
    deltas = [pair.delta(run, QUERY).double() for run in (0, 1)]
    moved = [pair.x[QUERY].double() @ delta.T for delta in deltas]
    for name, (one, other) in {"updates": deltas, "effects": moved}.items():
        expected = float((one * other).sum() / (one**2).sum() ** 0.5 / (other**2).sum() ** 0.5)
        assert found[name] == pytest.approx(expected, abs=1e-4)
    for run in (0, 1):
        assert 0 < sum(one["shares"][run] for one in found["directions"]) <= 1 + 1e-6
        assert 0 <= found["alone"][run] <= 1
    assert all(set(one["tokens"]) <= set(pair.tokens) for one in found["directions"])
    alone = effects.together(effects.OpenedRuns(pair.runs[1:]), QUERY)
    assert alone["updates"] is None and alone["alone"] == []
    # Two of LoRA's rank 2 are all that it does.
    assert sum(one["shares"][0] for one in alone["directions"][:2]) == pytest.approx(1, abs=1e-4)
    for example in alone["examples"]:
        assert example["answers"][0][3][1] == pytest.approx(example["answers"][0][16][1], abs=2e-4)


def test_effects_return_layers_in_time_limited_parts(pair) -> None:
    every: list[Any] = []
    first: int | None = 0
    while first is not None:
        said = effects.effects(pair, first, seconds=0)
        every += said["layers"]
        first = said["next"]
    assert [one["module"] for one in every] == pair.measured and len(every) == 4


def test_what_was_computed_is_kept_with_the_run_until_its_weights_change(trained, monkeypatch) -> None:
    store, runs = trained
    live = sources.LiveRun.of(store, runs[0].record)
    found = questions()["effects"](live, first=0)
    while found["next"] is not None:
        found = questions()["effects"](live, first=found["next"])
    monkeypatch.setattr(effects, "OpenedRuns", lambda _: pytest.fail("is computed anew"))
    again = questions()["effects"](live, first=0)
    assert again["off"] == found["off"] and len(again["layers"]) == 4 and again["next"] is None
    file = live.folder / effects.FILE
    assert effects.kept(live) == again
    for text in ("{", json.dumps(again | {"rows": "many"}), json.dumps(again) + " " * effects.MAX_BYTES):
        file.write_text(text, encoding="utf-8")
        assert effects.kept(live) is None
    effects.keep(live, again)
    assert effects.kept(live) == again
    later = file.stat().st_mtime + 10
    os.utime(next((live.folder / "adapter").glob("*.safetensors")), (later, later))
    assert effects.kept(live) is None


@pytest.fixture
def others(image_plan, image_rows, answer_plan, answer_rows) -> list[tuple[Any, Any, str]]:
    return [
        (image_plan("cdvft", max_steps=2, learning_rate=0.05), image_rows, "patches"),
        (answer_plan("lora", max_steps=4, learning_rate=0.1), answer_rows, "tokens"),
    ]


def test_images_and_written_answers(store, others, monkeypatch) -> None:
    for plan, rows, unit in others:
        read = []
        monkeypatch.setattr(
            held_out, "load_rows", lambda *_, rows=rows, read=read, **__: read.append(1) or rows
        )
        (made,) = store.create([plan.settings], "somebody", "One", this_process())
        opened = effects.OpenedRuns([finished(store, made, plan, rows)])
        said = effects.effects(opened, 0, seconds=600)
        assert said["unit"] == unit and said["next"] is None and said["layers"]
        assert said["tokens"] == len(opened.tokens) > 10
        example = effects.together(opened, opened.measured[0])["examples"][0]
        assert (example["picture"] or "").startswith("data:image/png") == (unit == "patches")
        assert len(read) == 1, "the rows of the data are read once, not again for each picture"
        if unit == "tokens":
            written = trainable.load_trained(plan, opened.runs[0].folder)[0].predict([example["text"]])
            assert example["labels"][example["answers"][0][0][0]] == written[0].text
