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


def test_the_table_is_of_the_record() -> None:
    assert (counts.RESULTS / "operators.md").read_text() == counts.markdown(RECORD)
    frozen = {one["base"] for one in RECORD["layers"].values()}
    assert frozen == {2}, "a product forward and one backward"


def test_a_wider_circulant_or_blocks_take_no_more() -> None:
    found = {title: one["cdvft, transforms"] for title, one in RECORD["layers"].items()}
    assert found["768"] == found["4096"] == found["768 -> 3072"]
