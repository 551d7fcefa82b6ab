"""Files of JSON: one object a line, or one list of objects, in whatever encoding and under whatever name."""

from __future__ import annotations

import json

import made
import pytest
from kept_values import values

from cdvft_app.data.imported_table import import_file
from cdvft_app.data.source import Limits

ALPACA = [
    {"instruction": "Name a café", "input": "in Łódź" if place else "here", "output": str(place)}
    for place in range(3)
]


def test_json_lines_name_the_line_that_is_none(tmp_path):
    text = '{"text": "a", "label": 1}\n{"text": "b", "label"\n[1]\n{"text": null, "label": 2.5}\n'
    kept = import_file(made.written(tmp_path, text, "rows.jsonl"))
    assert values(kept) == [("a", "1"), (None, "2.5")]
    said = " ".join(kept.row_errors.sentences())
    assert "Row 2: it is no JSON" in said and "Row 3: it holds a list" in said


def test_a_whole_number_is_one_class_however_it_is_written(tmp_path):
    rows = "".join(f'{{"text": "a {n}", "label": {("1", "1.0", "0", "-0.0")[n % 4]}}}\n' for n in range(40))
    kept = import_file(made.written(tmp_path, rows, "rows.jsonl"))
    assert {label for _, label in values(kept)} == {"0", "1"}


def test_half_a_character_costs_its_row_alone(tmp_path):
    rows = ['{"text": "a \\ud83d\\ude00", "label": "1"}', '{"text": "b \\ud800", "label": "2"}']
    rows += ['{"text": "c", "label": "\\udfff"}', '{"text": "d \\\\ud800", "label": "4"}']
    kept = import_file(made.written(tmp_path, "\n".join(rows), "rows.jsonl"))
    assert values(kept) == [("a \U0001f600", "1"), ("d \\ud800", "4")]
    said = " ".join(kept.row_errors.sentences())
    assert "Row 2: it holds half of a character" in said and "1 row like it (3)" in said


def test_a_list_of_json_objects_is_read_object_by_object(tmp_path):
    text = (
        '[\n  {"instruction": "Say\\nhi", "output": "hi"},\n  {"instruction": "Count",\n "output": [1, 2]}]'
    )
    kept = import_file(made.written(tmp_path, text, "alpaca.json"))
    assert kept.format == "JSON" and kept.columns == ("instruction", "output")
    assert values(kept) == [("Say\nhi", "hi"), ("Count", "[1, 2]")]


@pytest.mark.parametrize(
    "encoding, said",
    [
        ("utf-8-sig", "UTF-8"),
        ("utf-16", "UTF-16"),
        ("utf-16-le", "UTF-16"),
        ("utf-16-be", "UTF-16"),
        ("cp1252", "Windows-1252 (Western)"),
    ],
)
def test_a_list_of_json_objects_is_read_in_any_encoding(tmp_path, encoding, said):
    rows = ALPACA[:1] if encoding == "cp1252" else ALPACA  # which has no Ł
    kept = import_file(
        made.written(tmp_path, json.dumps(rows, ensure_ascii=False, indent=1), "alpaca.json", encoding)
    )
    assert (kept.format, kept.encoding) == ("JSON", said)
    assert values(kept) == [tuple(row.values()) for row in rows]


@pytest.mark.parametrize("name", ["alpaca.jsonl", "alpaca.txt", "alpaca"])
def test_a_list_of_json_objects_is_known_by_its_beginning(tmp_path, name):
    kept = import_file(made.written(tmp_path, "\n " + json.dumps(ALPACA), name))
    assert kept.format == "JSON" and kept.rows == 3


def test_one_conversation_is_a_row(tmp_path):
    said = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]
    kept = import_file(made.written(tmp_path, json.dumps({"messages": said}), "one.jsonl"))
    assert values(kept) == [("hi", "hello")]


def test_a_line_that_is_too_long_is_counted_once(tmp_path):
    lines = [json.dumps({"text": "x" * length, "label": "a"}) for length in (3, 900, 4)]
    kept = import_file(made.written(tmp_path, "\n".join(lines), "rows.jsonl"), Limits(cell_characters=100))
    assert kept.rows == 2 and kept.row_errors.sentences() == [
        "Row 2: it is longer than 800 bytes. Shorten it."
    ]
