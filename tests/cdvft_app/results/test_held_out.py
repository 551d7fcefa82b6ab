"""Held-out rows: their scores by hand and by scikit-learn, which of them are shown, and in which order."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from cdvft_app.catalog.dataset_readers import Rows, Split
from cdvft_app.results import answering, held_out
from cdvft_app.results.answering import Questions
from cdvft_app.results.finished_run import FinishedRun, ResultsError
from cdvft_app.results.held_out import chosen, class_scores, confusion, errors, example, table_rows
from cdvft_app.store.predictions import Predictions
from cdvft_app.ui.use import held_out_tables


def answered(labels, outputs):
    return Predictions(np.arange(len(labels)), np.array(labels), np.array(outputs, dtype=np.float32))


#                   sure and wrong, sure and right, unsure and right, unsure and wrong
FIRST = answered([0, 0, 1, 1], [[0.1, 0.9], [0.8, 0.2], [0.45, 0.55], [0.6, 0.4]])
SECOND = answered([0, 0, 1, 1], [[0.7, 0.3], [0.8, 0.2], [0.9, 0.1], [0.6, 0.4]])


@pytest.mark.parametrize(
    ("show", "label", "rows"),
    [
        ("mistakes", None, [0, 3]),
        ("mistakes", 1, [3]),
        ("disagree", None, [0, 2]),
        ("right", None, [1, 2]),
        ("all", None, [0, 1, 2, 3]),
        ("all", 0, [0, 1]),
    ],
)
def test_rows_are_ordered_by_confidence(show, label, rows):
    assert chosen(show, FIRST, SECOND, label).tolist() == rows


@pytest.mark.parametrize(
    ("show", "rows"),
    [("mistakes", [1, 2, 0]), ("right", [0, 2, 1]), ("disagree", [2, 0, 1]), ("all", [0, 1, 2])],
)
def test_numbers_are_ordered_by_error(show, rows):
    first = answered([1.0, 2.0, 3.0], [[1.1], [5.0], [2.0]])
    second = answered([1.0, 2.0, 3.0], [[1.5], [5.1], [9.0]])
    assert chosen(show, first, second).tolist() == rows


def test_class_scores_match_scikit_learn():
    draw = np.random.default_rng(0)
    labels, outputs = draw.integers(0, 4, 200), draw.random((200, 5))  # a class that never comes
    counted = confusion(answered(labels, outputs))
    assert counted.tolist() == confusion_matrix(labels, outputs.argmax(1), labels=range(5)).tolist()
    expected = precision_recall_fscore_support(labels, outputs.argmax(1), labels=range(5), zero_division=0)
    found = class_scores(counted)
    for place, name in enumerate(("precision", "recall", "f1", "rows")):
        assert [getattr(one, name) or 0 for one in found] == pytest.approx(list(expected[place]))
    assert found[4].recall is None and found[4].rows == 0


def test_errors_of_a_regression():
    found = errors(answered([1.0, 2.0], [[0.0], [5.0]]))
    assert (found.mean_absolute, found.mean) == (2.0, 1.0)
    assert found.root_mean_square == pytest.approx(5**0.5)


def test_table_rows_show_inputs():
    labels = np.array([0, 0, 1, 1])
    texts = Split(["x" * 700, "b", "c", "d"], labels)
    first, second = table_rows(texts, [FIRST, SECOND], np.array([0, 3]))
    assert first["given"] == "x" * 600 + "…"
    assert second == {
        "row": 3,
        "given": "d",
        "image": None,
        "label": 1,
        "answers": [{"class": 0, "sure": pytest.approx(0.6)}] * 2,
    }
    picture = Split([Image.new("L", (8, 8))] * 4, labels)
    (row,) = table_rows(picture, [FIRST], np.array([1]))
    assert row["given"] is None and row["image"].startswith("data:image/png;base64,")
    (pair,) = table_rows(Split([("a", "b")] * 4, labels), [FIRST], np.array([1]))
    assert pair["given"] == ["a", "b"]


def test_example_is_an_input():
    labels = np.array([0, 1])
    nothing = {"text": None, "second": None, "image": None}
    said = example(Split(["a" * 700, "b"], labels), ("bad", "good"), 0)
    assert said == nothing | {"row": 1, "label": "bad", "text": "a" * 700}
    said = example(Split([("a", "b")] * 2, labels), ("no", "yes"), 1)
    assert said == nothing | {"row": 2, "label": "yes", "text": "a", "second": "b"}
    assert example(Split(["a"], np.array([2.5])), (), 0)["label"] == "2.5"
    drawn = np.arange(64, dtype=np.uint8).reshape(8, 8)
    said = example(Split([drawn] * 2, labels), ("0", "1"), 1)
    assert np.array_equal(np.array(Image.open(io.BytesIO(said.pop("image")))), drawn)
    assert said == {"row": 2, "label": "1", "text": None, "second": None}


def test_table_rows_reject_changed_data():
    with pytest.raises(ResultsError, match=held_out.DATA_CHANGED):
        table_rows(Split(["a"] * 4, np.array([1, 0, 1, 1])), [FIRST], np.array([0]))
    with pytest.raises(ResultsError, match=held_out.DATA_CHANGED):
        table_rows(Split(["a"], np.array([0])), [FIRST], np.array([0]))


def test_validation_rows_are_not_the_evaluation_rows(text_plan, store, monkeypatch):
    def run_on(which):
        plan = text_plan()
        settings = plan.settings.model_copy(update={"evaluate_on": which})
        return FinishedRun(None, dataclasses.replace(plan, settings=settings), Path())

    def of(which):
        return Rows(Split([], np.array([])), Split([which], np.array([0])), ("negative", "positive"), None)

    monkeypatch.setattr(answering, "find", lambda store, run_id: run_on(run_id))
    monkeypatch.setattr(
        held_out, "load_rows", lambda entry, validation, **_: of("validation" if validation else "evaluation")
    )
    asked = Questions(store)
    for which in ("validation", "evaluation", "validation"):
        assert asked.example(which)["text"] == which


def test_scatter_axes_are_rounded():
    numbers = answered([400.5, 1253.84], [[-94.1172], [1100.0]])
    _, plot = held_out_tables.of_numbers([("CDVFT", "cdvft", numbers)])
    assert str(plot["quiet"]).count("from −94.1 to 1,254") == 1
    assert "from −94.1 to 1,254" in plot["scatter"]["about"]
