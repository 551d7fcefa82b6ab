"""What a metric is called, how it is written and computed; the scripts of the page know the same shares."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest

from cdvft_app import ASSETS
from cdvft_app.metrics import METRICS, get_metric, measure_each_text, measure_texts


@dataclass(frozen=True)
class Answers:
    """The format of a dataset's answers."""

    metric: str
    fields: tuple[str, ...] = ()
    answer_mark: str = ""


def test_the_page_writes_the_same_metrics_as_per_cent():
    source = (ASSETS / "js" / "shared" / "constants.js").read_text()
    line = next(one for one in source.splitlines() if "const SHARES" in one)
    assert set(re.findall(r'"(\w+)"', line)) == {"accuracy", "exact_match"}
    assert {key for key, metric in METRICS.items() if metric.percent} == {"accuracy", "exact_match"}


def test_a_metric_from_elsewhere_is_a_number_with_its_own_name_and_no_error():
    rouge = get_metric("rouge")
    assert (rouge.title, rouge.format(0.5), rouge.standard_error(0.5, 100)) == ("rouge", "0.500", None)


def test_an_answer_that_is_one_text_is_right_by_what_follows_the_mark():
    solved = Answers("exact_match", answer_mark="####")
    said, wanted = ["3 + 4 #### 7.", "#### 8", "7"], ["#### 7", "#### 7", "#### 7"]
    assert measure_texts(said, wanted, solved) == {"exact_match": pytest.approx(2 / 3)}


def test_fields_are_counted_over_all_rows_and_by_row():
    address = Answers("exact_match", fields=("city", "zip"))
    said, wanted = ["city: Rome\nzip: 1", "zip: 5"], ["city: Rome\nzip: 2", "city: Oslo\nzip: 5"]
    # Shared pairs 1 and 1, of 4 and 3: 2 (1 + 1) / (4 + 3), and 2 / 4 and 2 / 3 by themselves.
    assert measure_texts(said, wanted, address) == {"exact_match": 0.0, "field_f1": pytest.approx(4 / 7)}
    assert [row["field_f1"] for row in measure_each_text(said, wanted, address)] == [
        0.5,
        pytest.approx(2 / 3),
    ]


def test_free_text_has_chrf_beside_exact_match():
    assert measure_texts(["a cat"], ["a cat"], Answers("chrf")) == {"exact_match": 1.0, "chrf": 1.0}
