"""What a metric is called, how it is written and computed; the scripts of the page know the same shares."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from sacrebleu import corpus_chrf, sentence_chrf
from scipy.stats import pearsonr
from sklearn.metrics import matthews_corrcoef

from cdvft_app.metrics import METRICS, get_metric, measure_each_text, measure_texts
from cdvft_app.metrics.accuracy import commonest_class

RANDOM = np.random.default_rng(0)
LOGITS, LABELS = RANDOM.normal(size=(50, 2)), RANDOM.integers(0, 2, 50)
OUTPUTS, SCORES = RANDOM.normal(size=(50, 1)), RANDOM.normal(size=50).astype(np.float32)


@dataclass(frozen=True)
class Answers:
    """The format of a dataset's answers."""

    metric: str
    fields: tuple[str, ...] = ()
    answer_mark: str = ""


@pytest.mark.parametrize(
    ("metric", "logits", "labels", "expected"),
    [
        ("accuracy", LOGITS, LABELS, (LOGITS.argmax(1) == LABELS).mean()),
        ("matthews", LOGITS, LABELS, matthews_corrcoef(LABELS, LOGITS.argmax(1))),
        ("matthews", np.array([[1.0, 0.0]] * 4), np.array([0, 1, 0, 1]), 0.0),
        ("pearson", OUTPUTS, SCORES, pearsonr(OUTPUTS[:, 0], SCORES).statistic),
        ("pearson", np.ones((4, 1)), SCORES[:4], 0.0),
        ("pearson", OUTPUTS[:4], np.ones(4), 0.0),
    ],
)
def test_metrics_equal_sklearn(metric, logits, labels, expected):
    found = METRICS[metric]
    assert found.compute(logits, labels) == pytest.approx(expected, abs=1e-6)
    terms = found.row_terms(logits, labels)
    assert len(terms) == len(labels) and terms.dtype == np.float64
    assert found.statistic(terms.sum(0), np.array(len(labels))) == pytest.approx(expected, abs=1e-6)


def test_metrics_format_scores():
    accuracy, pearson = get_metric("accuracy"), get_metric("pearson")
    assert (accuracy.format(0.797), pearson.format(0.8124)) == ("79.7\u00a0%", "0.812")
    assert (accuracy.format_difference(-0.016), pearson.format_difference(-0.016)) == ("−1.6", "−0.016")
    assert (accuracy.format_difference(-0.0004), accuracy.format_difference(0.012)) == ("0.0", "1.2")
    assert (accuracy.format_distance(-0.01), pearson.format_distance(-0.016)) == ("1.0 point", "0.016")


def test_exact_match_reads_after_the_mark():
    solved = Answers("exact_match", answer_mark="####")
    said, wanted = ["3 + 4 #### 7.", "#### 8", "7"], ["so #### 7", "#### 7", "#### 7"]
    assert measure_texts(said, wanted, solved) == {"exact_match": pytest.approx(2 / 3)}


def test_field_f1_counts_rows_and_pairs():
    address = Answers("exact_match", fields=("city", "zip"))
    said, wanted = ["city: Rome\nzip: 1", "zip: 5"], ["city: Rome\nzip: 2", "city: Oslo\nzip: 5"]
    # Shared pairs 1 and 1, of 4 and 3: 2 (1 + 1) / (4 + 3), and 2 / 4 and 2 / 3 by themselves.
    assert measure_texts(said, wanted, address) == {"exact_match": 0.0, "field_f1": pytest.approx(4 / 7)}
    by_row = [row["field_f1"] for row in measure_each_text(said, wanted, address)]
    assert by_row == pytest.approx([0.5, 2 / 3])
    assert measure_texts([""], [""], address)["field_f1"] == 0.0, "nothing and nothing share no pair"


def test_chrf_equals_sacrebleu():
    """None, one and more letters than n-grams have; some that are repeated, and spaces of all kinds."""
    said = ["", "a", "aab aab", "no\u2003word of it", "three", "as it is written", "no one asked"]
    wanted = ["a", "ab", "aa baab", "as it is written", "thr", "as it\nis written", ""]
    chrf = METRICS["chrf"]
    terms = chrf.row_terms(said, wanted, [0.0] * 7)
    for some in (slice(None), slice(2), slice(2, 5), slice(1)):
        sums, expected = terms[some].sum(0), corpus_chrf(said[some], [wanted[some]]).score / 100
        assert chrf.statistic(sums, np.array(7)) == pytest.approx(expected)
    by_row = [sentence_chrf(one, [other]).score / 100 for one, other in zip(said, wanted, strict=True)]
    assert chrf.statistic(terms, np.ones(7)) == pytest.approx(by_row)
    assert chrf.row_terms([], [], []).shape == (0, 18)


def test_majority_baseline_uses_training_rows():
    found = commonest_class(["bad", "good", "fair"], [3, 5, 5], [6, 2, 0])
    assert found is not None
    assert (found.label, found.share, found.train_rows, found.evaluation_rows) == ("good", 0.25, 13, 8)
    assert "right for 25.0 % of the 8 rows to evaluate on" in found.sentence
    assert commonest_class([], [], []) is commonest_class(["bad"], [3], [0]) is None
