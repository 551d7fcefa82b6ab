"""Every number that README and docs state of results, made anew from the record that it comes from."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from math import log
from pathlib import Path
from statistics import mean
from typing import Any

import pytest

from benchmarks import equal_numbers, found_rates
from benchmarks.trained import contestant
from cdvft_app import catalog
from cdvft_app.costs.request import parse_cost
from cdvft_app.costs.table import cost_table
from cdvft_app.decision.decide import race_verdicts
from cdvft_app.judging.judge import Pair, Verdict, judge
from cdvft_app.metrics import METRICS

ROOT = Path(__file__).parents[3]
METHODS = {"cdvft": "CDVFT m = 2", "lora": "LoRA r = 8", "fourierft": "FourierFT n = 1000"}
POINTS = METRICS["accuracy"]


def record(name: str) -> Any:
    return json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text(encoding="utf-8"))


RUNS = record("default_race")["runs"]


def scores(recipe: str, method: str) -> list[float]:
    """By seed."""
    found = {run["seed"]: run for run in RUNS if (run["recipe"], run["method"]) == (recipe, method)}
    return [found[seed]["metric"] for seed in range(5)]


def numbers(recipe: str, method: str = "cdvft") -> int:
    (count,) = {
        run["trainable_parameters"] for run in RUNS if (run["recipe"], run["method"]) == (recipe, method)
    }
    return count


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def verdict(recipe: str, first: str, second: str) -> Verdict:
    found = race_verdicts(recipe)
    return found[first, second] if (first, second) in found else found[second, first].turned


def size(one: Verdict) -> str:
    return POINTS.format_difference(abs(one.size))


def interval(one: Verdict) -> str:
    return f"({POINTS.format_difference(one.low or 0.0)} to {POINTS.format_difference(one.high or 0.0)})"


def shown(recipe: str) -> dict[tuple[str, str], Verdict]:
    """The verdicts that one method is ahead of another, from the winner's side."""
    return {
        (pair if one.word == "ahead" else pair[::-1]): one if one.word == "ahead" else one.turned
        for pair, one in race_verdicts(recipe).items()
        if one.word in ("ahead", "behind")
    }


def ratio(recipe: str) -> float:
    return numbers(recipe, "lora") / numbers(recipe)


def readme_row(recipe: str, what: str) -> str:
    """The highest is bold where a difference of CDVFT's is shown against it."""
    ahead = shown(recipe)
    if not ahead:
        said = "no difference shown"
    elif ("lora", "cdvft") in ahead:
        said = f"**CDVFT loses** to LoRA by {size(ahead['lora', 'cdvft'])} points"
    else:
        assert set(ahead) == {("cdvft", "fourierft"), ("lora", "fourierft")}
        said = "both ahead of FourierFT"
    means = [percent(mean(scores(recipe, method))) for method in METHODS]
    if "loses" in said:
        means[1] = f"**{means[1]}**"
    return f"| `{recipe}`, {what} | {' | '.join(means)} | {said} |"


def ranged(recipe: str, method: str) -> str:
    own = scores(recipe, method)
    return f"{percent(mean(own))} ({percent(min(own))[:-2]} to {percent(max(own))[:-2]})"


def classifiers_row(method: str) -> str:
    cells = [
        METHODS[method], ranged("sentiment", method), f"{numbers('sentiment', method):,}",
        ranged("mnist", method), ranged("digits", method), f"{numbers('digits', method):,}",
    ]  # fmt: skip
    assert numbers("mnist", method) == numbers("digits", method)
    return f"| {' | '.join(cells)} |"


def writers_row(recipe: str, method: str) -> str:
    own = scores(recipe, method)
    each = ", ".join(percent(score)[:-2] for score in own)
    return f"| {METHODS[method]} | {percent(mean(own))} | {each} % | {numbers(recipe, method):,} |"


def untrained_rows(recipe: str) -> str:
    kept = record(f"untrained_{recipe}")
    told, shown_three = (kept[key]["exact_match"] for key in ("told", "shown"))
    assert told == 0
    return (
        "| without training, given the same prompt | 0 % | | |\n"
        f"| without training, three examples in the prompt | {percent(shown_three)} | | |"
    )


SPEEDS = ("speed_amd_epyc", "speed_intel_xeon")
OTHERS = ("cdvft", "lora", "fourierft", "c3a")


def speed_row(title: str, kind: str, base: str, entry: str, tokens: int | None) -> str:
    """A processor before the slash, the other after it; on two threads."""

    def median(file: str, method: str) -> str:
        (one,) = [
            one
            for one in record(file)[kind]
            if (one["title"], one.get("tokens"), one["threads"]) == (entry, tokens, 2)
        ]
        return f"{one['ratios'][f'{method} / {base}']['median']:.2f}"

    cells = [" / ".join(median(file, method) for file in SPEEDS) for method in OTHERS]
    return f"| {title} | {' | '.join(cells)} |"


def layer_row(width: int, tokens: int) -> str:
    title = f"layer {width} x {width}, {tokens:,} tokens"
    return speed_row(title, "layers", "base", str(width), tokens)


def step_row(model: str, step: str) -> str:
    return speed_row(f"training step, {model}, {step}", "steps", "frozen", f"{model} shape, {step}", None)


def numbers_beside_others() -> str:
    assert all(numbers(recipe) > numbers(recipe, "fourierft") for recipe in ("sentiment", "digits"))
    ratios = sorted({ratio(run["recipe"]) for run in RUNS})
    return (
        f"LoRA r = 8 has {ratios[0]:.1f} to {ratios[-1]:.1f} times as many\nnumbers as CDVFT, which has more "
        "than FourierFT."
    )


def flops_beside_lora() -> str:
    """On each recorded race's model, at the length and batch that it trained with."""
    for recipe in {run["recipe"] for run in RUNS}:
        entry = catalog.RECIPES[recipe]
        asked = {"model": entry.model, "methods": ["cdvft", "lora"], "batch": entry.batch_size}
        step = {"sequence": entry.max_length} if entry.max_length else {"image_size": entry.image_size}
        ours, lora = cost_table(parse_cost({**asked, **step}))
        assert ours["flops_per_step"] >= lora["flops_per_step"], recipe
    return "CDVFT does not need fewer adapter FLOPs than LoRA r = 8."


def whole_steps() -> str:
    """CDVFT's training step over LoRA's on both processors."""
    steps = [one for file in SPEEDS for one in record(file)["steps"] if one["threads"] == 2]
    ratios = [round(one["ratios"]["cdvft / lora"]["median"], 2) for one in steps]
    assert max(ratios) == 1.0
    less = round(100 * (1 - min(ratios)))
    return (
        f"On 2 threads of\na CPU a whole training step takes as long as LoRA's or up to {less} % less "
        "(MiniLM, RoBERTa-base, ViT-S)"
    )


def few_tokens_on_a_narrow_layer() -> str:
    for file in SPEEDS:
        narrow = [one for one in record(file)["layers"] if (one["title"], one["tokens"]) == ("768", 64)]
        assert narrow and all(one["ratios"]["cdvft / lora"]["median"] > 1 for one in narrow)
    wide = [
        [
            round(100 * (one["ratios"]["cdvft / lora"]["median"] - 1))
            for one in record(file)["layers"]
            if min(one["d_out"], one["d_in"]) >= 1024 and one["threads"] == 2
            if one["ratios"]["cdvft / lora"]["low"] > 1
        ]
        for file in SPEEDS
    ]
    assert not wide[0], "none on the EPYC"
    return (
        "with few tokens on\na narrow layer LoRA is faster, and on one of two processors by "
        f"{min(wide[1])} to {max(wide[1])} % on some layers of 1,024 and more."
    )


def error(m: int, family: str) -> tuple[int, int]:
    """Of 64 × 64 changes of rank 4: the mean error in per cent, and the numbers it takes."""
    rows = [
        row["fits"][family]
        for row in record("fit_matrix")["rows"]
        if (row["target"], row["n"], row["m"]) == ("low_rank", 64, m)
    ]
    (count,) = {row["parameters"] for row in rows}
    return round(100 * mean(row["error"] for row in rows)), count


def low_rank_is_hard() -> str:
    two, five = (error(m, "circulant_diagonal") for m in (2, 5))
    lora, exact = error(2, "low_rank"), error(5, "low_rank")
    assert exact == (0, 512)
    return (
        f"{two[0]} % off with {two[1]} numbers (LoRA r = 1: {lora[0]} % with {lora[1]}) and, at m = 5, "
        f"{five[0]} % off with {five[1]} numbers, where LoRA r = 4 is exact with {exact[1]}"
    )


def sentiment_shows_nothing() -> str:
    lora, fourier = (verdict("sentiment", "cdvft", other) for other in ("lora", "fourierft"))
    assert not shown("sentiment") and lora.size > 0 > fourier.size
    return (
        f"CDVFT has {size(lora)} points more than LoRA {interval(lora)} and {size(fourier)} less than "
        f"FourierFT {interval(fourier.turned)}, seeds and rows together, corrected (Holm) for the three "
        "pairs of a recipe"
    )


def digits_shows_two() -> str:
    ours, lora = (verdict("digits", first, "fourierft") for first in ("cdvft", "lora"))
    between = verdict("digits", "cdvft", "lora")
    assert set(shown("digits")) == {("cdvft", "fourierft"), ("lora", "fourierft")} and between.size < 0
    return (
        f"On `digits` CDVFT is ahead of FourierFT by {size(ours)} points {interval(ours)}, and so is LoRA by "
        f"{size(lora)}; CDVFT has {size(between)} less than LoRA {interval(between.turned)}: no difference "
        "is shown."
    )


def addresses_are_lost() -> str:
    lora, fourier = verdict("addresses", "lora", "cdvft"), verdict("addresses", "cdvft", "fourierft")
    assert {lora.word, fourier.word} == {"ahead"} and round(ratio("addresses")) == 5
    return (
        f"**Here CDVFT loses**: it is behind LoRA by {size(lora)} points {interval(lora)}, with a fifth of "
        f"its numbers, and ahead of FourierFT by {size(fourier)} {interval(fourier)}."
    )


def sql_shows_nothing() -> str:
    lora, fourier = (verdict("sql", "cdvft", other) for other in ("lora", "fourierft"))
    assert not shown("sql") and fourier.size > 0 > lora.size
    return (
        f"No difference between the methods is shown: CDVFT has {size(lora)} points less than LoRA "
        f"{interval(lora.turned)} and {size(fourier)} more than FourierFT {interval(fourier)}."
    )


FOUND = record("found_rates")


def searched(recipe: str) -> Verdict:
    """The rate that a search found against the recorded one, over five seeds; judged anew."""
    own = FOUND[recipe]
    assert [one["side"] for one in own["runs"][:2]] == ["found", "recorded"]
    assert {one["seed"] for one in own["runs"]} == {0, 1, 2, 3, 4} and len(own["runs"]) == 10
    found: Verdict = found_rates.verdict(own)
    assert found.word == own["verdict"]["word"] == "not shown"
    return found


def trials(recipe: str, place: int = 0) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = FOUND[recipe]["search"]["methods"][place]["trials"]
    return found


def given_up(one: dict[str, Any]) -> bool:
    return bool(one["state"].startswith("given up"))


def found_rate(recipe: str) -> str:
    """The rate found is the second of those drawn at random; of the later ones only the third ended."""
    (best,) = FOUND[recipe]["search"]["race"]
    assert trials(recipe)[1]["settings"] == f"learning rate {best['learning_rate']}"
    assert len(trials(recipe)) == 12 and [given_up(one) for one in trials(recipe)] == [False] * 3 + [True] * 9
    usual, against = catalog.RECIPES[recipe].learning_rates["cdvft"], searched(recipe)
    more = against.size > 0
    return (
        f"on `{recipe}` {best['learning_rate']} (recorded: {usual}) has {size(against)} points "
        f"{'more' if more else 'less'} {interval(against if more else against.turned)}"
    )


def found_for_a_file() -> str:
    own = FOUND["csv"]
    assert [one["side"] for one in own["runs"][:2]] == ["CDVFT", "LoRA r\u00a0=\u00a08"]
    one = found_rates.verdict(own)
    assert one.word == "not shown" and one.size > 0
    ended = [[of["loss"] for of in trials("csv", place) if not given_up(of)] for place in (0, 1)]
    assert all(min(losses) > log(2) for losses in ended), "as a guess of one half for every row"
    (early,) = [of["loss"] for of in trials("csv", 1) if given_up(of)]
    assert early < min(ended[1])
    return f"CDVFT has {size(one)} points more than LoRA r = 8 {interval(one)}"


EQUAL = record("equal_numbers")
POINTS_AT_EQUAL_NUMBERS = equal_numbers.points(EQUAL["recipes"]["mnist"], "accuracy")


def pairs_within_about_as_many() -> str:
    judged = equal_numbers.against_no_more_numbers(POINTS_AT_EQUAL_NUMBERS, "accuracy")
    equal = [one for one in judged if one.is_at_equal_numbers]
    assert [one.rival.method for one in equal].count("lora") == 3 and len(equal) == 4
    assert all(one.own.numbers <= 1.5 * one.rival.numbers for one in equal)
    assert all(one.rival.numbers <= 1.5 * one.own.numbers for one in equal)
    words = [one.verdict.word for one in equal]
    return (
        f"it is ahead in {words.count('ahead')} and behind in {words.count('behind')} of {len(equal)} pairs "
        "within 1.5 times its numbers"
    )


def behind_a_rival_with_fewer() -> str:
    judged = equal_numbers.against_no_more_numbers(POINTS_AT_EQUAL_NUMBERS, "accuracy")
    (lost,) = [one for one in judged if one.verdict.word == "behind"]
    assert not lost.is_at_equal_numbers and not any(one.verdict.word == "ahead" for one in judged)
    found = lost.verdict
    assert (lost.own.label, lost.rival.label, found.seeds) == ("CDVFT", "VeRA r = 256", (5, 5))
    return (
        f"CDVFT is behind VeRA r = 256 by {size(found)} points {interval(found.turned)}, with "
        f"{lost.own.numbers:,} and {lost.rival.numbers:,} trained numbers"
    )


def how_many_have_fewer() -> str:
    judged = equal_numbers.against_no_more_numbers(POINTS_AT_EQUAL_NUMBERS, "accuracy")
    assert {one.verdict.family for one in judged} == {len(judged)} == {12}
    fewer = [one.rival.numbers < one.own.numbers / 1.5 for one in judged]
    return f"Against {sum(fewer)} settings of rivals with fewer"


def how_near_a_tie_the_rate_was() -> str:
    """At the recorded race's rate, whose rows and seeds are the same, in place of the chosen one."""
    (own,) = [point for point in POINTS_AT_EQUAL_NUMBERS if point.label == "CDVFT"]
    usual = catalog.RECIPES["mnist"].learning_rates["cdvft"]
    (chosen, lowest), (other, next_best) = sorted(own.losses.items(), key=lambda one: one[1])[:2]
    assert other == usual != chosen == own.settings.method.learning_rate
    raced = [run for run in RUNS if (run["recipe"], run["method"]) == ("mnist", "cdvft")]
    at_usual = replace(own, contestant=contestant("CDVFT", raced))
    points = [at_usual if point is own else point for point in POINTS_AT_EQUAL_NUMBERS]
    judged = equal_numbers.against_no_more_numbers(points, "accuracy")
    (found,) = [one.verdict for one in judged if one.own is at_usual and one.rival.method == "vera"]
    assert found.word == "not shown" and found.size > 0
    return (
        f"CDVFT's rate was nearly a tie (validation losses {lowest:.3f} and {next_best:.3f}); at the other, "
        f"the table's, no difference is shown ({size(found)} points more, {interval(found)[1:-1]})"
    )


def not_recorded_at_equal_numbers() -> str:
    assert list(EQUAL["recipes"]) == ["mnist"]
    missing = sum(name.startswith("mnist ") for name in EQUAL["not_recorded"])
    return (
        f"Of the settings of `mnist` {missing} of {missing + len(POINTS_AT_EQUAL_NUMBERS)} are not recorded "
        "yet, nor are the other recipes"
    )


def fewer_numbers_still() -> str:
    judged = equal_numbers.against_no_more_numbers(POINTS_AT_EQUAL_NUMBERS, "accuracy")
    (one,) = [one for one in judged if (one.own.label, one.rival.label) == ("CDVFT", "FourierFT n = 250")]
    assert one.verdict.word == "not shown"
    return (
        f"FourierFT n = 250 gets {percent(one.rival.mean)} with {one.rival.numbers:,} numbers, CDVFT m = 2 "
        f"{percent(one.own.mean)} here (no difference shown)"
    )


def corrected_for_all_pairs() -> str:
    """By Holm over every pair of every recipe, each judged alone."""
    alone = {}
    for recipe in {run["recipe"] for run in RUNS}:
        sides = {
            method: contestant(
                method, [run for run in RUNS if (run["recipe"], run["method"]) == (recipe, method)]
            )
            for method in METHODS
        }
        metric_name = catalog.get_dataset(catalog.get_recipe(recipe).dataset).metric
        for first, second in itertools.combinations(METHODS, 2):
            (found,) = judge([Pair((sides[first],), (sides[second],))], metric_name)
            alone[recipe, first, second] = found.p
    stay = []
    for place, (pair, p) in enumerate(sorted(alone.items(), key=lambda one: one[1])):
        if p > 0.05 / (len(alone) - place):
            break
        stay.append(pair)
    assert stay == [("addresses", "lora", "fourierft")]
    return f"corrected for all {len(alone)}, only LoRA's lead on FourierFT on `addresses` would stay"


README = [
    corrected_for_all_pairs,
    pairs_within_about_as_many,
    behind_a_rival_with_fewer,
    how_near_a_tie_the_rate_was,
    not_recorded_at_equal_numbers,
    lambda: readme_row("sentiment", "accuracy"),
    lambda: readme_row("mnist", "accuracy"),
    lambda: readme_row("digits", "accuracy"),
    lambda: readme_row("addresses", "all fields right"),
    lambda: readme_row("sql", "query right"),
    numbers_beside_others,
    flops_beside_lora,
    whole_steps,
    few_tokens_on_a_narrow_layer,
]
RESULTS = [
    *(lambda method=method: classifiers_row(method) for method in METHODS),
    *(lambda recipe=recipe, method=method: writers_row(recipe, method)
      for recipe in ("addresses", "sql") for method in METHODS),
    lambda: untrained_rows("addresses"),
    lambda: untrained_rows("sql"),
    lambda: layer_row(768, 2048),
    lambda: layer_row(768, 64),
    lambda: layer_row(4096, 2048),
    lambda: step_row("MiniLM", "16 x 128 tokens"),
    lambda: step_row("RoBERTa-base", "8 x 128 tokens"),
    lambda: step_row("ViT-S", "8 images of 197 tokens"),
    lambda: f"LoRA has {ratio('sentiment'):.2f} and {ratio('digits'):.1f} times as many numbers as CDVFT",
    low_rank_is_hard,
    sentiment_shows_nothing,
    digits_shows_two,
    pairs_within_about_as_many,
    behind_a_rival_with_fewer,
    how_many_have_fewer,
    how_near_a_tie_the_rate_was,
    not_recorded_at_equal_numbers,
    fewer_numbers_still,
    addresses_are_lost,
    sql_shows_nothing,
    lambda: found_rate("mnist"),
    lambda: found_rate("sentiment"),
    found_for_a_file,
]  # fmt: skip
CONDITIONS = ("CDVFT m = 2", "LoRA r = 8", "FourierFT n = 1000", "seeds 0 to 4", "rank 1", "CDVFT with m = 2")
"""What was run, not what came out."""


def said(file: str) -> str:
    return " ".join((ROOT / file).read_text(encoding="utf-8").split())


@pytest.mark.parametrize(
    ("file", "claim"),
    [*(("README.md", claim) for claim in README), *(("docs/results.md", claim) for claim in RESULTS)],
)
def test_a_claim_is_what_the_record_gives(file: str, claim: Callable[[], str]) -> None:
    assert " ".join(claim().split()) in said(file)


def test_the_readme_states_no_result_that_no_record_gives() -> None:
    _, _, section = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Results")
    section = " ".join(section.partition("\n## ")[0].split())
    for claim in [*(" ".join(one().split()) for one in README), *CONDITIONS]:
        section = section.replace(claim, "")
    assert not re.findall(r"\d[\d.,]*", section), section


def test_no_row_of_a_table_of_results_is_left_out() -> None:
    claimed = "\n".join(claim() for claim in RESULTS)
    rows = [*_rows((ROOT / "docs" / "results.md").read_text(encoding="utf-8"))]
    assert len(rows) > 15 and [row for row in rows if row not in claimed] == []


def _rows(text: str) -> Iterator[str]:
    """The rows of its tables below their headings."""
    below = False
    for line in text.splitlines():
        if below and line.startswith("|"):
            yield line
        below = line.startswith("|") and (below or line.startswith("|---"))
