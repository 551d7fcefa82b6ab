"""Batch prediction: the rows of a file, with predictions as added columns.

Rows were read once, into an Arrow file (`data`). They are predicted in chunks, each written as an Arrow file
into a folder of parts, so that what was stopped continues at the first missing chunk. The output is these
parts, one after the other.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import math
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cdvft_app.catalog import cleaning
from cdvft_app.catalog.conversations import joined
from cdvft_app.catalog.uploaded import IMAGE, ROW
from cdvft_app.data.answered_file import rows_of
from cdvft_app.data.text_file import SEPARATORS, escaped_formula
from cdvft_app.format import counted
from cdvft_app.metrics import LabelledMetric, TextMetric, get_metric, measure_each_text, metric_title
from cdvft_app.results.finished_run import FinishedRun, ResultsError
from cdvft_app.results.inputs import takes_pairs

if TYPE_CHECKING:
    import pyarrow as pa

    from cdvft_app.results.predictor import Predictor
    from cdvft_app.tasks.base import Prediction, Task

CHUNK: dict[str, int] = {"text": 256, "image": 128, "generation": 16}
"""Rows that are sorted by length and predicted together, by kind."""
MAX_SHOWN, MAX_SKIPPED = 20, 1000  # rows that a report names
FILE = "file"
"""The output's column with the names of images."""
EXPECTED, REASON = "__expected__", "__reason__"
"""Columns of the parts that are not in the output: the row's label, and why it is skipped."""
REASONS = {
    "empty": "The input is empty.",
    "too_long": "The input has more than {limit:,} tokens.",
    "invalid": "{error}",
    "label": "Not scored: the run does not know the label “{label}”.",
    "number": "Not scored: the label “{label}” is not a number.",
}
NO_COLUMN = "There is no column “{name}”. Columns: {names}."
WRONG_KIND = "{label} was trained on {trained}, and this file has {given}."
WRONG_COUNT = "{label} reads {wanted}, and {given} were chosen."
MISSING_COLUMN = (
    "{label} was trained on the column {missing}, which the file lacks. Columns: {names}. Name the "
)
MISSING_COLUMN += "column to read with --text, twice for a pair."
SCORE = "{metric} {value} on {rows} with a label"
INCORRECT, ERROR = "; {count:,} incorrect", "; mean absolute error {error}"
SEEN = " The run was trained on rows of this file, so expect lower scores on new rows."
PREDICTED = "{predicted:,} of {rows} predicted."
MORE_SKIPPED = "{count:,} more rows were skipped."
NO_FORMAT = "“{name}” has no known format. Use one of {endings}."
TOO_MANY_ROWS = "An .xlsx sheet has at most {most:,} rows. Use .csv or .parquet."
MAX_SHEET_ROWS, MAX_CELL = 1_048_575, 32_767
NO_SCORE = "No score: “{column}” has no label that the run knows."


@dataclass(frozen=True)
class Columns:
    """The columns of a file that are read, and the column of labels if there is one."""

    inputs: tuple[str, ...]
    label: str | None


def columns_for(
    run: FinishedRun,
    names: Sequence[str],
    kind: Literal["text", "image"],
    *,
    inputs: Sequence[str] = (),
    label: str | None = None,
) -> Columns:
    """Return the columns to read: the chosen ones, or those that are called like the training data's.

    Raises:
        ResultsError: A column is missing, or the file has the wrong kind of rows.
    """
    dataset, run_kind = run.plan.dataset, run.plan.model.kind
    if (run_kind == "image") != (kind == "image"):
        given, trained = ("texts", "images") if run_kind == "image" else ("images", "texts")
        raise ResultsError(WRONG_KIND.format(label=run.label, trained=trained, given=given))
    listed = ", ".join(f"“{name}”" for name in names[:30])
    for name in (*inputs, *([label] if label else [])):
        if name not in names:
            raise ResultsError(NO_COLUMN.format(name=name[:80], names=listed))
    uploaded = dataset.uploaded
    trained_on = uploaded.inputs if uploaded else dataset.text_columns
    label = label or _find(names, (uploaded.label if uploaded else dataset.label_column) or "label")
    if run_kind == "image":
        return Columns((IMAGE,), label)
    count = len(trained_on) or 1
    if inputs:
        if len(inputs) != count and (run_kind != "generation" or takes_pairs(run)):
            wanted = counted(count, "column")
            raise ResultsError(WRONG_COUNT.format(label=run.label, wanted=wanted, given=len(inputs)))
        return Columns(tuple(inputs), None if label in inputs else label)
    found = [_find(names, name) for name in trained_on]
    if trained_on and all(found):
        return Columns(tuple(name for name in found if name), label)
    if count == 1 and len(names) == 1:
        return Columns((names[0],), None)
    missing = [name for name, one in zip(trained_on, found, strict=True) if not one] or ["text"]
    quoted = " and ".join(f"“{name}”" for name in missing)
    raise ResultsError(MISSING_COLUMN.format(label=run.label, missing=quoted, names=listed))


def _find(names: Sequence[str], wanted: str) -> str | None:
    """Return the column with this name; letter case and spaces around it are ignored."""
    if wanted in names:
        return wanted
    return next((name for name in names if name.strip().casefold() == wanted.strip().casefold()), None)


# Scores


Interval = tuple[float, float]


@dataclass(frozen=True)
class Score:
    """The run's metric on the rows with a label, with a 95% interval.

    Attributes:
        incorrect: Incorrect rows, if rows are correct or not.
        error: The mean absolute error of numbers.
        seen: Whether the run was trained on rows of this file.
    """

    metric: str
    value: float
    interval: Interval | None
    rows: int
    incorrect: int | None = None
    error: float | None = None
    error_interval: Interval | None = None
    seen: bool = False

    @property
    def sentence(self) -> str:
        form, rows = get_metric(self.metric).format, counted(self.rows, "row")
        text = SCORE.format(
            metric=metric_title(self.metric), value=_with_interval(form, self.value, self.interval), rows=rows
        )
        if self.error is not None:
            text += ERROR.format(error=_with_interval(in_digits, self.error, self.error_interval))
        if self.incorrect is not None:
            text += INCORRECT.format(count=self.incorrect)
        return f"{text}.{SEEN if self.seen else ''}"


def _with_interval(form: Callable[[float], str], value: float, interval: Interval | None) -> str:
    return f"{form(value)} (95% CI {form(interval[0])} to {form(interval[1])})" if interval else form(value)


def in_digits(number: float) -> str:
    """Return the number with three digits or more: 0.0123, 12.3, 1,234."""
    decimals = 2 - math.floor(math.log10(abs(number))) if number else 0
    return f"{number:,.{max(0, decimals)}f}"


def score_of(
    key: str, labels: Sequence[str], values: Sequence[Any], expected: Sequence[Any], checks: Sequence[Any]
) -> Score | None:
    """Return the metric of predictions with a label each, or None without any.

    The interval is that of the jackknife: with the metric g(S, N) of the sums S of the rows' terms t, row n
    has the pseudovalue N g(S, N) - (N - 1) g(S - t_n, N - 1), and their mean has Student's t interval.
    Source: J. W. Tukey, Annals of Mathematical Statistics 29 (1958), 614.
    """
    import numpy as np

    count, metric = len(values), get_metric(key)
    if not count:
        return None
    error = error_interval = incorrect = None
    if isinstance(metric, TextMetric):
        terms = metric.row_terms([*map(str, values)], [*map(str, expected)], [*map(float, checks)])
        incorrect = int(sum(one != 1 for one in checks)) if metric.percent else None
    elif metric.regression:
        assert isinstance(metric, LabelledMetric)
        predicted, right = np.array(values, np.float64), np.array(expected, np.float64)
        terms, errors = metric.row_terms(predicted[:, None], right), np.abs(predicted - right)
        error = float(errors.mean())
        if count > 1:
            error_interval = _around(
                error, float(errors.std(ddof=1)) / math.sqrt(count), count, (0, math.inf)
            )
    else:
        assert isinstance(metric, LabelledMetric)
        number = {name: place for place, name in enumerate(labels)}
        predicted, right = (np.array([number[str(one)] for one in side]) for side in (values, expected))
        terms = metric.row_terms(np.eye(len(labels))[predicted], right)
        incorrect = int((predicted != right).sum())
    sums, interval = terms.sum(0), None
    value = float(metric.statistic(sums, np.asarray(float(count))))
    if count > 1:
        others = metric.statistic(sums - terms, np.full(count, count - 1.0))
        deviation = float((count * value - (count - 1) * others).std(ddof=1))
        # Pseudovalues that do not vary say nothing: all rows are correct, or none.
        spread = deviation / math.sqrt(count) if deviation > 1e-9 else metric.standard_error(value, count)
        interval = None if spread is None else _around(value, spread, count, metric.range)
    return Score(key, value, interval, count, incorrect, error, error_interval)


def _around(mean: float, spread: float, rows: int, limits: Interval) -> Interval:
    from scipy.stats import t

    half = float(t.ppf(0.975, rows - 1)) * spread
    return max(mean - half, limits[0]), min(mean + half, limits[1])


# The rows of a file


@dataclass(frozen=True)
class Line:
    """What a report says of a row, by its number or its image's name."""

    row: str
    reason: str

    def __str__(self) -> str:
        return f"Row {self.row}: {self.reason}"


@dataclass(frozen=True)
class Report:
    """How many rows there are and have a prediction, and their score.

    Attributes:
        skipped: Rows that have no prediction, or have a label and are not scored; `skipped_count` counts all.
        label: The column of labels, if there is one.
    """

    rows: int
    predicted: int
    score: Score | None
    skipped: tuple[Line, ...]
    skipped_count: int
    label: str | None

    @property
    def sentences(self) -> list[str]:
        """What page and terminal say."""
        text = [PREDICTED.format(predicted=self.predicted, rows=counted(self.rows, "row"))]
        if self.score or self.label:
            text.append(self.score.sentence if self.score else NO_SCORE.format(column=self.label))
        shown = [*map(str, self.skipped[:MAX_SHOWN])]
        more = self.skipped_count - len(shown)
        return [*text, *shown, *([MORE_SKIPPED.format(count=more)] if more else [])]


class _Skip(Exception):
    """The row has no prediction, for a reason of `REASONS`."""

    def __init__(self, reason: str, **values: Any) -> None:
        super().__init__(REASONS[reason].format(**values))


@dataclass(frozen=True)
class BatchJob:
    """A run, rows that were read into a folder from the file with this SHA-256, and a folder for parts."""

    run: FinishedRun
    rows: Path
    sha256: str
    columns: Columns
    parts: Path

    @cached_property
    def added(self) -> dict[str, str]:
        """The names of the added columns by what they hold: value, confidence, check."""
        kind, metric = self.run.plan.model.kind, get_metric(self.run.plan.dataset.metric)
        names = {"value": "prediction"} | ({} if metric.regression else {"confidence": "confidence"})
        if self.columns.label:
            scored = kind == "generation" and not metric.percent
            names["check"] = "error" if metric.regression else metric.key if scored else "correct"
        return {field: _unused(list(self._kept), name) for field, name in names.items()}

    @cached_property
    def _kept(self) -> dict[str, str]:
        """The output's columns before the added ones, and the columns of the rows that they are."""
        names = next(rows_of(self.rows)).schema.names[1:]
        if self.run.plan.model.kind != "image":
            return {name: name for name in names}
        others = {name: name for name in names if name != IMAGE}
        return {_unused(list(others), FILE): ROW, **others}

    def predict(self, predictor: Predictor, stopped: Callable[[], bool] = lambda: False) -> Iterator[int]:
        """Predict the rows that have no prediction yet, until `stopped()`; yield how many have one."""
        from pyarrow import feather

        done = self._open()
        yield done
        size = CHUNK[self.run.plan.model.kind]
        for batch in rows_of(self.rows, done):
            for start in range(0, len(batch), size):
                if stopped():
                    return
                chunk = batch.slice(start, size)
                part = self.parts / f"{done:012d}.arrow"
                table = self._predicted(predictor, chunk)
                feather.write_feather(table, part.with_suffix(".new"), "uncompressed")
                part.with_suffix(".new").replace(part)
                done += len(chunk)
                yield done

    def remove(self) -> None:
        """Remove the parts."""
        shutil.rmtree(self.parts, ignore_errors=True)

    def _open(self) -> int:
        """Return how many rows the parts have; parts of another job are removed."""
        about = repr((self.run.record.id, self.run.trained_at, self.sha256, self.columns))
        file = self.parts / "job"
        if not file.is_file() or file.read_text(encoding="utf-8") != about:
            self.remove()
            self.parts.mkdir(mode=0o700)
            file.write_text(about, encoding="utf-8")
        return self._table().num_rows if any(self.parts.glob("*.arrow")) else 0

    def _table(self) -> pa.Table:
        """Return all parts, mapped into memory and not read."""
        import pyarrow as pa
        from pyarrow import feather

        parts = sorted(self.parts.glob("*.arrow"))
        return pa.concat_tables(feather.read_table(part, memory_map=True) for part in parts)

    def _predicted(self, predictor: Predictor, chunk: pa.RecordBatch) -> pa.Table:
        import pyarrow as pa

        rows, run, label = chunk.to_pylist(), self.run, self.columns.label
        inputs: dict[int, Any] = {}
        reasons: dict[int, str] = {}
        for place, row in enumerate(rows):
            try:
                inputs[place] = _input(run, predictor.task, row, self.columns.inputs)
            except _Skip as skip:
                reasons[place] = str(skip)
        # Sorted by length, batches have little padding.
        places = sorted(inputs, key=lambda place: _length(inputs[place]))
        predictions = predictor.predict(run.record.id, [inputs[place] for place in places])
        found = dict(zip(places, predictions, strict=True))
        expected = [_expected(run, predictor.task, row, label) for row in rows]
        for place in found:
            given = (rows[place][label] or "").strip() if label else ""
            if given and expected[place] is None:
                kind = "label" if predictor.task.labels else "number"
                reasons[place] = REASONS[kind].format(label=given[:80])
        values = {place: _value_and_confidence(one) for place, one in found.items()}
        columns: dict[str, dict[int, Any]] = {
            "value": {place: value for place, (value, _) in values.items()},
            "confidence": {place: confidence for place, (_, confidence) in values.items()},
            "check": _checks(run, found, expected),
        }
        value = pa.float64() if get_metric(run.plan.dataset.metric).regression else pa.string()
        check = pa.bool_() if self.added.get("check", "").startswith("correct") else pa.float64()
        types = {"value": value, "confidence": pa.float64(), "check": check}
        every = range(len(rows))
        return pa.table(
            {name: chunk.column(source) for name, source in self._kept.items()}
            | {
                name: pa.array([columns[field].get(place) for place in every], types[field])
                for field, name in self.added.items()
            }
            | {
                ROW: chunk.column(ROW),
                EXPECTED: pa.array(expected, value),
                REASON: pa.array([reasons.get(place) for place in every], pa.string()),
            }
        )

    def report(self, labels: Sequence[str]) -> Report:
        """Return the report on rows that are all predicted."""
        import numpy as np

        table, added, metric = self._table(), self.added, self.run.plan.dataset.metric
        numbers, reasons = (table.column(name).to_pylist() for name in (ROW, REASON))
        skipped = [Line(str(row), reason) for row, reason in zip(numbers, reasons, strict=True) if reason]
        score = None
        if "check" in added:
            names = added["value"], EXPECTED, added["check"]
            rows = zip(*(table.column(name).to_pylist() for name in names), strict=True)
            scored = [row for row in rows if row[2] is not None]
            score = score_of(metric, labels, *([row[at] for row in scored] for at in range(3)))
        uploaded = self.run.plan.dataset.uploaded
        if score and uploaded and uploaded.sha256 == self.sha256:
            score = replace(score, seen=True)
        predicted = int(np.sum(table.column(added["value"]).is_valid().to_numpy()))
        few = tuple(skipped[:MAX_SKIPPED])
        return Report(table.num_rows, predicted, score, few, len(skipped), self.columns.label)

    def predictions(self) -> list[dict[str, Any]]:
        """Return the added columns of each row, with its number as `row`."""
        names = [ROW, *self.added.values()]
        return self._table().select(names).rename_columns(["row", *names[1:]]).to_pylist()

    def write(self, out: Path, separator: str = ",", escape_formulas: bool = False) -> None:
        """Write the output file in the format of its ending.

        Raises:
            ResultsError: There is no such format.
        """
        write = WRITERS[require_writable(out)]
        write(out, self._table().select([*self._kept, *self.added.values()]), separator, escape_formulas)


def _unused(names: Sequence[str], wanted: str) -> str:
    """Return the name, or with a number behind it if there is such a column: prediction 2."""
    taken = {name.lower() for name in names}
    places = (f"{wanted} {place}" if place > 1 else wanted for place in itertools.count(1))
    return next(name for name in places if name.lower() not in taken)


def _input(run: FinishedRun, task: Task, row: dict[str, Any], names: Sequence[str]) -> Any:
    """Return a row's input as the run's task takes it.

    Raises:
        _Skip: It is empty, or the model cannot read it.
    """
    kind, uploaded = run.plan.model.kind, run.plan.dataset.uploaded
    if kind == "image":
        from PIL import Image

        return Image.open(io.BytesIO(row[IMAGE]["bytes"])).convert("RGB")
    steps = uploaded.clean if uploaded else ()
    texts = cleaning.mend_texts([(row[name] or "").strip() for name in names], steps, task.labels)
    if kind == "generation":
        from cdvft_app.tasks.base import InvalidInput, TooLong

        prompt = joined(dict(zip(names, texts, strict=True)), *names)
        if not prompt:
            raise _Skip("empty")
        try:
            task.examples([prompt])
        except TooLong:
            raise _Skip("too_long", limit=run.plan.settings.max_length) from None
        except InvalidInput as error:
            raise _Skip("invalid", error=error) from None
        return prompt
    if not all(texts):
        raise _Skip("empty")
    return texts[0] if len(texts) == 1 else tuple(texts)


def _length(given: Any) -> int:
    return len(given) if isinstance(given, str) else sum(map(len, given)) if isinstance(given, tuple) else 0


def _expected(run: FinishedRun, task: Task, row: dict[str, Any], name: str | None) -> str | float | None:
    """Return the row's label: a class that the run knows, a number, or a text; None without one."""
    text = ((row[name] if name else None) or "").strip()
    if not text:
        return None
    uploaded = run.plan.dataset.uploaded
    if uploaded:
        text = cleaning.mend_label(text, uploaded.clean, task.labels)
    if run.plan.model.kind == "generation":
        return text
    if not task.labels:
        try:
            number = float(text)
        except ValueError:
            return None
        return number if math.isfinite(number) else None
    if text in task.labels:
        return text
    # Datasets of the catalog write classes as numbers.
    is_number = uploaded is None and text.isdecimal() and int(text) < len(task.labels)
    return task.labels[int(text)] if is_number else None


def _value_and_confidence(one: Prediction) -> tuple[str | float, float | None]:
    """Return the predicted value and its probability, for a text the geometric mean over its tokens."""
    if one.text is not None:
        logs = [math.log(max(share, 1e-9)) for _, share in one.tokens]
        return one.text, round(math.exp(sum(logs) / len(logs)), 4) if logs else None
    if one.label is not None:
        return one.label, round(max(one.probabilities), 4)
    assert one.value is not None
    return float(f"{one.value:.6g}"), None


def _checks(
    run: FinishedRun, found: dict[int, Prediction], expected: Sequence[Any]
) -> dict[int, bool | float]:
    """Return whether predictions are correct, their errors (prediction minus label), or the texts' scores."""
    known = [place for place in found if expected[place] is not None]
    dataset = run.plan.dataset
    if run.plan.model.kind != "generation":
        return {
            place: found[place].label == expected[place] if found[place].value is None
            else float(f"{(found[place].value or 0) - expected[place]:.6g}")
            for place in known
        }  # fmt: skip
    texts = [found[place].text or "" for place in known], [str(expected[place]) for place in known]
    scores = [one[dataset.metric] for one in measure_each_text(*texts, dataset)] if known else []
    percent = get_metric(dataset.metric).percent
    return {
        place: score == 1 if percent else round(score, 4) for place, score in zip(known, scores, strict=True)
    }


# Output formats


def require_writable(out: Path) -> str:
    """Return the ending of an output file; raise `ResultsError` for an unknown one."""
    ending = out.suffix.lower()
    if ending not in WRITERS:
        raise ResultsError(NO_FORMAT.format(name=out.name, endings=", ".join(WRITERS)))
    return ending


def separator_of(name: str | None) -> str:
    """Return the separator with this name, by which a CSV was read; a comma for others."""
    return {title: mark for mark, title in SEPARATORS.items()}.get(name or "", ",")


def _rows(table: pa.Table) -> Iterator[list[Any]]:
    for batch in table.to_batches():
        yield from map(list, zip(*(column.to_pylist() for column in batch.columns), strict=True))


def _write_csv(out: Path, table: pa.Table, separator: str, escape: bool) -> None:
    with out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=separator, lineterminator="\n")
        for row in itertools.chain([table.column_names], _rows(table)):
            cells = [str(one).lower() if isinstance(one, bool) else one for one in row]
            writer.writerow(
                [escaped_formula(one) if escape and isinstance(one, str) else one for one in cells]
            )


def _write_tsv(out: Path, table: pa.Table, _: str, escape: bool) -> None:
    _write_csv(out, table, "\t", escape)


def _write_jsonl(out: Path, table: pa.Table, *_: Any) -> None:
    with out.open("w", encoding="utf-8") as file:
        for row in _rows(table):
            values = dict(zip(table.column_names, row, strict=True))
            file.write(json.dumps(values, ensure_ascii=False) + "\n")


def _write_parquet(out: Path, table: pa.Table, *_: Any) -> None:
    import pyarrow.parquet as pq

    pq.write_table(table, out)


def _write_xlsx(out: Path, table: pa.Table, *_: Any) -> None:
    from openpyxl import Workbook
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

    if table.num_rows > MAX_SHEET_ROWS:
        raise ResultsError(TOO_MANY_ROWS.format(most=MAX_SHEET_ROWS))
    book = Workbook(write_only=True)
    sheet = book.create_sheet("predictions")

    def cell(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        made = WriteOnlyCell(sheet, ILLEGAL_CHARACTERS_RE.sub("", value)[:MAX_CELL])
        made.data_type = "s"  # a text is no formula, whatever it begins with
        return made

    for row in itertools.chain([table.column_names], _rows(table)):
        sheet.append([*map(cell, row)])
    book.save(out)


WRITERS: dict[str, Callable[[Path, pa.Table, str, bool], None]] = {
    ".csv": _write_csv,
    ".tsv": _write_tsv,
    ".jsonl": _write_jsonl,
    ".parquet": _write_parquet,
    ".xlsx": _write_xlsx,
}
