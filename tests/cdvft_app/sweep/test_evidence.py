"""The page of evidence: the shipped file is what the records say, and its verdicts are the judge's."""

from __future__ import annotations

import json
import re
from pathlib import Path
from statistics import mean
from urllib.parse import parse_qsl

import numpy as np
import pytest

from benchmarks import equal_numbers, record_evidence
from benchmarks.evidence import drawing, generation, settings, step_time
from benchmarks.evidence import effects as same_effects
from cdvft_app.decision import decide
from cdvft_app.judging.comparison_sets import judge_sweep
from cdvft_app.methods.cdvft import Cdvft
from cdvft_app.payloads.compare import EvidenceFigure
from cdvft_app.settings import RunSettings
from cdvft_app.sweep import recorded
from cdvft_app.ui.shared import form, form_address

ROOT = Path(__file__).parents[3]
FIGURES: dict[str, EvidenceFigure] = {
    one["key"]: one for one in json.loads(record_evidence.FILE.read_text(encoding="utf-8"))
}
ORDER = ["equal_numbers", "factors", "settings", "generation", "time", "losses", "effects", "many", "reach"]
ALONE = {"equal_numbers": "equal_numbers.json", "effects": "effects.json"}
"""What each of these figures is drawn from; without that file it is left out."""


def record(name: str) -> dict:
    return json.loads((ROOT / "benchmarks" / "results" / name).read_text(encoding="utf-8"))


def docs() -> str:
    return " ".join((ROOT / "docs" / "results.md").read_text(encoding="utf-8").split())


def test_the_shipped_figures_are_what_is_recorded() -> None:
    """Else: python -m benchmarks.record_evidence."""
    assert record_evidence.FILE.read_text(encoding="utf-8") == record_evidence.text()
    assert decide.RECORDED_VERDICTS.read_text(encoding="utf-8") == record_evidence.verdicts()


def test_each_of_the_doubts_has_an_answer_a_source_and_a_command() -> None:
    measured = ROOT / "benchmarks" / "results"
    known = [key for key in ORDER if key not in ALONE or (measured / ALONE[key]).is_file()]
    assert list(FIGURES) == known
    for one in FIGURES.values():
        assert one["doubt"].endswith("?") and one["answer"].endswith(".") and one["behind"] and one["source"]
        assert "python -m benchmarks." in one["command"]
        assert one["rows"] and {len(row) for row in one["rows"]} == {len(one["columns"])}
        assert all(len(trace["x"]) == len(trace["y"]) for trace in (one["figure"] or {"data": []})["data"])


def test_the_effect_of_a_setting_is_between_its_values_each_at_its_best() -> None:
    rows = [row for row in FIGURES["settings"]["rows"] if row[0].startswith("Sentiment") and row[1] == "m"]
    seeds: dict[tuple[int, int | None, float | None], list[float]] = {}
    for run in record("sweep_sentiment.json")["runs"]:
        method = RunSettings.model_validate(run["settings"]).method
        if isinstance(method, Cdvft):
            seeds.setdefault((method.m, method.block_size, method.learning_rate), []).append(run["metric"])
    best = {m: max(mean(scores) for one, scores in seeds.items() if one[0] == m) for m in (2, 3, 4)}
    assert [row[3] for row in rows] == pytest.approx([best[m] for m in (2, 3, 4)], abs=2e-4)
    drawn = FIGURES["settings"]["figure"]["data"][0]
    effect = dict(zip(drawn["y"], drawn["x"], strict=True))["m"]
    assert effect == pytest.approx(100 * (max(best.values()) - min(best.values())), abs=0.02)


def test_the_docs_say_of_the_sweep_of_addresses_what_the_judge_does() -> None:
    runs = recorded.runs("addresses")
    words = {one.word for key, one in judge_sweep(runs, "exact_match").along.items() if key[0] == "cdvft"}
    assert len(runs) == 24 and {run.settings.seed for run in runs} == {0} and words == {"not shown"}
    assert (
        "A sweep of 24 small runs on it (200 addresses, one seed, "
        "`python -m benchmarks.record_sweep --recipes addresses`) shows no value of m, of the block size or "
        "of neighbouring learning rates to be better than another, each at its own best of the other "
        "settings."
    ) in docs()


def test_settings_are_said_to_matter_only_where_the_judge_calls_an_end_ahead() -> None:
    said = FIGURES["settings"]["answer"]
    behind = " ".join(FIGURES["settings"]["behind"])
    for name, text in (("m", r"CDVFT with m"), ("p", r"CDVFT with p"), ("rate", "CDVFT with learning")):
        ahead = re.search(rf"(?<!No difference is shown: ){text}[^.]* is ahead of {text}", behind)
        assert bool(re.search(rf"\b{name} \(", said)) == bool(ahead), name


def test_time_and_flops_are_those_of_the_speed_record() -> None:
    speed = record("speed_intel_xeon.json")

    def measured(tokens: int) -> tuple[dict, dict[str, float]]:
        """The case, and the share of time that each method adds."""
        place = ("768", tokens, 2)
        (case,) = (one for one in speed["layers"] if (one["title"], one["tokens"], one["threads"]) == place)
        return case, {name: case["ratios"][f"{name} / base"]["median"] - 1 for name in ("cdvft", "lora")}

    entry, added = measured(2048)
    # LoRA r = 8, 12 r d FLOPs a token forward and backward: two products, each with two gradients.
    assert step_time.flops_share("lora", entry) == pytest.approx(12 * 8 * 768 / (4 * 768 * 768), rel=1e-6)
    assert f"{added['lora'] / added['cdvft']:.1f} × its time (2,048 tokens)" in FIGURES["time"]["answer"]
    _, added = measured(64)
    assert added["lora"] < added["cdvft"], "with few tokens LoRA is the faster one"
    assert f"{added['lora'] / added['cdvft']:.2f} × (64)" in FIGURES["time"]["answer"]


def test_the_docs_count_the_figures_and_the_architectures() -> None:
    said = docs()
    drawn = sum(one["figure"] is not None for one in FIGURES.values())
    assert (drawn, len(FIGURES) - drawn) == (8, 1) and "eight figures and a table on one page" in said
    reached = len(FIGURES["reach"]["rows"])
    assert f"the {reached} architectures of which a tiny model was wrapped, trained and merged" in said


def test_cases_without_added_time_are_said_to_be_left_out() -> None:
    ratios = [
        one["ratios"][f"{method} / base"]["median"]
        for name in ("speed_intel_xeon.json", "speed_amd_epyc.json")
        for one in record(name)["layers"]
        if one["threads"] == 2
        for method in ("cdvft", "lora", "fourierft", "c3a")
    ]
    left_out = sum(ratio <= 1 for ratio in ratios)
    assert len(FIGURES["time"]["rows"]) == len(ratios) - left_out
    assert f"Of {len(ratios)} cases {left_out} are left out" in " ".join(FIGURES["time"]["behind"])


def test_a_random_matrix_is_left_beside_its_best_change_of_low_rank() -> None:
    """By Eckart and Young the best change of rank 1 leaves √(1 − s₁² / Σ s²) of a matrix's norm."""
    rows = [row for row in record("fit_matrix.json")["rows"] if (row["target"], row["n"]) == ("gaussian", 64)]
    two = [row["fits"] for row in rows if row["m"] == 2]
    assert all(fits["low_rank"]["parameters"] == 2 * 64 for fits in two)
    share = mean(fits["low_rank"]["error"] for fits in two)
    s = np.linalg.svd(np.random.default_rng(0).standard_normal((64, 64)), compute_uv=False)
    assert share == pytest.approx(np.sqrt(1 - s[0] ** 2 / (s**2).sum()), abs=0.01)
    assert f"LoRA {100 * share:.1f}\u00a0%" in FIGURES["factors"]["answer"]


def test_many_adapters_are_told_by_what_the_process_grew_by_rivals_included() -> None:
    methods = record("adapters_at_once.json")["methods"]
    grown = {name: own["counts"]["10000"]["memory_bytes"] for name, own in methods.items()}
    said = FIGURES["many"]["answer"]
    assert f"CDVFT {grown['cdvft'] / 1e6:.0f} MB" in said and f"LoRA {grown['lora'] / 1e9:.2f} GB" in said
    assert grown["c3a"] < grown["fourierft"] < grown["cdvft"], "two rivals are smaller still"
    assert f"FourierFT {grown['fourierft'] / 1e6:.0f} MB" in said


def test_low_rank_comes_closer_where_the_mean_over_seeds_does() -> None:
    said = " ".join(FIGURES["losses"]["behind"])
    fits = [row for row in record("fit_matrix.json")["rows"] if (row["target"], row["n"]) == ("low_rank", 64)]
    for m in (2, 3, 4, 5):
        of_m = [row["fits"] for row in fits if row["m"] == m]
        ours, theirs = (
            mean(one[name]["error"] for one in of_m) for name in ("circulant_diagonal", "low_rank")
        )
        assert (f"low rank, m = {m}, low rank (" in said) == (ours > theirs), m


def test_every_link_into_train_asks_for_runs_that_can_be() -> None:
    links = [(query, one["key"]) for one in FIGURES.values() for query, _ in one["again"]]
    assert {key for _, key in links} >= {"settings", "generation"}
    for query, _ in links:
        asked = form_address.values(dict(parse_qsl(query)))
        assert asked is not None and form.race(form.remembered(asked)).runs()


def test_nothing_is_said_to_matter_where_no_verdict_is() -> None:
    assert settings.shown({}) == "None is shown to matter."


def test_what_was_not_recorded_is_said_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = "python -m benchmarks.record_sweep --recipes addresses"
    kept = recorded.sweeps()
    without = {key: one for key, one in kept.items() if key != "addresses"}
    for sweeps, said in ((without, True), ({**without, "addresses": without["mnist"]}, False)):
        monkeypatch.setattr(recorded, "sweeps", lambda sweeps=sweeps: sweeps)
        assert (asked in generation.not_recorded()) == said
        assert "models of 1 to 8 billion" in generation.not_recorded()
    settings_say = " ".join(FIGURES["settings"]["behind"])
    assert (asked in settings_say) == ("addresses" not in kept)


def test_a_difference_of_the_race_that_searched_rates_do_not_show_is_told_with_that(monkeypatch) -> None:
    found = record("equal_numbers.json")["recipes"]["addresses"]
    means = {one["name"]: mean(run["metric"] for run in one["runs"]) for one in found}
    difference = 100 * (means["cdvft-m-2"] - means["lora-lora_r-8"])
    assert difference > 0, "the other way round than in the race"
    assert FIGURES["generation"]["answer"] == "Addresses: behind LoRA, depending on the runs."
    said = f"CDVFT has {difference:.1f} points more than LoRA r = 8"
    assert any("Trained anew" in one and said in one for one in FIGURES["generation"]["behind"])
    raced = generation.races.compared_race("addresses").against("cdvft")[0]
    for other in ({}, {"recipes": {"addresses": [one for one in found if one["name"] == "cdvft-m-2"]}}):
        monkeypatch.setattr(equal_numbers, "record", lambda other=other: other)
        assert generation.answers(raced) == ("Addresses: behind LoRA by 8.8 points (2.0 to 15.5).", [])


def test_marks_are_explained_of_the_sweeps_there_are() -> None:
    assert settings.legend(["sentiment", "mnist"]) == "○ text  □ images"
    assert settings.legend(["sentiment", "mnist", "addresses"]).endswith("◇ generation")


def runs_of(effects: list[float], updates: float, shift: float) -> list[dict]:
    """A pair of runs a seed, of two layers; the second has effects with this cosine, a value a seed."""
    found: list[dict] = []
    for seed, value in enumerate(effects):
        run, usual = {"recipe": "films", "seed": seed}, {"centred": 0.1, "alone": [0.5, 0.5]}
        ours = [
            {"module": "a", "common": 0.1, "with_lora": usual | {"updates": 0.01, "effects": 0.01}},
            {"module": "b", "common": 0.5, "with_lora": usual | {"updates": updates, "effects": value}},
        ]
        lora = [{"module": "a", "common": 0.2}, {"module": "b", "common": shift}]
        found += [run | {"method": "cdvft", "layers": ours}, run | {"method": "lora", "layers": lora}]
    return found


def test_what_was_seen_once_is_said_to_hold_only_where_every_seed_shows_it() -> None:
    assert same_effects.held(runs_of([0.4, 0.5], 0.03, 0.9), "films") == (
        "in every seed: different updates, similar effects, LoRA's common shift"
    )
    assert same_effects.held(runs_of([0.4, 0.15], 0.03, 0.6), "films") == (
        "in every seed: different updates; not in every seed: similar effects, LoRA's common shift"
    )
    alike, other = runs_of([0.4, 0.5], 0.03, 0.9), runs_of([0.4, 0.15], 0.05, 0.9)
    for run in other:
        run["recipe"] = "digits"
    assert same_effects.verdict(alike + other, ["films", "digits"]) == (
        "Different updates; similar effects on 1 of 2 recipes."
    )
    assert "most alike in b: 0.40 to 0.50" in same_effects.told(runs_of([0.4, 0.5], 0.03, 0.9), "films")


def test_what_does_not_hold_is_not_said_to() -> None:
    """Updates that are alike, effects that are not: the sentence says so, whatever was expected."""
    runs = runs_of([0.05, 0.3], 0.6, 0.2)
    assert same_effects.verdict(runs, ["films"]) == (
        "Some similar updates; similar effects on none of 1 recipe."
    )
    assert same_effects.held(runs, "films") == (
        "not in every seed: different updates, similar effects, LoRA's common shift"
    )


def test_the_recorded_effects_are_told_as_the_record_has_them() -> None:
    """Whether updates and effects are alike, by the numbers of the file and by what the page says of them."""
    runs = record("effects.json")["runs"]
    ours = [run for run in runs if run["method"] == "cdvft"]
    recipes = {run["recipe"] for run in ours}
    assert {(run["recipe"], run["seed"]) for run in ours} == {
        (one, seed) for one in recipes for seed in range(5)
    }
    assert len(recipes) == 3 and all(run["tokens"] >= 200 for run in ours)
    updates = [abs(layer["with_lora"]["updates"]) for run in ours for layer in run["layers"]]
    similar = 0
    for recipe in recipes:
        seeds = (run["layers"] for run in ours if run["recipe"] == recipe)
        effects = ([layer["with_lora"]["effects"] for layer in layers] for layers in seeds)
        similar += min(max(zip(*effects, strict=True), key=mean)) >= 0.2
    assert max(updates) < 0.1
    assert FIGURES["effects"]["answer"] == f"Different updates; similar effects on {similar} of 3 recipes."


def test_a_measured_file_becomes_a_figure_of_evidence(tmp_path, monkeypatch) -> None:
    """From the file that the benchmark writes to what the page draws, with the machines that ran it."""
    machine = {"cpu": "A processor", "torch": "2.13"}
    written = {
        "command": "python -m benchmarks.effects",
        "machines": [machine, machine],
        "runs": runs_of([0.4, 0.5], 0.03, 0.9),
    }
    for module in (same_effects, drawing):
        monkeypatch.setattr(module, "RESULTS", tmp_path)
    assert same_effects.same_learned() is None
    (tmp_path / "effects.json").write_text(json.dumps(written))
    figure = same_effects.same_learned()
    assert figure and figure["key"] == "effects" and figure["source"] == "A processor, torch 2.13"
    assert figure["answer"] == same_effects.verdict(written["runs"], ["films"])
    assert figure["command"] == "python -m benchmarks.effects --recipes films"
    assert figure["rows"] == [
        ["films", seed, layer, updates, effects, 0.1, own, lora]
        for seed, alike in enumerate((0.4, 0.5))
        for layer, updates, effects, own, lora in (("a", 0.01 , 0.01, 0.1, 0.2), ("b", 0.03, alike, 0.5, 0.9))
    ]  # fmt: skip
    marks = {trace["name"]: trace["y"] for trace in figure["figure"]["data"]}
    assert marks["films, effects on tokens"] == [0.01, 0.4, 0.01, 0.5]
