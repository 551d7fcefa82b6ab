"""Files of JSON: one object a line, or one list of objects, in whatever encoding and under whatever name."""

from __future__ import annotations

import json

import made
import pytest
from given_tables import values

from cdvft_app.data.imported_table import import_file
from cdvft_app.data.source import Limits

ALPACA = [
    {"instruction": "Name a café", "input": "in Łódź" if place else "here", "output": str(place)}
    for place in range(3)
]


HALVES = r"""{"text": "a \ud83d\ude00", "label": "1"}
{"text": "b \ud800", "label": "2"}
{"text": "c", "label": "\udfff"}
{"text": "d \\ud800", "label": "4"}"""


@pytest.mark.parametrize(
    ("text", "read", "named"),
    [
        (
            '{"text": "a", "label": 1}\n{"text": "b", "label"\n[1]\n{"text": null, "label": 2.5}\n',
            [("a", "1"), (None, "2.5")],
            ("Row 2: it is no JSON", "Row 3: it holds a list"),
        ),
        (
            "\n".join(f'{{"text": "a", "label": {number}}}' for number in ("1", "1.0", "0", "-0.0")),
            [("a", "1"), ("a", "1"), ("a", "0"), ("a", "0")],  # one class however it is written
            (),
        ),
        (
            HALVES,
            [("a \U0001f600", "1"), ("d \\ud800", "4")],
            ("Row 2: it holds half of a character", "1 row like it (3)"),
        ),
        (  # of one conversation
            '{"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]}',
            [("hi", "hello")],
            (),
        ),
    ],
)
def test_each_line_of_json_is_a_row_or_is_named(tmp_path, text, read, named):
    kept = import_file(made.written(tmp_path, text, "rows.jsonl"))
    assert values(kept) == read
    said = " ".join(kept.row_errors.sentences())
    assert bool(said) is bool(named) and all(one in said for one in named)


def test_a_list_of_json_objects_is_read_object_by_object(tmp_path):
    text = (
        '[\n  {"instruction": "Say\\nhi", "output": "hi"},\n  {"instruction": "Count",\n "output": [1, 2]}]'
    )
    kept = import_file(made.written(tmp_path, text, "alpaca.json"))
    assert kept.format == "JSON" and kept.columns == ("instruction", "output")
    assert values(kept) == [("Say\nhi", "hi"), ("Count", "[1, 2]")]


@pytest.mark.parametrize(
    ("name", "encoding", "said"),
    [
        *((name, "utf-8", "UTF-8") for name in ("alpaca.jsonl", "alpaca.txt", "alpaca")),
        ("alpaca.json", "utf-8-sig", "UTF-8"),
        *(("alpaca.json", encoding, "UTF-16") for encoding in ("utf-16", "utf-16-le", "utf-16-be")),
        ("alpaca.json", "cp1252", "Windows-1252 (Western)"),
    ],
)
def test_a_list_of_json_objects_is_known_by_its_beginning_in_any_encoding(tmp_path, name, encoding, said):
    rows = ALPACA[:1] if encoding == "cp1252" else ALPACA  # which has no Ł
    text = "\n " + json.dumps(rows, ensure_ascii=False, indent=1)
    kept = import_file(made.written(tmp_path, text, name, encoding))
    assert (kept.format, kept.encoding) == ("JSON", said)
    assert values(kept) == [tuple(row.values()) for row in rows]


def test_a_line_that_is_too_long_is_counted_once(tmp_path):
    lines = [json.dumps({"text": "x" * length, "label": "a"}) for length in (3, 900, 4)]
    kept = import_file(made.written(tmp_path, "\n".join(lines), "rows.jsonl"), Limits(cell_characters=100))
    assert kept.rows == 2 and kept.row_errors.sentences() == [
        "Row 2: it is longer than 800 bytes. Shorten it."
    ]


def test_columns_that_begin_after_the_first_hundred_rows_are_said_not_to_be_read(tmp_path):
    rows = [{"text": f"a {place}", "label": place % 2} for place in range(120)]
    rows[105] |= {"late": 1}
    rows[110] |= {"late": 2, "later": 3}
    for name, text in (("rows.jsonl", "\n".join(map(json.dumps, rows))), ("rows.json", json.dumps(rows))):
        kept = import_file(made.written(tmp_path, text, name))
        assert kept.columns == ("text", "label") and kept.rows == 120
        (said,) = kept.notes
        assert "“late”, “later”. Give the first object all columns, with null" in said
    rows[0] |= {"late": None, "later": None}
    kept = import_file(made.written(tmp_path, "\n".join(map(json.dumps, rows)), "mended.jsonl"))
    assert kept.columns == ("text", "label", "late", "later") and not kept.notes
