"""The judge's sentences: their grammar at 0, 1 and many, and one verdict wherever the same runs are shown."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cdvft_app.judging.judge import Verdict
from cdvft_app.judging.verdict_text import (
    at_searched_rates,
    basis,
    depends_on_runs,
    result,
    sentences,
)

VERDICT = Verdict(
    first="CDVFT", second="LoRA", word="ahead", about="runs", metric_name="accuracy", size=0.03, low=0.01,
    high=0.05, confidence=0.95, p=0.01, rows=1024, seeds=(1, 1), paired=True, family=1, alone=(80, 50),
)  # fmt: skip


def sentence(verdict: Verdict) -> str:
    """All that is said of one."""
    return " ".join(filter(None, [result(verdict), *basis(verdict)]))


def test_a_pair_depends_on_its_runs_where_those_at_searched_rates_tell_another_thing():
    assert depends_on_runs(VERDICT, replace(VERDICT, word="not shown"))
    assert not depends_on_runs(VERDICT, replace(VERDICT, size=0.01))
    assert not depends_on_runs(VERDICT, None), "which nobody has trained"
    assert at_searched_rates([]) == "" and result(VERDICT) in at_searched_rates([VERDICT])


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


def test_what_is_unknown_has_nothing_behind_it():
    """No interval, so no word on its confidence or on rows; a family of two is one, a pair alone is not."""
    assert len(basis(replace(VERDICT, low=None, high=None, p=None, rows=None))) == 1
    assert "2 pairs are corrected together" in sentence(replace(VERDICT, family=2))
    assert "corrected together" not in sentence(VERDICT)
    assert "over 0 rows" in sentence(replace(VERDICT, rows=0))
