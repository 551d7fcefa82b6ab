"""The judge's sentences: their grammar at 0, 1 and many, and one verdict wherever the same runs are shown."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import product

import pytest

from cdvft_app.judging.judge import Verdict
from cdvft_app.judging.verdict_text import (
    as_dicts,
    at_searched_rates,
    basis,
    depends_on_runs,
    more_rows,
    result,
    sentences,
    settled_by,
)

VERDICT = Verdict(
    first="CDVFT", second="LoRA", word="ahead", about="runs", metric_name="accuracy", size=0.03, low=0.01,
    high=0.05, confidence=0.95, p=0.01, rows=1024, seeds=(1, 1), paired=True, family=1, alone=(80, 50),
)  # fmt: skip


def sentence(verdict: Verdict) -> str:
    """All that is said of one."""
    return " ".join(filter(None, [result(verdict), settled_by(verdict), *basis(verdict)]))


def test_more_rows_are_not_judged_where_nobody_knows_how_sure_the_scores_are():
    unknown, known = replace(VERDICT, low=None, high=None), VERDICT
    for third, two_thirds in ((unknown, known), (known, unknown)):
        said = more_rows("CDVFT", (300, 600, 900), third, two_thirds, is_most=True)
        assert said == "Whether more rows would help cannot be told: how sure the scores are is not known."


def test_a_pair_depends_on_its_runs_where_those_at_searched_rates_tell_another_thing():
    assert depends_on_runs(VERDICT, replace(VERDICT, word="not shown"))
    assert not depends_on_runs(VERDICT, replace(VERDICT, size=0.01))
    assert not depends_on_runs(VERDICT, None), "which nobody has trained"
    assert at_searched_rates([]) == "" and result(VERDICT) in at_searched_rates([VERDICT])


@pytest.mark.parametrize("number", [0, 1, 2, 5, 1024])
def test_every_sentence_agrees_at_0_1_and_many(number):
    words = ("ahead", "behind", "as good", "not shown")
    for word, about, paired, chosen in product(
        words, ("runs", "methods"), (True, False), (None, "other rows", "all")
    ):
        counts = {"rows": number, "seeds": (number, number), "family": number, "more_rows": number}
        counts |= {"more_seeds": number}
        text = sentence(replace(VERDICT, word=word, about=about, paired=paired, chosen=chosen, **counts))
        assert not re.search(r"\b1 (rows|seeds|pairs|runs|more rows|more seeds|points)\b", text), text
        assert not re.search(r"\b(?!1\b)[\d,]+ (row|seed|pair|run|more row|more seed)\b", text), text
        assert not re.search(r"[{}]|None| {2}|\.\.| ,", text), text
        assert text.endswith(".") and text[0].isupper()


@pytest.mark.parametrize(
    ("word", "size", "low", "high", "said"),
    [
        ("ahead", 0.03, 0.01, 0.05, "ahead of LoRA by 3.0 points (1.0 to 5.0)."),
        ("ahead", 0.03, 0.0, 0.05, "ahead of LoRA by 3.0 points (0.0 to 5.0)."),
        ("behind", -0.01, -0.018, -0.002, "behind LoRA by 1.0 point (0.2 to 1.8)."),
        ("behind", -0.03, -0.05, 0.0, "behind LoRA by 3.0 points (0.0 to 5.0)."),
        ("as good", -0.001, -0.006, 0.004, "as good as LoRA within 1 point (−0.6 to 0.4)."),
        ("as good", 0.0, 0.0, 0.0, "as good as LoRA within 1 point (0.0 to 0.0)."),
    ],
)
def test_results_in_words(word, size, low, high, said):
    verdict = replace(VERDICT, word=word, size=size, low=low, high=high)
    assert sentences([verdict])[0] == f"CDVFT is {said}"


@pytest.mark.parametrize(
    ("size", "low", "high", "said"),
    [
        (-0.016, -0.04, 0.008, "CDVFT has 1.6 points less than LoRA (−0.8 to 4.0)."),
        (-0.0006, -0.03, 0.05, "CDVFT has 0.1 points less than LoRA (−5.0 to 3.0)."),
        (-0.0004, -0.03, 0.05, "CDVFT and LoRA score about the same (−3.0 to 5.0)."),
        (0.0004, None, None, "CDVFT and LoRA score about the same, and how sure that is cannot be told."),
        (0.03, None, None, "CDVFT has 3.0 points more than LoRA, and how sure that is cannot be told."),
    ],
)
def test_what_is_not_shown_in_words(size, low, high, said):
    verdict = replace(VERDICT, word="not shown", size=size, low=low, high=high, more_rows=3100)
    assert sentences([verdict])[0] == f"No difference is shown: {said} {settled_by(verdict)}"


def test_a_correlation_is_told_without_points():
    verdict = replace(VERDICT, metric_name="pearson", word="as good", size=0.002, low=-0.001, high=0.005)
    assert sentences([verdict])[0] == "CDVFT is as good as LoRA within 0.010 (−0.001 to 0.005)."


def test_what_stands_behind_verdicts_is_said_once():
    *_, behind = sentences([VERDICT, replace(VERDICT, second="FourierFT")])
    assert behind == (
        "Runs of 1 seed and 1 seed are compared, not methods: with one seed nothing is known of chance "
        "in training. For methods it takes 5 seeds of each. Compared row by row over 1,024 rows; the "
        "brackets hold the difference with 95\u00a0% confidence."
    )
    assert basis(replace(VERDICT, seeds=(2, 3)))[0] == (
        "Runs of 2 seeds and 3 seeds are compared, not methods: for methods it takes 5 seeds of each."
    ), "one seed may have several runs"
    *_, of_both = sentences([VERDICT, replace(VERDICT, second="FourierFT", confidence=0.99)])
    assert of_both.count("brackets") == 1 and "with at least 95\u00a0% confidence" in of_both
    family = sentence(replace(VERDICT, family=3, confidence=1 - 0.05 / 3, about="methods", seeds=(5, 8)))
    assert "Over 5 seeds and 8 seeds, seeds and rows together." in family
    assert "with 98.3\u00a0% confidence, each for itself; 3 pairs are corrected together." in family
    many = sentence(replace(VERDICT, family=180, confidence=1 - 0.05 / 180))
    assert "with 99.972\u00a0% confidence" in many, "never rounded to certainty"


def test_what_differs_among_verdicts_stands_behind_their_pairs():
    """A run of FourierFT has failed, so it has four seeds beside the five of the others."""
    methods = replace(VERDICT, about="methods", seeds=(5, 5))
    runs = replace(VERDICT, second="FourierFT", seeds=(5, 4))
    shared = (
        "Compared row by row over 1,024 rows; the brackets hold the difference with 95\u00a0% confidence."
    )
    of_runs = "Runs of 5 seeds and 4 seeds are compared, not methods: for methods it takes 5 seeds of each."
    *_, behind = sentences([methods, runs])
    assert behind == (
        f"{shared} CDVFT against LoRA: Over 5 seeds and 5 seeds, seeds and rows together. CDVFT against "
        f"FourierFT: {of_runs}"
    )
    *_, behind = sentences([methods, runs, replace(runs, first="LoRA")])
    assert behind.endswith(f" CDVFT against FourierFT and LoRA against FourierFT: {of_runs}")
    *_, behind = sentences([VERDICT, replace(VERDICT, second="FourierFT", chosen="other rows")])
    assert behind.endswith(
        "CDVFT against FourierFT: The best of several settings is chosen on half of the "
        "rows and judged on the others."
    ), "and nothing of the pair that has no choice"
    *_, behind = sentences([methods, *(replace(runs, second=f"m = {m}") for m in range(3))])
    assert f"CDVFT against m = 0, CDVFT against m = 1 and CDVFT against m = 2: {of_runs}" in behind
    *_, behind = sentences([methods, *(replace(runs, second=f"m = {m}") for m in range(5))])
    assert (
        f"CDVFT against m = 0, CDVFT against m = 1, CDVFT against m = 2 and 2 more pairs: {of_runs}" in behind
    )


@pytest.mark.parametrize(
    ("about", "rows", "seeds", "said"),
    [
        ("runs", 1, None, "about 1 more row would settle it for these runs"),
        ("runs", None, 3, "about 3 more seeds of each would settle it"),
        ("runs", 1200, 1, "about 1,200 more rows would settle it for these runs, 1 more seed of each for the "
         "methods,"),
        ("methods", 40, None, "about 40 more rows would settle it"),
    ],
)  # fmt: skip
def test_what_would_settle_it(about, rows, seeds, said):
    """For methods rows alone do it where no number of seeds does."""
    told = settled_by(replace(VERDICT, about=about, more_rows=rows, more_seeds=seeds))
    assert told == f"If as seen, {said} at 80\u00a0% power."
    assert settled_by(VERDICT) == ""


def test_what_is_unknown_has_nothing_behind_it():
    """No interval, so no word on its confidence or on rows; a family of two is one, a pair alone is not."""
    assert len(basis(replace(VERDICT, low=None, high=None, p=None, rows=None))) == 1
    assert "2 pairs are corrected together" in sentence(replace(VERDICT, family=2))
    assert "corrected together" not in sentence(VERDICT)
    assert "over 0 rows" in sentence(replace(VERDICT, rows=0))


def test_the_page_gets_a_verdict_with_its_sentences():
    told, unpaired = as_dicts([replace(VERDICT, more_seeds=4), replace(VERDICT, alone=None)])
    assert (told["alone"], told["seeds"], unpaired["alone"]) == ([80, 50], [1, 1], None)
    assert (told["result"], told["settled_by"]) == (
        "CDVFT is ahead of LoRA by 3.0 points (1.0 to 5.0).",
        "If as seen, about 4 more seeds of each would settle it at 80\u00a0% power.",
    )
    assert told["basis"].startswith("Runs of 1 seed and 1 seed are compared, not methods")
    assert (told["first"], told["p"], told["rows"]) == ("CDVFT", 0.01, 1024)
