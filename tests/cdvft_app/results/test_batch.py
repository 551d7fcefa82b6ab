"""Batch prediction: columns, parts that continue, scores with intervals, and output files."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import made
import numpy as np
import openpyxl
import pyarrow.parquet as pq
import pytest
from scipy import stats

from cdvft_app.data.answered_file import read_unlabelled
from cdvft_app.data.source import LIMITS
from cdvft_app.results import batch
from cdvft_app.results.batch import REASONS, BatchJob, Columns, columns_for, score_of
from cdvft_app.results.finished_run import ResultsError
from cdvft_app.results.predictor import Predictor

ROWS = [
    ("a good film", "positive"),
    ("the awful plot", "negative"),
    ("", "positive"),
    ("fine", "odd"),
    ("bad", "0"),
]


@pytest.fixture
def job(runs, tmp_path):
    """`job(text, kind)`: the job of a run on a CSV with that text."""

    def make(text: str, kind: str = "text", method: str = "cdvft", name: str = "new.csv") -> BatchJob:
        run, rows = runs(kind, method), tmp_path / "rows"
        rows.mkdir(exist_ok=True)
        table = read_unlabelled(made.written(tmp_path, text, name), rows, LIMITS)
        columns = columns_for(run, table.columns, table.kind)
        return BatchJob(run, rows, table.sha256, columns, tmp_path / "parts")

    return make


def reviews(rows=ROWS) -> str:
    return "text,label\n" + "".join(f"{text},{label}\n" for text, label in rows)


def finished(job: BatchJob) -> Predictor:
    predictor = Predictor.load([job.run])
    *_, done = job.predict(predictor)
    assert done == job.report(predictor.task.labels).rows
    return predictor


def test_predictions_match_the_predictor(job):
    of_file = job(reviews())
    predictor = finished(of_file)
    texts = [text for text, _ in ROWS if text]
    expected = iter(predictor.predict(of_file.run.record.id, texts))
    for (text, _), row in zip(ROWS, of_file.predictions(), strict=True):
        wanted = next(expected) if text else None
        assert row["prediction"] == (wanted and wanted.label)
        if wanted:
            assert row["confidence"] == pytest.approx(max(wanted.probabilities), abs=1e-3)


def test_report_counts_scored_and_skipped_rows(job):
    of_file = job(reviews())
    report = of_file.report(finished(of_file).task.labels)
    rows = list(of_file.predictions())
    known = [
        (row["prediction"], label)
        for row, (_, label) in zip(rows, ROWS, strict=True)
        if row["correct"] is not None
    ]
    named = {"0": of_file.run.labels[0]}
    correct = [prediction == named.get(label, label) for prediction, label in known]
    assert (report.rows, report.predicted, report.score.rows) == (5, 4, 3)
    assert report.score.incorrect == correct.count(False)
    assert [(one.row, one.reason) for one in report.skipped] == [
        ("4", REASONS["empty"]), ("5", REASONS["label"].format(label="odd")),
    ]  # fmt: skip
    assert [str(one) in report.sentences for one in report.skipped] == [True, True]


def test_stopped_job_continues_with_the_missing_rows(job, monkeypatch):
    of_file = job(reviews(ROWS * 5))
    monkeypatch.setitem(batch.CHUNK, "text", 4)
    predictor = Predictor.load([of_file.run])
    asked = iter([False, False, True])
    assert [*of_file.predict(predictor, lambda: next(asked))] == [0, 4, 8]
    assert [*of_file.predict(predictor)][:2] == [8, 12]
    continued = of_file.predictions()
    of_file.remove()
    first, *_ = of_file.predict(predictor)
    assert first == 0
    assert of_file.predictions() == continued and len(continued) == 25
    other = BatchJob(of_file.run, of_file.rows, "another file", of_file.columns, of_file.parts)
    assert next(other.predict(predictor)) == 0


@pytest.mark.parametrize(
    ("names", "chosen", "expected"),
    [
        (("text", "label", "n"), {}, (("text",), "label")),
        (("n", " Text ", "LABEL"), {}, ((" Text ",), "LABEL")),
        (("only",), {}, (("only",), None)),
        (("a", "b"), {"inputs": ["b"]}, (("b",), None)),
        (("a", "b"), {"inputs": ["b"], "label": "a"}, (("b",), "a")),
        (("a", "b"), {}, "text"),
        (("a", "b"), {"inputs": ["c"]}, "c"),
        (("a", "b"), {"inputs": ["a", "b"]}, "2"),
    ],
)
def test_columns_are_found_or_named(runs, names, chosen, expected):
    run = runs("text", "cdvft")
    if isinstance(expected, str):
        with pytest.raises(ResultsError, match=expected):
            columns_for(run, names, "text", **chosen)
    else:
        assert columns_for(run, names, "text", **chosen) == Columns(*expected)


def test_columns_reject_the_other_kind(runs):
    for kind, given in (("text", "image"), ("image", "text")):
        with pytest.raises(ResultsError):
            columns_for(runs(kind, "cdvft"), ("text", "image"), given)


def test_accuracy_interval_is_that_of_a_mean():
    values, expected = ["a"] * 8 + ["b"] * 4, ["a"] * 6 + ["b"] * 6
    correct = [one == other for one, other in zip(values, expected, strict=True)]
    score = score_of("accuracy", ["a", "b"], values, expected, correct)
    low, high = stats.t.interval(0.95, 11, np.mean(correct), stats.sem(correct))
    assert (score.value, score.incorrect) == (pytest.approx(10 / 12), 2)
    assert score.interval == (pytest.approx(low), pytest.approx(min(high, 1)))


def test_regression_score_has_correlation_and_error():
    values, expected = [1.0, 2.5, 2.0, 4.0], [1.0, 2.0, 3.0, 4.0]
    score = score_of("pearson", (), values, expected, [0.0] * 4)
    errors = np.abs(np.subtract(values, expected))
    assert score.value == pytest.approx(stats.pearsonr(values, expected)[0])
    assert score.error == pytest.approx(errors.mean())
    assert score.error_interval[1] == pytest.approx(
        stats.t.interval(0.95, 3, errors.mean(), stats.sem(errors))[1]
    )


@pytest.mark.parametrize(("key", "labels"), [("accuracy", ["a"]), ("exact_match", ())])
def test_perfect_score_has_an_interval_below_one(key, labels):
    score = score_of(key, labels, ["a"] * 10, ["a"] * 10, [True] * 10)
    assert score.value == 1 and 0.5 < score.interval[0] < 1 and score.interval[1] == 1


def test_single_and_missing_rows_have_no_interval():
    assert score_of("accuracy", ["a"], ["a"], ["a"], [True]).interval is None
    assert score_of("accuracy", ["a"], [], [], []) is None


def written(of_file: BatchJob, out: Path) -> list[list]:
    of_file.write(out)
    if out.suffix == ".parquet":
        table = pq.read_table(out)
        return [table.column_names, *map(list, zip(*(one.to_pylist() for one in table.columns), strict=True))]
    if out.suffix == ".xlsx":
        return [list(row) for row in openpyxl.load_workbook(out).active.iter_rows(values_only=True)]
    if out.suffix == ".jsonl":
        rows = [json.loads(line) for line in out.open()]
        return [list(rows[0]), *(list(row.values()) for row in rows)]
    return [*csv.reader(out.open(), delimiter="\t" if out.suffix == ".tsv" else ",")]


@pytest.mark.parametrize("ending", batch.WRITERS)
def test_output_has_all_columns_and_predictions(job, tmp_path, ending):
    of_file = job("text,label,answer\n=1+1,positive,x\n,negative,y\n")
    finished(of_file)
    head, first, second = written(of_file, tmp_path / f"out{ending}")
    assert head == ["text", "label", "answer", "prediction", "confidence", "correct"]
    assert first[:3] == ["=1+1", "positive", "x"] and first[3] in of_file.run.labels
    assert second[3] in (None, "")
    if ending == ".xlsx":
        assert openpyxl.load_workbook(tmp_path / "out.xlsx").active["A2"].data_type == "s"


def test_csv_escapes_formulas_if_requested(job, tmp_path):
    of_file = job("text,n\n=1+1,-5\n@x,+b\n")
    finished(of_file)
    of_file.write(tmp_path / "out.csv", ";", True)
    rows = [*csv.reader((tmp_path / "out.csv").open(), delimiter=";")]
    assert [row[:2] for row in rows[1:]] == [["'=1+1", "-5"], ["'@x", "'+b"]]


def test_added_columns_never_replace_others(job):
    of_file = job("text,Prediction,correct,label\ngood,a,b,positive\n")
    assert list(of_file.added.values()) == ["prediction 2", "confidence", "correct 2"]


def test_write_rejects_unknown_formats(job, tmp_path):
    with pytest.raises(ResultsError, match="csv"):
        job(reviews()).write(tmp_path / "out.docx")


def test_prompts_that_are_too_long_are_skipped(job):
    lines = "".join(json.dumps({"text": text}) + "\n" for text in ("go 1", " ", "long " * 300))
    of_file = job(lines, "answer", name="new.jsonl")
    report = of_file.report(finished(of_file).task.labels)
    limit = of_file.run.plan.settings.max_length
    assert (report.rows, report.predicted) == (3, 1)
    assert [one.reason for one in report.skipped] == [
        REASONS["empty"],
        REASONS["too_long"].format(limit=limit),
    ]
