"""The record of operators is what is counted now; launches of the fused kernels are among them."""

from __future__ import annotations

import json
import platform

import pytest

from benchmarks import operators as counts

RECORD = json.loads((counts.RESULTS / "operators.json").read_text())

pytestmark = [
    pytest.mark.skipif(platform.system() != "Linux", reason="needs Linux: Triton comes for it alone"),
    pytest.mark.usefixtures("operators"),  # kernels are interpreted or not from their first import on
]


@pytest.mark.parametrize("case", [case for case in counts.CASES if case.d_in == 768], ids=lambda c: c.title)
def test_the_record_is_what_is_counted_now(case: counts.Case) -> None:
    assert counts.counted(case) == RECORD["layers"][case.title]


def test_the_record_of_query_key_and_value_is_what_is_counted_now() -> None:
    found = counts.counted_together(768)
    assert found == RECORD["query, key and value"]["768"]
    assert found["base"] == 8, "two products a layer, and two sums of the gradient by their input"
    assert found["cdvft, together"] - found["base"] == 5, "one sum serves all, and saves autograd's two"
    assert found["cdvft, each by itself"] == 3 * RECORD["layers"]["768"]["cdvft, transforms"] + 2


def test_the_table_is_of_the_record() -> None:
    assert (counts.RESULTS / "operators.md").read_text() == counts.markdown(RECORD)
    frozen = {one["base"] for one in RECORD["layers"].values()}
    assert frozen == {2}, "a product forward and one backward"


def test_a_wider_circulant_or_blocks_take_few_more() -> None:
    found = {title: one["cdvft, transforms"] for title, one in RECORD["layers"].items()}
    assert found["768"] < min(found["4096"], found["768 -> 3072"]) < found["768"] + 8
