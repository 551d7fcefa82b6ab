"""Metrics over some of a run's rows, whatever the form, the size and the offset of what it answered."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import pearsonr

from cdvft_app.judging.judge import Contestant, Pair, Run, judge
from cdvft_app.judging.row_scores import of_folder, of_predictions
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
