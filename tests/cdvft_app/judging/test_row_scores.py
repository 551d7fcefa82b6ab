"""Metrics over some of a run's rows, whatever the form, the size and the offset of what it answered."""

from __future__ import annotations

import os

import numpy as np
import pytest
from scipy.stats import pearsonr

from cdvft_app.judging.judge import Contestant, Pair, Run, judge
from cdvft_app.judging.row_scores import of_folder, of_predictions, of_scores, of_wrong
from cdvft_app.metrics import METRICS
from cdvft_app.store import predictions
from cdvft_app.store.predictions import Predictions, WrittenRow

ROWS = np.arange(40)


def numbers(labels, outputs):
    return of_predictions(Predictions(ROWS[: len(labels)], labels, outputs[:, None]), "pearson")


def drawn(count=40):
    labels, noise = np.random.default_rng(3).random((2, count))
    return labels, labels + 0.5 * noise


def test_a_correlation_of_some_rows_is_that_of_the_library():
    """Of all rows the sums of x and y are 0; of some they are not."""
    labels, outputs = drawn()
    found, some = numbers(labels, outputs), ROWS % 3 == 0
    assert found.at(some).score == pytest.approx(pearsonr(outputs[some], labels[some]).statistic)
    kept = np.delete(ROWS, 5)
    left_out = 40 * found.score - 39 * pearsonr(outputs[kept], labels[kept]).statistic
    assert found.pseudo_values[5] == pytest.approx(left_out)


@pytest.mark.parametrize("metric", ["accuracy", "of earlier versions", "matthews", "pearson"])
def test_the_labels_of_some_rows_go_with_them(metric):
    """So that two runs whose data differ in one row agree on the others, and on all rows do not.

    A metric that is not known here is that of right and wrong.
    """
    labels, first = np.arange(6) % 2, np.arange(6) < 5
    outputs = np.eye(2)[[0, 1, 1, 0, 0, 1]]
    one, other, later = (
        of_predictions(Predictions(rows, own, outputs), metric)
        for rows, own in ((ROWS[:6], labels), (ROWS[:6], labels * first), (ROWS[1:7], labels))
    )
    assert one.same_rows(one) and not one.same_rows(other) and not one.same_rows(later)
    assert one.same_rows(of_wrong(6, [2, 3, 4])) == (metric not in ("matthews", "pearson")), "no labels known"
    assert one.at(first).same_rows(other.at(first))
    assert not one.at(~first).same_rows(other.at(~first))


def test_rows_and_labels_come_with_scores():
    rows, labels = np.array([3, 5], dtype=np.int32), np.array([1, 0])
    found = of_scores([True, False], rows, labels)
    assert (found.rows.tolist(), found.labels.tolist(), found.score) == ([3, 5], [1, 0], 0.5)
    assert (found.rows.dtype, found.terms.dtype) == (np.int64, np.float64), "numbers to reckon with"
    assert (of_scores([0.25, 1]).rows.tolist(), of_scores([0.25, 1]).right_or_wrong) == ([0, 1], False)
    assert of_wrong(4, [1, 3]).terms[:, 0].tolist() == [1, 0, 1, 0]
    assert of_wrong(4, []).score == 1
    assert of_predictions(Predictions(ROWS[:2], ROWS[:2], np.eye(2)), "matthews").terms.dtype == np.float64


def test_written_answers_have_the_rows_and_what_was_expected(tmp_path):
    """A metric that is not known any more is the mean of the scores that were kept."""
    metrics = ("exact_match", "chrf", "of earlier versions")
    rows = [
        WrittenRow(row=row, prompt="", expected=right, written=text, scores=dict.fromkeys(metrics, score))
        for row, right, text, score in ((3, "a", "a", 1.0), (5, "b", "z", 0.0))
    ]
    predictions.write_answers(tmp_path, rows)
    for metric in metrics:
        found = of_folder(tmp_path, metric)
        assert (found.rows.tolist(), found.labels.tolist()) == ([3, 5], ["a", "b"])
        assert metric == "chrf" or found.terms.tolist() == [[1.0], [0.0]]
    assert of_folder(tmp_path, "rouge") is None, "of which no row has a score"


def test_a_verdict_on_chrf_is_about_the_chrf_of_all_rows(tmp_path):
    """By the mean of the rows the run with two short answers right is ahead, (1 + 1 + 0) / 3 to 1 / 3.

    Of all rows' n-grams it has 2 of 10 letters right and nothing longer: P = R = 0.2 / 6 = 1 / 30. The other
    has 8 of 10 and all that is longer: (0.8 + 5) / 6 = 29 / 30.
    """
    expected, sides = ["a", "b", "cdefghij"], []
    for name, written, score in (
        ("short", ["a", "b", "zzzzzzzz"], 1 / 30),
        ("long", ["z", "z", "cdefghij"], 29 / 30),
    ):
        shown = METRICS["chrf"].compute(written, expected, None)
        of_rows = [float(one == other) for one, other in zip(written, expected, strict=True)]
        (folder := tmp_path / name).mkdir()
        rows = [
            WrittenRow(row=row, prompt="", expected=right, written=text, scores={"chrf": own})
            for row, (right, text, own) in enumerate(zip(expected, written, of_rows, strict=True))
        ]
        predictions.write_answers(folder, rows)
        answers = of_folder(folder, "chrf")
        assert answers.score == pytest.approx(shown) == pytest.approx(score)
        sides.append(Contestant(name, (Run(0, shown, 3, answers),)))
    (found,) = judge([Pair(sides[:1], sides[1:])], "chrf")
    assert (found.size, found.paired) == (pytest.approx(-28 / 30), True)


def test_answers_are_read_from_a_folder_anew_when_they_change(tmp_path):
    assert of_folder(tmp_path, "accuracy") is None
    labels = np.array([0, 1, 0, 1])
    for when, answers, accuracy, matthews in (
        (1, [0, 1, 0, 1], 1, 1),
        (2, [0, 1, 1, 1], 0.75, 1 / np.sqrt(3)),
    ):
        predictions.write(tmp_path, np.arange(4), labels, np.eye(2)[answers])
        os.utime(tmp_path / predictions.FILE, ns=(when, when))
        assert of_folder(tmp_path, "accuracy").score == accuracy
        assert of_folder(tmp_path, "matthews").score == pytest.approx(matthews)
