"""Other ways to train: rates by kind of factor, and the benchmark that chooses among such."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
import torch
from listening import run as trained
from peft.optimizers import create_loraplus_optimizer
from safetensors.torch import load_file
from torch import nn
from torch.optim import Optimizer

import cdvft
from benchmarks import training_choices
from benchmarks.training_choices import RECIPES, USUAL, Choice
from cdvft_app.training.loop import RaceTrainer

CREATE = RaceTrainer.create_optimizer
RATE = 0.01


def learning_rates(optimizer: Optimizer, model: nn.Module) -> dict[str, float]:
    """Of the adapters' parameters, by name."""
    names = {id(one): name for name, one in model.named_parameters()}
    found = {names[id(one)]: group["lr"] for group in optimizer.param_groups for one in group["params"]}
    return {name: rate for name, rate in found.items() if "lora_" in name or "cdvft_" in name}


def by_peft(model: nn.Module) -> Optimizer:
    return create_loraplus_optimizer(model, torch.optim.AdamW, lr=RATE, loraplus_lr_ratio=8.0)


def by_library(model: nn.Module) -> Optimizer:
    return cdvft.create_optimizer(model, torch.optim.AdamW, RATE, input_diagonal_lr_ratio=8.0)


@pytest.mark.parametrize(
    "case",
    [
        ("cdvft", "input_diagonal_lr_ratio", by_library, (1, 3)),
        ("lora", "lora_loraplus_lr_ratio", by_peft, (1, 2)),
        ("dora", "dora_loraplus_lr_ratio", by_peft, (2, 3)),
    ],
)
def test_what_a_ratio_is_of_learns_faster(case, text_plan, text_rows, tmp_path, monkeypatch) -> None:
    """As by the function that the library or PEFT has for it; without a ratio all have one rate."""
    method, name, wanted, (many, of) = case
    seen: list[dict[str, float]] = []

    def create(trainer: RaceTrainer, model: nn.Module | None = None) -> Any:
        made = CREATE(trainer, model)
        own = learning_rates(made, trainer.model)
        assert made.param_groups[0]["lr"] == RATE, "the one that is logged"
        if seen:
            assert own == pytest.approx(learning_rates(wanted(trainer.model), trainer.model))
        seen.append(own)
        return made

    monkeypatch.setattr(RaceTrainer, "create_optimizer", create)
    plan = {"method": method, "learning_rate": RATE, "max_steps": 1}
    trained(text_plan(**plan), text_rows, tmp_path / "usual")
    trained(text_plan(**plan, **{name: 8.0}), text_rows, tmp_path / "faster")
    usual, faster = seen
    assert set(usual.values()) == {RATE} and usual.keys() == faster.keys()
    assert sum(rate == pytest.approx(8 * RATE) for rate in faster.values()) * of == many * len(faster)


def test_what_a_choice_says_of_adam_is_what_is_trained_with(text_plan, text_rows, tmp_path) -> None:
    """A large epsilon stops Adam."""

    def moved(name: str, choice: Choice) -> float:
        plan = text_plan(method="lora", learning_rate=1e-3, max_steps=6)
        with training_choices.trained_by(choice):
            trained(plan, text_rows, tmp_path / name)
        kept = load_file(str(tmp_path / name / "adapter" / "adapter_model.safetensors"))
        (second,) = [value for name, value in kept.items() if "layer.0" in name and "query.lora_B" in name]
        return second.square().mean().sqrt().item()

    assert moved("slower", Choice("", arguments={"adam_epsilon": 1e3})) < moved("usual", USUAL) / 100


@pytest.fixture
def world(tmp_path, monkeypatch):
    """Runs whose validation loss is lowest at ratio 4 with 0.3 of the rate, and at 1 with the whole."""
    done: list[tuple] = []

    def run(settings):
        ratio, rate = settings.method.input_diagonal_lr_ratio, settings.method.learning_rate
        done.append((ratio, rate, settings.seed, settings.evaluate_on))
        if len(done) == world["cut"]:
            raise KeyboardInterrupt
        at_its_best = (rate < 0.01) != (ratio == 1)
        loss = 0.5 + abs(ratio - world["best"]) / 100 + (0.0 if at_its_best else 0.1)
        wrong = list(range(20 if ratio == world["best"] else 60))
        return {"loss": loss, "metric": 1 - len(wrong) / 400, "rows": 400, "wrong": wrong}

    world = {"cut": -1, "best": 4.0, "done": done}
    monkeypatch.setattr(training_choices, "run", run)
    monkeypatch.setattr(training_choices, "RESULTS", tmp_path / "training_choices.json")
    monkeypatch.setattr(sys, "argv", ["", "--recipes", "mnist", "--families", "input_rates"])
    return world


def test_it_chooses_on_validation_rows_and_confirms_with_seeds_that_chose_nothing(world, capsys) -> None:
    world["cut"], done = 6, world["done"]
    with pytest.raises(KeyboardInterrupt):
        training_choices.main()
    world["cut"] = -1
    del done[:]
    cut_off = json.loads(training_choices.RESULTS.read_text()) | {"day": "31 December 1999"}
    training_choices.RESULTS.write_text(json.dumps(cut_off))
    training_choices.main()
    choosing = [one for one in done if one[3] == "validation"]
    confirming = [one for one in done if one[3] == "evaluation"]
    assert len(choosing) == 4 * 2 * 2 - 5, "ratios 1, 2, 4, 8; what had ended is not run again"
    assert {one[2] for one in choosing} <= {1234, 1235} and {one[2] for one in confirming} == {0, 1, 2, 3, 4}
    assert {one[:2] for one in confirming} == {(4.0, 0.003), (1.0, 0.01)}
    record = json.loads(training_choices.RESULTS.read_text())
    assert len(record["runs"]["mnist"]) == 16 + 10 and record["day"] != cut_off["day"]
    assert record["verdicts"]["mnist"]["input_rates"].startswith(
        "CDVFT with input rate x 4 is ahead of CDVFT as usual"
    )
    assert capsys.readouterr().out.startswith("At most ")
    assert training_choices.hours(["mnist"], ["input_rates"], record) == 0


@pytest.mark.parametrize(("best", "highest"), [(16.0, 32.0), (256.0, 256.0)])
def test_ratios_go_on_while_the_highest_is_the_best(world, best, highest) -> None:
    world["best"] = best
    training_choices.main()
    assert max(one[0] for one in world["done"]) == highest


def test_nothing_is_judged_where_what_is_usual_is_best(world) -> None:
    world["best"] = 1.0
    training_choices.main()
    assert {one[3] for one in world["done"]} == {"validation"}
    record = json.loads(training_choices.RESULTS.read_text())
    assert "as usual has the lowest loss" in record["verdicts"]["mnist"]["input_rates"]


def test_no_verdict_before_all_seeds_and_every_family_that_may_be_judged_counts(world) -> None:
    assert training_choices.verdicts("mnist", []) == {}
    training_choices.main()
    kept = json.loads(training_choices.RESULTS.read_text())["runs"]["mnist"]
    assert training_choices.verdicts("mnist", kept[:-1]) == {}
    ((_, found),) = training_choices.judged("mnist", kept).values()
    assert found.family == 7
    worse = [
        {"method": "cdvft", "choice": name, "multiple": multiple, "seed": seed, "chooses": True, "loss": 9.0}
        for name in ("no warm-up", "warm-up 0.2")
        for multiple in (0.3, 1.0)
        for seed in (1234, 1235)
    ]
    judged = training_choices.judged("mnist", kept + worse)
    assert judged["warm_up"][1] is None and judged["input_rates"][1].family == 6


@pytest.mark.parametrize("recipe", RECIPES)
def test_other_layers_are_all_there_and_not_the_recipes_own(recipe) -> None:
    from cdvft_app.catalog import get_model, get_recipe
    from cdvft_app.catalog.plan import resolve

    def layers(choice: Choice) -> set[str]:
        plan = resolve(training_choices.settings(recipe, "cdvft", (choice, 1.0, 0, False)))
        return {name for name, *_ in plan.target_shapes}

    choices = training_choices.families(recipe)["other_layers"].choices
    reached = [layers(choice) for choice in choices]
    assert reached[-1] == {group.name for group in get_model(get_recipe(recipe).model).layers}
    assert all(of <= reached[-1] for of in reached) and layers(USUAL) not in reached
    assert len({frozenset(of) for of in reached}) == len(choices)
