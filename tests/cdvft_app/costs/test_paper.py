"""The paper's figures beside ours: known values, and verdicts that follow from them."""

from __future__ import annotations

import pytest

from benchmarks.paper import PaperRow, paper_rows


@pytest.fixture(scope="module")
def rows() -> list[PaperRow]:
    return paper_rows()


def _find(rows: list[PaperRow], topic: str, quantity: str, unit: str) -> PaperRow:
    near = [row for row in rows if row.topic.startswith(topic) and row.unit == unit]
    (row,) = [row for row in near if row.quantity.startswith(quantity)]
    return row


FLOPS = "FourierFT's FLOPs over CDVFT's,"
NOTHING = "nothing to compare"


@pytest.mark.parametrize(
    ("place", "recomputed", "verdict"),  # the place is a topic, a quantity and its unit
    [
        (("RoBERTa-base", "LoRA's parameters over CDVFT's", "times"), 294_912 / 55_296, "equal"),
        (("RoBERTa-base", "CDVFT, m", "parameters"), 55_296, NOTHING),
        (("RoBERTa-base", "FourierFT, n", "parameters"), 24_000, NOTHING),
        (("RoBERTa-base", f"{FLOPS} in the style", "times"), 51.81, "equal"),
        (("RoBERTa-base", f"{FLOPS} with real FFTs' constants, 256", "times"), 34.39, "different"),
        (("RoBERTa-base", f"{FLOPS} with real FFTs' constants, very", "times"), 29.02, "different"),
        (("LLaMA-2-7B", "CDVFT, p = 4096", "parameters"), 64 * 3 * 4096, NOTHING),
        (("LLaMA-2-7B", "CDVFT, p = 512", "parameters"), 64 * (2 * 4096 + 8 * 4096), NOTHING),
        (("Llama-3-8B", "CDVFT, m", "parameters"), 32 * (3 * 4096 + 4096 + 1024 + 4096), NOTHING),
        (("Llama-3-8B", "LoRA, r", "parameters"), 32 * 8 * (4096 + 4096 + 4096 + 1024), NOTHING),
        (("GLUE", "metric", ""), None, "not reproducible here"),
    ],
)
def test_figures_and_verdicts(rows, place, recomputed, verdict):
    row = _find(rows, *place)
    assert row.recomputed == (recomputed if recomputed is None else pytest.approx(recomputed, rel=1e-3))
    assert row.verdict == verdict
