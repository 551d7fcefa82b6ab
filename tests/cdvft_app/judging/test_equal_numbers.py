"""What benchmarks/equal_numbers.py plans, keeps and says, on records made for it."""

from __future__ import annotations

import json
import math
import random
import re
import shutil
import statistics
import sys
from collections import Counter
from collections.abc import Sequence

import pytest

from benchmarks import equal_numbers as subject
from benchmarks.evidence.equal_numbers import equal_numbers as figure
from cdvft_app.catalog import RECIPES

ROWS = 400


def recorded(name: str, method: str, sizes: dict, numbers: int, share: float) -> dict:
    """Five seeds that have about so many rows right, and most of them the same ones."""
    draw = random.Random(name)
    hard = sorted(range(ROWS), key=lambda row: (row * 7919) % ROWS)
    runs = []
    for of in range(5):
        wrong = {row for row in hard[: round(ROWS * (1 - share))] if draw.random() > 0.02}
        kept = {"rows": ROWS, "wrong": sorted(wrong), "trainable_parameters": numbers}
        runs.append({"seed": of, "metric": 1 - len(wrong) / ROWS, **kept})
    race = {"recipe": "mnist", "method": method, "learning_rate": 0.01, **sizes}
    best = 0.1 if name == "lora-1" else 0.01
    return {"name": name, "method": method, "search": {"race": [race], **tried(best)}, "runs": runs}


def tried(best: float, usual: float = 0.01, multiples: Sequence[float] = subject.RATES) -> dict:
    """A search of these multiples of a usual rate, with a loss that rises on either side of the best rate."""
    trials = [
        {"settings": f"learning rate {rate:.3g}, m = 2", "loss": abs(math.log(rate / best))}
        for rate in (usual * multiple for multiple in multiples)
    ]
    return {"methods": [{"label": "CDVFT", "trials": trials}]}


WORLD = [
    recorded("cdvft-m-2", "cdvft", {"m": 2}, 13_824, 0.92),
    recorded("cdvft-m-3", "cdvft", {"m": 3}, 23_040, 0.90),
    recorded("lora-1", "lora", {"lora_r": 1}, 9_216, 0.80),
    recorded("lora-2", "lora", {"lora_r": 2}, 18_432, 0.85),
    recorded("lora-16", "lora", {"lora_r": 16}, 147_456, 0.95),
    recorded("head", "head", {}, 0, 0.60),
]


@pytest.fixture
def work(tmp_path, monkeypatch):
    """Searching and training of two settings that take no time; what was done, in order."""
    done: list[str] = []

    def search(folder, options):
        multiples = [float(one) for one in options[options.index("--rates") + 1].split(",")]
        done.append(f"search {options[1]} {options[3]}")
        found = tried(limit["best"], multiples=multiples)
        best = min(multiples, key=lambda one: abs(math.log(0.01 * one / limit["best"])))
        race = {"recipe": options[1], "method": options[3], "learning_rate": float(f"{0.01 * best:.3g}")}
        return {"command": "search", "race": [race], **found}

    def train(wanted, ended, cluster):
        for settings in wanted:
            done.append(f"run {settings.recipe} {settings.method.key} {settings.seed}")
            if len(done) == limit["of"]:
                raise KeyboardInterrupt
            result = {"metric": 0.9, "rows": ROWS, "wrong": list(range(40)), "trainable_parameters": 1000}
            ended(settings, result)

    limit = {"of": -1, "best": 0.01}
    monkeypatch.setattr(subject, "search", search)
    monkeypatch.setattr(subject, "train", train)
    monkeypatch.setattr(subject, "PARTS", tmp_path / "parts")
    monkeypatch.setattr(subject, "RESULTS", tmp_path / "equal_numbers.json")
    monkeypatch.setattr(subject, "SETTINGS", {"mnist": [("cdvft", {"m": 2}), ("lora", {"lora_r": 1})]})
    monkeypatch.setattr(subject, "RECIPES", ("mnist",))
    monkeypatch.setattr(sys, "argv", ["equal_numbers", "--recipes", "mnist"])
    return done, limit


def said(points: Sequence[subject.Point]) -> list[str]:
    return subject.sentences(points, "mnist", "accuracy")


def answer(**points: Sequence[subject.Point]) -> str:
    return subject.answer(points, dict.fromkeys(points, "accuracy"))


def test_shards_are_all_settings_each_once():
    whole = subject.units(subject.RECIPES)
    parts = [subject.units(subject.RECIPES, (number, 3)) for number in (1, 2, 3)]
    assert Counter(unit.file for part in parts for unit in part) == Counter({unit.file for unit in whole})
    assert {unit.recipe for unit in whole} == {"mnist", "sentiment", "addresses", "sql"}
    assert not any(unit.method in ("head", "full") for unit in whole if unit.recipe == "sql")


def test_it_goes_on_where_it_was_cut_off_and_says_how_long_it_will_take(work, capsys):
    done, limit = work
    before = subject.hours(subject.units(["mnist"]))
    limit["of"] = 4  # in the third run of the first setting
    with pytest.raises(KeyboardInterrupt):
        subject.main()
    assert "2 of 2 settings are left: about" in capsys.readouterr().out
    after = subject.hours(subject.units(["mnist"]))
    runs = 2 * (len(subject.RATES) + 5)
    assert after == pytest.approx(before * (runs - len(subject.RATES) - 2) / runs)
    limit["of"] = -1
    done.clear()
    subject.main()
    assert done[0] == "run mnist cdvft 2", "no search and no seed twice"
    assert done.count("search mnist lora") == 1 and len(done) == 3 + 1 + 5
    record = json.loads(subject.RESULTS.read_text())
    assert [one["name"] for one in record["recipes"]["mnist"]] == ["cdvft-m-2", "lora-lora_r-1"]


def test_what_is_not_whole_is_named_and_left_out_and_what_is_recorded_is_not_trained_again(work):
    done, _ = work
    subject.publish()
    assert not subject.RESULTS.exists(), "no record without a run"
    subject.work(subject.units(["mnist"])[0])
    subject.publish()
    record = json.loads(subject.RESULTS.read_text())
    assert record["not_recorded"] == ["mnist lora-lora_r-1"] and len(record["recipes"]["mnist"]) == 1
    shutil.rmtree(subject.PARTS)  # as in another checkout, on a later day
    done.clear()
    subject.main()
    assert done == ["search mnist lora", *(f"run mnist lora {seed}" for seed in range(5))]
    record = json.loads(subject.RESULTS.read_text())
    assert [one["name"] for one in record["recipes"]["mnist"]] == ["cdvft-m-2", "lora-lora_r-1"]
    assert len(record["machines"]) == 1 and record["not_recorded"] == []


def test_a_best_rate_at_an_end_is_followed_beyond_it(work):
    """Of 0.1 to 10 times 0.01 the highest is best, of 30 and 100 times it 0.3; runs at 0.1 do not count."""
    done, limit = work
    limit["best"] = 0.3
    unit, _ = subject.units(["mnist"])
    searched = {"commands": ["before"], "race": [], **tried(0.3)}
    subject.write_record(unit.file, {"search": searched, "runs": [{"seed": 0}]})
    assert subject.left_to_try(unit.kept()["search"]) == (30,) and not subject.is_done(unit)
    subject.work(unit)
    assert done == ["search mnist cdvft"] * 2 + [f"run mnist cdvft {seed}" for seed in range(5)]
    kept = unit.kept()
    assert [*subject.losses(kept["search"])] == pytest.approx([0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 0.9])
    assert kept["search"]["race"][0]["learning_rate"] == 0.3 and subject.is_done(unit)
    assert not subject.is_at_an_end(kept["search"])
    assert kept["search"]["commands"] == ["before", "search", "search"]
    assert subject.left_to_try(tried(0.0001)) == (0.03,)


def test_the_front_is_of_those_that_nobody_beats():
    points = subject.points(WORLD, "accuracy")
    assert [one.numbers for one in points] == sorted(one.numbers for one in points)
    assert [one.name for one in subject.front(points)] == ["head", "lora-1", "cdvft-m-2", "lora-16"]
    assert all(one.low < one.mean < one.high for one in points)


def test_rivals_with_about_as_many_numbers_or_fewer_are_compared():
    points = subject.points(WORLD, "accuracy")
    judged = subject.against_no_more_numbers(points, "accuracy")
    assert {(one.own.name, one.rival.name): one.is_at_equal_numbers for one in judged} == {
        ("cdvft-m-2", "lora-1"): True,
        ("cdvft-m-2", "lora-2"): True,
        ("cdvft-m-3", "lora-1"): False,  # 23,040 numbers against 9,216
        ("cdvft-m-3", "lora-2"): True,
    }
    assert {one.verdict.family for one in judged} == {4}
    assert {one.verdict.about for one in judged} == {"methods"}
    equal, *_, fewer, told, all_of_them = said(points)
    assert equal.startswith(
        "Of 3 pairs with about as many numbers, within 1.5 times, CDVFT is ahead in 3 and"
    )
    assert fewer == "Of 1 pair in which the rival trains fewer, CDVFT is ahead in 1 and behind in 0."
    assert told.startswith("CDVFT m = 3 is ahead of LoRA r = 1 by ")
    assert "), with 23,040 and 9,216 trained numbers; CDVFT m = 3's rate 0.01 had a validation" in told
    assert all_of_them.startswith("All 4 are corrected together, over 5 seeds;")


def test_settings_of_one_method_are_told_apart():
    blocks = [recorded(f"c3a-{b}", "c3a", {"c3a_block_size": b}, 49_152 // b, 0.9) for b in (128, 384)]
    found = {one.label for one in subject.points([*WORLD, *blocks], "accuracy")}
    assert {"C3A b = 128", "C3A b = 384", "CDVFT", "CDVFT m = 3", "LoRA r = 16", "Head only"} <= found


def test_who_is_behind_is_told_as_well():
    worse = [one if one["method"] != "lora" else recorded("lora-1", "lora", {"lora_r": 1}, 13_824, 0.97)
             for one in WORLD[:3]]  # fmt: skip
    points = subject.points(worse, "accuracy")
    told = " ".join(said(points))
    assert "CDVFT is behind LoRA r = 1 by " in told and "CDVFT m = 3 is behind LoRA r = 1 by " in told
    assert answer(mnist=points) == "Behind (mnist); LoRA ahead with fewer (mnist)."


def test_a_rival_that_does_better_with_fewer_is_told_and_judged_at_the_rate_of_the_recorded_race_too(
    monkeypatch,
):
    own = recorded("cdvft-m-2", "cdvft", {"m": 2}, 13_824, 0.92)
    own["search"]["race"][0]["learning_rate"] = 0.003
    points = subject.points([own, recorded("vera", "vera", {"vera_r": 64}, 1_000, 0.97)], "accuracy")

    def sentences(numbers: int, rate: float) -> list[str]:
        raced = {"recipe": "mnist", "method": "cdvft", "settings": {"method": {"learning_rate": rate}}}
        same = recorded("vera", "cdvft", {}, numbers, 0.97)["runs"]  # whose rows are all VeRA's
        monkeypatch.setattr(subject.races, "record", lambda: {"runs": [{**raced, **run} for run in same]})
        return said(points)

    counts, told, there, together = sentences(13_824, 0.01)
    assert counts == "Of 1 pair in which the rival trains fewer, CDVFT is ahead in 0 and behind in 1."
    assert told.startswith("CDVFT is behind VeRA r = 64 by ")
    assert "with 13,824 and 1,000 trained numbers" in told
    assert there.startswith("At 0.01, the rate of the recorded race: CDVFT is as good as VeRA r = 64")
    assert together.startswith("Over 5 seeds;"), "one pair is corrected with no other"
    assert answer(mnist=points) == "Behind at one rate (mnist against fewer)."
    assert len(sentences(13_824, 0.003)) == 3, "it is the rate that was chosen"
    assert answer(mnist=points) == "VeRA ahead with fewer (mnist)."
    assert len(sentences(999, 0.01)) == 3, "it is another setting"


def test_the_answer_is_that_of_every_recipe():
    alike = [WORLD[0], recorded("lora-1", "lora", {"lora_r": 1}, 9_216, 0.92)]
    of_pairs = [WORLD[0], recorded("c3a", "c3a", {"c3a_block_size": 128}, 13_824, 0.92), *WORLD[2:]]
    same, ahead, tied = (subject.points(of, "accuracy") for of in (alike, WORLD, of_pairs))
    assert answer(mnist=same, sentiment=same) == "Not shown (mnist, sentiment)."
    assert answer(mnist=same, sql=ahead, sentiment=same) == "Ahead (sql), elsewhere not shown."
    assert answer(mnist=same, sql=same, sentiment=same) == "Not shown (3 of 3 recipes)."
    assert answer(mnist=tied) == "Ahead in 2, behind in 0 of 3 pairs (mnist)."
    assert answer(mnist=same[:1]) == "No rival has as many."


def test_a_setting_of_which_a_run_failed_is_no_point():
    broken = json.loads(json.dumps(WORLD))
    broken[0]["runs"][3]["metric"] = None
    assert "cdvft-m-2" not in [one.name for one in subject.points(broken, "accuracy")]


def test_the_figure_reads_the_record(tmp_path, monkeypatch):
    file = tmp_path / "equal_numbers.json"
    monkeypatch.setattr(subject, "RESULTS", file)
    assert figure() is None, "without a record there is none"
    record = {"machines": [{"cpu": "a processor", "torch": "2"}], "recipes": {"mnist": WORLD}}
    record |= {"command": "any", "not_recorded": ["sql lora-lora_r-1", "mnist dora-dora_r-8"]}
    file.write_text(json.dumps(record))
    drawn = figure()
    assert drawn is not None
    assert drawn["answer"] == "Ahead (mnist)."
    told = " ".join(said(subject.points(WORLD, "accuracy")))
    assert any(told in text for text in drawn["behind"])
    axis = drawn["figure"]["layout"]["xaxis"]
    assert axis["ticktext"] == ["10", "30", "100"]
    assert axis["range"] == pytest.approx([math.log10(9_216 / 8), math.log10(147_456 * 1.5)])
    assert [row[2] for row in drawn["rows"]] == [0, 9_216, 13_824, 18_432, 23_040, 147_456]
    writes, digits = (RECIPES[key].title for key in ("sql", "mnist"))
    missing = f"Not recorded: {writes} (1 of 1 settings), {digits} (1 of 7 settings)."
    at_an_end = f"Best at an end of these rates on {digits}: LoRA r = 1."
    assert {missing, at_an_end} <= set(drawn["behind"])
    assert all(title and "methods=" in query for query, title in drawn["again"])
    front, head, *methods = drawn["figure"]["data"]
    assert front["x"] == [9_216, 13_824, 147_456] and {one["name"] for one in methods} == {"CDVFT", "LoRA"}
    (least,) = [text for one in methods for text in one["text"] if "9,216" in text]
    assert re.fullmatch(r"LoRA r.=.1: [\d.]+.% \([\d.]+ to [\d.]+\)<br>9,216 trained numbers", least)
    level = 100 * statistics.fmean(run["metric"] for run in WORLD[-1]["runs"])
    assert (head["name"], head["y"]) == ("Head only", pytest.approx([level, level]))
    named, at_level, _ = drawn["figure"]["layout"]["annotations"]
    assert named["text"] == "mnist: right, %" and at_level["y"] == pytest.approx(level)


def test_each_recipe_has_a_panel_with_axes_of_its_own(tmp_path, monkeypatch):
    """In rows of two. The lines of the head and of full fine-tuning are named once."""
    file = tmp_path / "equal_numbers.json"
    monkeypatch.setattr(subject, "RESULTS", file)
    recipes = {"addresses": WORLD[:-1], "mnist": WORLD, "sentiment": WORLD}
    machines = [{"cpu": "a processor", "torch": "2"}]
    file.write_text(json.dumps({"machines": machines, "recipes": recipes, "command": "", "not_recorded": []}))
    drawn = figure()
    assert drawn is not None
    layout, data = drawn["figure"]["layout"], drawn["figure"]["data"]
    heads = [trace for trace in data if trace.get("name") == "Head only"]
    assert [(trace["xaxis"], trace["yaxis"]) for trace in heads] == [("x2", "y2"), ("x3", "y3")]
    first, second, third = ((layout[f"xaxis{of}"], layout[f"yaxis{of}"]) for of in ("", "2", "3"))
    assert first[0]["domain"][1] < second[0]["domain"][0] and first[1]["domain"] == second[1]["domain"]
    assert third[1]["domain"][1] < first[1]["domain"][0] and third[0]["domain"] == first[0]["domain"]
    assert [x["anchor"] for x, _ in (first, second, third)] == ["y", "y2", "y3"]
    texts = [one["text"] for one in layout["annotations"]]
    assert texts == ["addresses: right, %", "mnist", "Head", "sentiment", "trained numbers, × 1,000"]


def test_a_race_at_searched_rates_is_of_the_methods_that_are_raced_and_corrected_for_all_of_its_pairs():
    """On `sentiment` C3A and the head alone were trained beside its race, with two seeds.

    On MNIST LoRA's lead on CDVFT would be shown if nobody had looked at the other two pairs.
    """
    every = [("cdvft", "lora"), ("cdvft", "fourierft"), ("lora", "fourierft")]
    for recipe in ("sentiment", "mnist"):
        found = subject.race_at_searched_rates(recipe, "accuracy")
        assert [*found] == every and {one.family for one in found.values()} == {3}
    assert {one.word for one in found.values()} == {"not shown"}
    points = subject.points(subject.record()["recipes"]["mnist"], "accuracy")
    sides = {one.name: (one.contestant,) for one in points}
    (alone,) = subject.judge([subject.Pair(sides["cdvft-m-2"], sides["lora-lora_r-8"])], "accuracy")
    assert alone.word == "behind" and alone.size == found["cdvft", "lora"].size
