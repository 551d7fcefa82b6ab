"""Columns of any name are read, divided and mended: none is taken for SQL, or for another column."""

from __future__ import annotations

import csv
import json

import made
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from given_tables import looked

from cdvft_app.catalog.dataset_readers import read_uploaded
from cdvft_app.catalog.uploaded import kept_table
from cdvft_app.data.imported_table import import_file
from cdvft_app.data.source import DataRefused

NAMES = (
    'a "quoted" one', "it's", "$labels", "r", "h", "select", "x; DROP TABLE r --", "%s {text} \\",
    "Größe (in €)", "1", "a.b", "[a, b]",
)  # fmt: skip
ROWS = made.sentences(40)
TEXTS, LABELS = zip(*ROWS, strict=True)
STEPS = ("drop-repeats", "merge-case", "hide-labels", "strip-html")


def written(tmp_path, kind, columns):
    """A file with these columns, (name, values)."""
    names, values = zip(*columns, strict=True)
    path = tmp_path / f"rows.{kind}"
    if kind == "csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([names, *zip(*values, strict=True)])
    elif kind == "jsonl":
        rows = (dict(zip(names, row, strict=True)) for row in zip(*values, strict=True))
        path.write_text("\n".join(map(json.dumps, rows)))
    else:
        pq.write_table(pa.table([list(one) for one in values], names=list(names)), path)
    return path


def learned(path, text, label):
    """(text, label) of all rows that are learned from or evaluated on, mended."""
    found = looked(path, STEPS, inputs=[text], label=label)
    assert found.problem is None, found.problem
    splits = read_uploaded(found.data)
    rows = []
    for split in (splits.train, splits.evaluation):
        texts = split.select(range(len(split.labels)))
        rows += [(text, splits.labels[label]) for text, label in zip(texts, split.labels, strict=True)]
    return sorted(rows)


@pytest.mark.parametrize("name", NAMES)
def test_a_column_of_any_name_is_read(tmp_path, name):
    as_text = written(tmp_path, "csv", [(name, TEXTS), ("label", LABELS)])
    assert learned(as_text, name, "label") == sorted(ROWS)
    as_label = written(tmp_path, "csv", [("text", TEXTS), (name, LABELS)])
    assert learned(as_label, "text", name) == sorted(ROWS)


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_columns_of_any_name_are_kept_alike_of_every_format(tmp_path, kind):
    """So that what is asked of the rows afterwards, as above of a CSV, is asked of the same table."""
    columns = [(name, [f"{name} {number}" for number in range(40)]) for name in NAMES]
    kept = import_file(written(tmp_path, kind, columns))
    assert kept.columns == NAMES
    assert kept_table(kept.sha256).select(NAMES).to_pydict() == dict(columns)


def test_a_column_that_is_not_used_may_have_any_name(tmp_path):
    """Also one that queries have for what they compute."""
    others = [(name, ["same"] * 40) for name in "abhlortvy"]
    path = written(tmp_path, "csv", [("text", TEXTS), ("label", LABELS), *others])
    assert learned(path, "text", "label") == sorted(ROWS)


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_names_that_differ_in_capitals_are_two_columns(tmp_path, kind):
    """To SQL they are one: the second would be read as the first."""
    others = ["not this one"] * 40
    columns = [("Text", others), ("text", TEXTS), ("TEXT", others), ("label", LABELS)]
    path = written(tmp_path, kind, columns)
    assert import_file(path).columns == ("Text", "text 2", "TEXT 3", "label")
    assert learned(path, "text 2", "label") == sorted(ROWS)


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_a_column_without_a_name_and_one_named_as_the_rows_number_is(tmp_path, kind):
    path = written(tmp_path, kind, [("", TEXTS), ("__row__", LABELS), ("column 1", LABELS)])
    assert import_file(path).columns == ("column 1", "__row__ 2", "column 1 3")
    assert learned(path, "column 1", "__row__ 2") == sorted(ROWS)


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_a_column_whose_name_settings_or_sql_do_not_take_is_called_nearly_so(tmp_path, kind):
    path = written(tmp_path, kind, [("q" * 300, TEXTS), ("q" * 301, TEXTS), ("la\0bel", LABELS)])
    names = import_file(path).columns
    assert names == ("q" * 180, "q" * 180 + " 2", "label")
    assert learned(path, names[1], "label") == sorted(ROWS)


def test_two_columns_of_one_name_are_refused(tmp_path):
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table([["a"], ["b"]], names=["text", "text"]), path)
    with pytest.raises(DataRefused, match="Several of its columns are named “text”"):
        import_file(path)
