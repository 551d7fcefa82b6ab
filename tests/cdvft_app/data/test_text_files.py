"""CSV, JSON and JSONL: every row is read or named as an issue."""

from __future__ import annotations

import csv
import io
import json

import made
import pytest
from given_tables import values
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdvft_app.catalog.uploaded import kept_table
from cdvft_app.data import text_file
from cdvft_app.data.imported_table import import_file
from cdvft_app.data.json_file import LATE
from cdvft_app.data.row_errors import RowErrors
from cdvft_app.data.source import Limits
from cdvft_app.data.text_file import AFTER_CLOSING, TOO_FEW, TOO_MANY, UNCLOSED, Records

many = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
FILMS = [f"film {place},{'good' if place % 2 else 'bad'}" for place in range(60)]


def issues(kept):
    """{what: rows} of an imported table."""
    return {one["what"]: one["rows"] for one in kept.faults}


@pytest.mark.parametrize(
    ("text", "encoding", "name"),
    [
        ("Der Bär möchte über die Straße", "cp1252", "Windows-1252 (Western)"),
        ("Привет мир, как твои дела", "cp1251", "Windows-1251 (Cyrillic)"),
        ("これは日本語のテキストです", "shift_jis", "Shift JIS"),
        ("önce", "utf-16-le", "UTF-16"),
        ("önce", "utf-32", "UTF-32"),
    ],
)
def test_encoding_is_detected(tmp_path, text, encoding, name):
    rows = [(f"{text} {place}", "ab"[place % 2]) for place in range(10)]
    lines = "".join(f"{one}\t{label}\n" for one, label in [("text", "label"), *rows])
    kept = import_file(made.written(tmp_path, lines, encoding=encoding))
    assert kept.encoding == name and values(kept) == rows


@pytest.mark.parametrize(
    ("name", "head", "line", "number"),
    [("rows.csv", "text,label\n", "{},1\n", 4), ("rows.jsonl", "", '{{"text": "{}", "label": 1}}\n', 3)],
)
def test_mixed_encodings_are_read_and_reported(tmp_path, name, head, line, number):
    first, second, third = (line.format(word) for word in ("önce", "zwölf", "fünf"))
    (tmp_path / name).write_bytes((head + first + second).encode() + third.encode("cp1252"))
    kept = import_file(tmp_path / name)
    assert values(kept) == [("önce", "1"), ("zwölf", "1"), ("fünf", "1")]
    assert kept.notes == [text_file.MIXED.format(count=1, places=number)]


@pytest.mark.parametrize(
    ("lines", "columns", "notes"),
    [
        (["a,1", "b,0", "c,1"], ("column 1", "column 2"), [text_file.NO_HEADER]),
        (["so good,good", "bad,bad", "fine,good"], ("column 1", "column 2"), [text_file.NO_HEADER]),
        ([",text,label", "0,a,1", "1,b,0"], ("column 1", "text", "label"), []),
        (["Export", "", "text;label", "a, b;x", "c;y"], ("text", "label"), [text_file.ABOVE.format(count=2)]),
        (["sep=^", "text^label", "a,;^x", "b^y"], ("text", "label"), []),
        (["text", "Hello, you", "Bye", "Well, well, well"], ("text", "column 2"), None),
        (["label|text", "x|a,b", "y|c,d,e"], ("label", "text"), []),
    ],
)
def test_separator_and_header_are_found(tmp_path, lines, columns, notes):
    kept = import_file(made.written(tmp_path, "\r\n".join(lines)))
    if notes is None:  # one column: the separator of prose is undecided
        assert kept.columns == columns[:1]
    else:
        assert (kept.columns, kept.notes) == (columns, notes)


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (['"Titanic" said "yes,good', '"Titanic" said "no,bad'], {AFTER_CLOSING[0]: [11, 31]}),
        (['"never closed,good', '"never closed either,bad'], {UNCLOSED[0]: [11, 31]}),
        (['film,"good', 'film,"bad'], {UNCLOSED[0]: [11, 31]}),
        (["a,b,c", "a"], {TOO_MANY[0]: [11], TOO_FEW[0]: [31]}),
    ],
)
def test_broken_rows_are_named_and_others_kept(tmp_path, lines, found):
    rows = [*FILMS[:9], lines[0], *FILMS[9:28], lines[1], *FILMS[28:]]
    kept = import_file(made.written(tmp_path, "\n".join(["text,label", *rows])))
    assert [",".join(row) for row in values(kept)] == FILMS
    assert issues(kept) == found


def test_quoted_value_that_swallows_rows_is_reported(tmp_path):
    rows = [*FILMS[:9], '"never closed,good', *FILMS[9:28], 'never opened",bad', *FILMS[28:]]
    kept = import_file(made.written(tmp_path, "\n".join(["text,label", *rows])))
    assert kept.rows == 42 and kept.notes == [text_file.SWALLOWED.format(count=1, places=11)]


def test_rows_are_numbered_as_spreadsheets_show_them(tmp_path):
    kept = import_file(made.written(tmp_path, 'text,label\n"two\nlines",a\n\nb,c\n'))
    assert kept_table(kept.sha256).column("__row__").to_pylist() == [2, 4]


@many
@given(st.lists(st.text('ab", ', max_size=12), min_size=1, max_size=12))
def test_every_line_is_used_or_an_issue(tmp_path, lines):
    found = RowErrors()
    used = [held for held, _ in Records(",", found).of(lines)]
    blank = sum(not line.strip() for line in lines)
    quoted = sum(line.count('"') for line in lines)
    assert len(used) + found.count + blank <= len(lines)
    if not quoted:
        assert len(used) + blank == len(lines)


@many
@given(st.lists(st.tuples(st.text('ab", \n', max_size=8), st.text('ab"', min_size=1)), max_size=12))
def test_records_agree_with_the_csv_module(rows):
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows(rows)
    lines = file.getvalue().removesuffix("\n").split("\n") if rows else []
    found = [tuple(held) for _, held in Records(",", RowErrors()).of(lines)]
    assert found == [
        (text.lstrip(" "), label) if not {*text} & {*'",\n'} else (text, label) for text, label in rows
    ]


def test_long_lines_and_values_are_issues(tmp_path):
    lines = [f"{'x' * length},a" for length in (3, 60, 900, 4)]
    for end in ("\n", "\r"):
        kept = import_file(
            made.written(tmp_path, end.join(["text,label", *lines])), Limits(cell_characters=50)
        )
        assert [len(text) for text, _ in values(kept)] == [3, 4]
        assert sorted(row for rows in issues(kept).values() for row in rows) == [3, 4]


@pytest.mark.parametrize(
    ("text", "read", "bad"),
    [
        (
            '{"t": "a", "n": 1}\n{"t": "b", "n"\n[1]\n{"t": null, "n": 2.5}\n',
            [("a", "1"), (None, "2.5")],
            [2, 3],
        ),
        ('{"t": "a", "n": 1.0}\n{"t": "a", "n": -0.0}', [("a", "1"), ("a", "0")], []),
        ('{"t": "\\ud83d\\ude00", "n": "x"}\n{"t": "\\ud800", "n": "y"}', [("\U0001f600", "x")], [2]),
    ],
)
def test_each_json_line_is_a_row_or_an_issue(tmp_path, text, read, bad):
    kept = import_file(made.written(tmp_path, text, "rows.jsonl"))
    assert values(kept) == read
    assert sorted(row for rows in issues(kept).values() for row in rows) == bad


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "cp1252"])
@pytest.mark.parametrize("name", ["alpaca.json", "alpaca.txt"])
def test_json_lists_are_read_in_any_encoding(tmp_path, name, encoding):
    rows = [{"instruction": "Name a café", "output": [1, 2]}, 5, {"instruction": None, "output": "x"}]
    text = "\n " + json.dumps(rows, ensure_ascii=False, indent=1)
    kept = import_file(made.written(tmp_path, text, name, encoding))
    assert kept.format == "JSON" and values(kept) == [("Name a café", "[1, 2]"), (None, "x")]
    assert [row for rows in issues(kept).values() for row in rows] == [2]


def test_late_json_columns_are_reported(tmp_path):
    rows = [{"text": f"a {place}", "label": place % 2} for place in range(120)]
    rows[105] |= {"late": 1}
    for name, text in (("rows.jsonl", "\n".join(map(json.dumps, rows))), ("rows.json", json.dumps(rows))):
        kept = import_file(made.written(tmp_path, text, name))
        assert kept.columns == ("text", "label") and kept.rows == 120
        assert kept.notes == [LATE.format(count=100, names="“late”")]
