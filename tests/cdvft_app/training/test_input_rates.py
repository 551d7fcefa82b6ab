"""A rate of their own for input diagonals: in the studio's trainer, and in the benchmark that chooses it."""

from __future__ import annotations

import json
import sys

import pytest
import torch
from listening import run as trained

from benchmarks import input_rates


def factors(text_plan, text_rows, folder, ratio: float) -> dict[str, torch.Tensor]:
    """How far each factor of the first layer moved from its start, largest entry."""
    from safetensors.torch import load_file

    plan = text_plan(method="cdvft", learning_rate=0.01, input_diagonal_lr_ratio=ratio, max_steps=6)
    trained(plan, text_rows, folder)
    kept = load_file(str(folder / "adapter" / "adapter_model.safetensors"))
    first = {name: value for name, value in kept.items() if "layer.0" in name and "query" in name}
    return {name.split("cdvft_")[-1]: value for name, value in first.items()}


def test_the_trainer_gives_input_diagonals_their_rate(text_plan, text_rows, tmp_path) -> None:
    usual = factors(text_plan, text_rows, tmp_path / "usual", 1.0)
    faster = factors(text_plan, text_rows, tmp_path / "faster", 8.0)
    (diagonal,) = [name for name in usual if name.startswith("diagonals") and name.endswith("0")]
    moved = {ratio: (of[diagonal] - 1).abs().max().item() for ratio, of in ((1, usual), (8, faster))}
    assert moved[8] > 4 * moved[1] > 0


@pytest.fixture
def world(tmp_path, monkeypatch):
    """Runs whose validation loss is lowest at ratio 4 with 0.3 of the rate, and at 1 with the whole."""
    done: list[tuple] = []

    def run(settings):
        ratio, rate = settings.method.input_diagonal_lr_ratio, settings.method.learning_rate
        done.append((ratio, rate, settings.seed, settings.evaluate_on))
        if len(done) == cut["at"]:
            raise KeyboardInterrupt
        at_its_best = (rate < 0.01) != (ratio == 1)
        loss = 0.5 + abs(ratio - 4) / 10 + (0.0 if at_its_best else 0.1)
        wrong = list(range(20 if ratio == 4 else 60))
        return {"loss": loss, "metric": 1 - len(wrong) / 400, "rows": 400, "wrong": wrong}

    cut = {"at": -1}
    monkeypatch.setattr(input_rates, "run", run)
    monkeypatch.setattr(input_rates, "RESULTS", tmp_path / "input_rates.json")
    monkeypatch.setattr(sys, "argv", ["input_rates", "--recipes", "mnist"])
    return done, cut


def test_it_chooses_on_validation_rows_and_confirms_with_seeds_that_chose_nothing(world, capsys) -> None:
    done, cut = world
    cut["at"] = 6
    with pytest.raises(KeyboardInterrupt):
        input_rates.main()
    cut["at"] = -1
    del done[:]
    input_rates.main()
    choosing = [one for one in done if one[3] == "validation"]
    confirming = [one for one in done if one[3] == "evaluation"]
    assert len(choosing) == 9 * 2 * 2 - 5, "what had ended is not run again"
    assert {one[2] for one in choosing} <= {1234, 1235} and {one[2] for one in confirming} == {0, 1, 2, 3, 4}
    assert {one[:2] for one in confirming} == {(4.0, 0.003), (1.0, 0.01)}
    record = json.loads(input_rates.RESULTS.read_text())
    assert len(record["runs"]["mnist"]) == 36 + 10
    assert record["verdicts"]["mnist"].startswith(
        "CDVFT with input diagonals at 4 times its rate is ahead of"
    )
    assert capsys.readouterr().out.startswith("About ")
    assert input_rates.hours(["mnist"], record) == 0


def test_no_verdict_before_all_seeds(world) -> None:
    assert input_rates.verdict("mnist", []) is None
