"""Quotation marks that do not fit: each row of a file is used as it is, or named as left out."""

from __future__ import annotations

import csv
import io

import made
import pytest
from given_tables import values
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from cdvft_app.catalog.uploaded import kept_table
from cdvft_app.data.imported_table import import_file
from cdvft_app.data.records import Records
from cdvft_app.data.row_errors import RowErrors
from cdvft_app.data.source import Limits

FILMS = [f"film {place},{'good' if place % 2 else 'bad'}" for place in range(60)]
many = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Told(RowErrors):
    """RowErrors with every row, where a page names the first few."""

    def __init__(self):
        super().__init__()
        self.rows = []

    def add(self, row, what, advice, column=""):
        super().add(row, what, advice, column)
        self.rows.append(row)


def films(tmp_path, at_11, at_31="", name="films.csv"):
    """ImportedTable from 60 films, with something in row 11 and maybe in row 31."""
    rows = [*FILMS[:9], at_11, *FILMS[9:28], *([at_31] if at_31 else []), *FILMS[28:]]
    return import_file(made.written(tmp_path, "\n".join(["text,label", *rows, ""]), name))


def read(text, names=("text", "label")):
    """The records as (line, values), and the faults, of a text without a head that begins in row 1."""
    told = Told()
    lines = enumerate(text.split("\n"), 1)
    return [
        (held, found) for held, found in Records(",", Limits().cell_characters, told, names).of(lines)
    ], told


AFTER = (
    "text follows a closing quotation mark; 1 row like it (31). Write quotation marks inside a value twice."
)
NEVER = "a quotation mark is opened and never closed; 1 row like it (31). Close it, or remove it."


@pytest.mark.parametrize(
    ("at_11", "at_31", "said"),
    [
        ('"Titanic" said "yes, it is,good', '"Titanic" said "no, it is,bad', f"“text”: {AFTER}"),
        ('"Titanic" again,good', '"Titanic" anew,bad', f"“text”: {AFTER}"),
        ('"never closed,good', '"never closed either,bad', f"“text”: {NEVER}"),
        ('film,"good', 'film,"bad', f"“label”: {NEVER}"),
    ],
)
def test_two_rows_with_stray_marks_are_named_and_those_between_are_used(tmp_path, at_11, at_31, said):
    kept = films(tmp_path, at_11, at_31)
    assert [",".join(row) for row in values(kept)] == FILMS
    assert kept.row_errors.sentences("films") == [f"“films”, row 11, column {said}"]


def test_lines_of_a_value_that_cannot_be_read_are_no_rows(tmp_path):
    kept = films(tmp_path, '"He said "yes" to it,\nand came, then\nand left",good')
    assert [",".join(row) for row in values(kept)] == FILMS
    broken, others = kept.row_errors.sentences()
    assert "Row 11, column “text”: text follows a closing quotation mark." in broken
    assert "Row 12: it seems to go on with a value that begins in a row above and cannot be read" in others
    assert "1 row like it (13). Mend the quotation marks of that row." in others


def test_a_value_that_runs_over_rows_is_said(tmp_path):
    kept = films(tmp_path, '"never closed,good', 'never opened",bad')
    assert kept.rows == 42 and kept.notes == [
        "1 value in quotes runs over lines that look like rows of their own (row 11 to 31). If they are "
        "rows, close the quotation mark in the first of them."
    ]
    prose = films(tmp_path, '"Two lines,\nof prose,\nand a last one",good', name="prose.csv")
    assert prose.rows == 61 and not prose.row_errors.count
    assert [row["__row__"] for row in kept_table(prose.sha256).to_pylist()][8:11] == [10, 11, 14]


@pytest.mark.parametrize(
    ("text", "records", "faults"),
    [
        ('a, "b, c" ', [["a", "b, c"]], []),
        ('"a" ,b,', [["a", "b"]], []),
        ('x "y",5" wide', [['x "y"', '5" wide']], []),
        ('"""a"" said",""', [['"a" said', ""]], []),
        ('"a, ""b""\nc",x', [['a, "b"\nc', "x"]], []),
        (",", [["", ""]], []),
        # A value over lines in a row that does not fit is left out line by line:
        ('"a\nb\n\nc",d,e\nf,g', [["f", "g"]], [1, 2, 4]),
        # A mark that opens a later value does not close one that is never closed:
        ('"never closed,good\nx,", and more"\nf,g', [["f", "g"]], [1, 2]),
        # A value goes over so many lines at most:
        ('"' + "\n" * 50 + 'end",good', [["\n" * 50 + "end", "good"]], []),
        ('"' + "\n" * 51 + 'end",good', [['end"', "good"]], [1]),
    ],
)
def test_marks_are_read_as_programs_write_them(text, records, faults):
    found, told = read(text)
    assert ([values for _, values in found], told.rows) == (records, faults)


@many
@given(st.text('a", \n', max_size=40))
@example('"Titanic" said "yes, it is,good\na,b\n"Titanic" said "no, it is,bad')
@example('"never closed,good\na,b\n"never closed either,bad')
@example('"a "b" c\nd,e\nf",g')
def test_each_line_is_of_one_record_or_a_fault(text):
    records, told = read(text)
    used = [number for held, _ in records for number, line in held if line.strip()]
    written = [number for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    assert sorted([*used, *told.rows]) == written
    assert all(len(found) == 2 for _, found in records)


@many
@given(st.lists(st.text('ab", ', max_size=12), min_size=1, max_size=12))
def test_each_row_of_a_file_is_used_or_counted_as_left_out(tmp_path, lines):
    lines = ["text,label", "a film,good", *lines]
    kept = import_file(made.written(tmp_path, "\n".join(lines)))
    used = 0
    for row, *found in (tuple(row.values()) for row in kept_table(kept.sha256).to_pylist()):
        more = sum(value.count("\n") for value in found if value)
        used += sum(bool(line.strip()) for line in lines[row - 1 : row + more])
    heads = 0 if any("first line is read as a row" in note for note in kept.notes) else 1
    assert heads + used + kept.row_errors.count == sum(bool(line.strip()) for line in lines)


STRAY = st.sampled_from(
    [
        '"never closed,good',
        '"Titanic" said "yes,good',
        '"Titanic" said,good',
        'a,"b',
        "one",
        "a,b,c",
        '"a" "b"',
    ]
)
VALUE = st.builds(str.__add__, st.sampled_from("ab"), st.text('ab", \n', max_size=8))


@many
@given(st.lists(st.one_of(STRAY, st.tuples(VALUE, VALUE)), max_size=12))
def test_rows_that_a_program_wrote_are_read_as_they_are_whatever_lines_stand_between(rows):
    file = io.StringIO()
    for row in rows:
        if isinstance(row, str):
            file.write(row + "\n")
        else:
            csv.writer(file, lineterminator="\n").writerow(row)
    records, told = read(file.getvalue())
    assert [tuple(found) for _, found in records] == [row for row in rows if not isinstance(row, str)]
    assert told.count == len(rows) - len(records)
