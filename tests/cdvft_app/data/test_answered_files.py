"""A file given back with answers: in each format, with all that it had, as it had it."""

from __future__ import annotations

import csv
import dataclasses
import datetime
import gzip
import json
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import made
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from forked import Forked
from given_tables import workbook

from benchmarks import apply_file
from cdvft_app.data.answered_file import (
    ANSWERS,
    Added,
    Answer,
    Answers,
    read_unlabelled,
    read_unlabelled_in_child,
    require_writable,
    rows_of,
    write_answered,
    write_answered_in_child,
)
from cdvft_app.data.source import LIMITS, DataRefused

TEXTS = [Added("value", "answer", str), Added("confidence", "confidence", float)]
CHECKED = [*TEXTS, Added("check", "correct", bool)]


@pytest.fixture
def answered(tmp_path: Path):
    """`answered(file, name, answers)`: the file `name` of these answers to the rows of `file`."""

    def write(file: Path, name: str, answers: list[Answer], added=TEXTS, inputs=("text",), **options) -> Path:
        folder = tmp_path / f"read for {name}"
        folder.mkdir()
        read_unlabelled(file, folder, LIMITS)
        out = tmp_path / name
        write.written = write_answered(
            file, out, folder, answers, inputs=inputs, added=added, limits=LIMITS, **options
        )
        return out

    return write


@pytest.mark.parametrize(
    ("given", "answers", "came_back"),
    [
        (  # in its separator, with values as they were
            'id;text;n\n007;"good; very";-5\n008;  bad ;+49\n009;;=1+1\n',
            [Answer("a", 0.9), Answer("b", 0.5), Answer(None)],
            'id;text;n;answer;confidence\n007;"good; very";-5;a;0.9\n008;  bad ;+49;b;0.5\n009;;=1+1;;\n',
        ),
        (  # other names are found for columns that are there
            "text,Answer,confidence\na,1,2\nb,3,4\n",
            [Answer("a", 0.5), Answer("b", 0.5)],
            "text,Answer,confidence,answer 2,confidence 2\na,1,2,a,0.5\nb,3,4,b,0.5\n",
        ),
        (  # a row that cannot be read is left out, and the others keep their answers
            "id,text\n1,a\n2,b,c,d\n3,c\n",
            [Answer("one", 0.5), Answer("three", 0.5)],
            "id,text,answer,confidence\n1,a,one,0.5\n3,c,three,0.5\n",
        ),
    ],
)
def test_csv_comes_back_with_its_answers(answered, tmp_path, given, answers, came_back):
    out = answered(made.written(tmp_path, given), "out.csv", answers)
    assert out.read_text(encoding="utf-8") == came_back


def test_formulas_are_escaped_in_csv_where_that_is_asked_for(answered, tmp_path):
    file = made.written(tmp_path, "id,text\n1,=1+1\n2,-5\n3,+49 30 1234\n4,@x\n")
    out = answered(file, "out.csv", [Answer("-no", 0.5)] * 4, escaped=True)
    rows = [row[1:3] for row in csv.reader(out.open(encoding="utf-8"))][1:]
    assert rows == [["'=1+1", "'-no"], ["-5", "'-no"], ["'+49 30 1234", "'-no"], ["'@x", "'-no"]]


def test_of_a_wrong_answer_to_a_conversation_its_turns_are_shown(answered, tmp_path):
    turns = [("user", "Hi?"), ("assistant", "Yes."), ("user", "Why?"), ("assistant", "So.")]
    said = {"messages": [{"role": role, "content": text} for role, text in turns]}
    file, wrong = made.written(tmp_path, json.dumps(said), "chats.jsonl"), Answer("No.", 0.5, False, "So.")
    out = answered(file, "out.jsonl", [wrong], CHECKED, inputs=("prompt",))
    (row,) = answered.written.wrong
    assert row.read == "User: Hi?\n\nAssistant: Yes.\n\nUser: Why?"
    assert json.loads(out.read_text())["messages"] == said["messages"]


@pytest.mark.parametrize(
    ("encoding", "name"),
    [("utf-8", "rows.csv"), ("cp1252", "rows.csv"), ("utf-8-sig", "rows.csv"), ("utf-8", "rows.jsonl")],
)
def test_a_packed_file_comes_back_as_it_would_unpacked(answered, tmp_path, encoding, name):
    """In UTF-8, marked for Excel but where it was given in it without a mark."""
    is_csv = name == "rows.csv"
    given = "id;text\n007;caf\u00e9\n008;th\u00e9\n" if is_csv else '{"text": "a", "n": 1}\n' * 2
    file = made.written(tmp_path, given, name, encoding)
    packed = [tmp_path / f"{name}.gz"]
    packed[0].write_bytes(gzip.compress(file.read_bytes()))
    packed += [made.zipped(tmp_path, {name: file.read_bytes()}, "rows.zip")] if is_csv else []
    answers = [Answer("\u4f60", 0.5)] * 2
    (came_back,) = {
        answered(one, f"answered {one.name}{file.suffix}", answers).read_bytes() for one in (file, *packed)
    }
    assert ("007;caf\u00e9;\u4f60;0.5" if is_csv else "\u4f60").encode() in came_back
    assert came_back.startswith(b"\xef\xbb\xbf") == (encoding != "utf-8")


@pytest.mark.parametrize("ending", [".jsonl", ".json"])
def test_json_keeps_types_and_names_of_later_rows(answered, tmp_path, ending):
    """Lines come back as lines, and a list as a list."""
    rows = [{"text": "a", "n": 1, "more": {"x": [1.5, None]}}, {"text": "b", "n": 2.0, "late": True}]
    given = json.dumps(rows) if ending == ".json" else "\n".join(map(json.dumps, rows))
    file = made.written(tmp_path, given, f"rows{ending}")
    text = answered(file, f"out{ending}", [Answer("x", 0.25), Answer(None)]).read_text()
    found = json.loads(text) if ending == ".json" else [*map(json.loads, text.splitlines())]
    answers = {"answer": "x", "confidence": 0.25}, {"answer": None, "confidence": None}
    assert found == [row | answer for row, answer in zip(rows, answers, strict=True)]
    assert type(found[1]["n"]) is float and type(found[0]["n"]) is int


def test_parquet_keeps_the_types_of_all_columns_also_of_those_that_are_not_read(answered, tmp_path):
    days = [datetime.date(2026, 1, 2), None]
    given = pa.table(
        {"text": ["a", "b"], "n": pa.array([1, None], pa.int16()), "at": days, "list": [[1, 2], [3]]}
    )
    pq.write_table(given, tmp_path / "rows.parquet")
    answers = [Answer("x", 0.25, True), Answer("y", 0.5)]
    found = pq.read_table(answered(tmp_path / "rows.parquet", "out.parquet", answers, CHECKED))
    assert found.select(given.column_names).equals(given)
    assert found.column("answer").to_pylist() == ["x", "y"]
    assert found.column("correct").to_pylist() == [True, None]


def test_xlsx_keeps_numbers_and_dates_and_writes_answers_as_texts(answered, tmp_path):
    day = datetime.datetime(2026, 3, 4)
    file = workbook(tmp_path / "rows.xlsx", Rows=[["text", "n", "day"], ["a", 1.5, day], ["b", 7, None]])
    out = answered(file, "out.xlsx", [Answer('=HYPERLINK("http://x")', 0.5), Answer("-5", 0.25)])
    sheet = openpyxl.load_workbook(out).active
    assert [[cell.value for cell in row] for row in sheet.iter_rows(min_row=2)] == [
        ["a", 1.5, day, '=HYPERLINK("http://x")', 0.5],
        ["b", 7, None, "-5", 0.25],
    ]
    assert [sheet[place].data_type for place in ("D2", "D3", "B2")] == ["s", "s", "n"]


def ods_cells(path: Path) -> list[list[tuple[str | None, str | None]]]:
    """Type and text of each cell, by the standard's names."""
    office, text, table = (f"{{urn:oasis:names:tc:opendocument:xmlns:{one}:1.0}}" for one in
                           ("office", "text", "table"))  # fmt: skip
    with zipfile.ZipFile(path) as archive:
        assert archive.infolist()[0].filename == "mimetype"
        assert archive.infolist()[0].compress_type == zipfile.ZIP_STORED
        assert archive.read("mimetype") == b"application/vnd.oasis.opendocument.spreadsheet"
        assert b"content.xml" in archive.read("META-INF/manifest.xml")
        root = ElementTree.fromstring(archive.read("content.xml"))
    return [
        [
            (cell.get(f"{office}value-type"), cell.get(f"{office}value") or cell.get(f"{office}date-value")
             or cell.get(f"{office}boolean-value") or cell.findtext(f"{text}p"))
            for cell in row
        ]
        for row in root.iter(f"{table}table-row")
    ]  # fmt: skip


def test_ods_keeps_numbers_dates_and_truth_and_writes_answers_as_texts(answered, tmp_path):
    day = datetime.datetime(2026, 3, 4)
    rows = [["text", "n", "day", "is"], ["a", 1.5, day, True], ["b", 7]]
    book = workbook(tmp_path / "rows.xlsx", Rows=rows)
    first = answered(book, "first.ods", [Answer("=1+1", 0.5), Answer("-5", 0.25)])
    expected = [
        [("string", one) for one in ("text", "n", "day", "is", "answer", "confidence")],
        [("string", "a"), ("float", "1.5"), ("date", "2026-03-04"), ("boolean", "true"), ("string", "=1+1"),
         ("float", "0.5")],
        [("string", "b"), ("float", "7"), (None, None), (None, None), ("string", "-5"), ("float", "0.25")],
    ]  # fmt: skip
    assert ods_cells(first) == expected
    again = answered(first, "again.ods", [Answer("x", 0.5)] * 2)
    assert [row[:6] for row in ods_cells(again)] == expected, "an .ods that is given keeps its types, too"
    back = openpyxl.load_workbook(answered(first, "back.xlsx", [Answer("x", 0.5)] * 2)).active
    assert [cell.value for cell in back[2]][:4] == ["a", 1.5, day, True]


def test_texts_of_an_ods_come_back_as_they_were(answered, tmp_path):
    odd = [" two  spaces ", "a\ttab", "two\nlines", "<b>&amp;</b>", "\x07bell", "\u2028", "007", '"quoted"']
    rows = [{"text": one, "id": str(place)} for place, one in enumerate(odd)]
    file = made.written(tmp_path, "\n".join(map(json.dumps, rows)), "rows.jsonl")
    out = answered(file, "out.ods", [Answer(one, 0.5) for one in odd])
    folder = tmp_path / "read again"
    folder.mkdir()
    read_unlabelled(out, folder, LIMITS)
    (batch,) = rows_of(folder)
    found = batch.column("text").to_pylist()
    assert found == [one.replace("\x07", "") for one in odd] == batch.column("answer").to_pylist()


def test_the_worst_answers_are_named_with_their_rows(answered, tmp_path):
    lines = "".join(f"{place},text {place}\n" for place in range(40))
    answers = [Answer("a", 0.9, place % 2 == 0, "b") for place in range(40)]
    answered(made.written(tmp_path, "id,text\n" + lines), "out.csv", answers, CHECKED)
    written = answered.written
    assert (written.rows, written.answered) == (40, 40)
    assert [one.row for one in written.wrong] == [str(place + 2) for place in range(1, 40, 2)]
    assert (written.wrong[0].read, written.wrong[0].answer, written.wrong[0].expected) == ("text 1", "a", "b")


def test_pictures_need_no_labels_and_come_back_by_their_names(answered, tmp_path):
    file = made.zipped(tmp_path, {"b.png": made.picture(3), "a.png": made.picture(200)})
    out = answered(file, "out.csv", [Answer("dark", 0.5), Answer("bright", 0.75)], inputs=("image",))
    assert out.read_text().splitlines() == [
        "file,answer,confidence", "b.png,dark,0.5", "a.png,bright,0.75",
    ]  # fmt: skip


def test_pictures_of_parquet_keep_a_column_that_is_called_as_that_of_their_names(answered, tmp_path):
    rows = {"image": [{"bytes": made.picture(3), "path": None}], "file": ["mine.png"]}
    pq.write_table(pa.table(rows), tmp_path / "rows.parquet")
    out = answered(tmp_path / "rows.parquet", "out.csv", [Answer("dark", 0.5)], inputs=("image",))
    assert out.read_text().splitlines() == ["file 2,file,answer,confidence", "1,mine.png,dark,0.5"]


def test_one_picture_is_answered_too(answered, tmp_path):
    (tmp_path / "one.png").write_bytes(made.picture(3))
    out = answered(tmp_path / "one.png", "out.jsonl", [Answer("dark", 0.5)], inputs=("image",))
    assert json.loads(out.read_text()) == {"file": "one.png", "answer": "dark", "confidence": 0.5}


def test_conversations_that_end_with_a_question_have_a_prompt(answered, tmp_path):
    said = [{"role": "user", "content": "a?"}]
    known = [*said, {"role": "assistant", "content": "b"}]
    lines = (json.dumps({"messages": one}) for one in (said, known, [{"role": "x", "content": ""}]))
    file = made.written(tmp_path, "\n".join(lines), "rows.jsonl")
    answered(file, "out.jsonl", [Answer("x", 0.5), Answer("y", 0.5), Answer(None)])
    (batch,) = rows_of(tmp_path / "read for out.jsonl")
    assert batch.select(["prompt", "answer"]).to_pylist() == [
        {"prompt": "a?", "answer": None}, {"prompt": "a?", "answer": "b"}, {"prompt": None, "answer": None},
    ]  # fmt: skip
    found = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [[*one] for one in found] == [["messages", "answer", "confidence"]] * 3


def test_a_child_reads_and_writes_the_same(answered, tmp_path):
    file = made.written(tmp_path, "id,text\n1,a\n2,=b\n")
    answers = [Answer("x", 0.5, True, "x"), Answer(None, why=("it is odd", "mend it"))]
    here = answered(file, "here.csv", answers, CHECKED)
    folder = tmp_path / "in child"
    folder.mkdir()
    kept = read_unlabelled_in_child(file, folder, LIMITS)
    Answers(folder / ANSWERS, {}).add(answers)
    out = tmp_path / "child.csv"
    written = write_answered_in_child(file, out, folder, inputs=["text"], added=CHECKED, limits=LIMITS)
    assert (kept.rows, kept.columns) == (2, ("id", "text"))
    assert out.read_bytes() == here.read_bytes() and written == answered.written
    assert written.unanswered == ("Row 3: it is odd. Mend it.",)
    with pytest.raises(DataRefused, match="more than 1 rows"):
        read_unlabelled_in_child(file, folder, dataclasses.replace(LIMITS, rows=1))


def print_megabytes(file: Path) -> None:
    """What reading a file, keeping an answer to each of its rows and writing them takes."""
    (file.parent / "read").mkdir()
    found = apply_file.measure(file, file.parent / "read", file.with_stem("out"), None)
    print(found["rows"], found["memory_mb"])


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet", "ods"])
def test_memory_does_not_grow_with_the_rows(kind, tmp_path):
    megabytes = []
    for rows in (10_000, 70_000):  # the first fill one batch
        file = tmp_path / str(rows) / f"rows.{kind}"
        file.parent.mkdir()
        apply_file.write_file(file, rows)
        code, printed, errors = Forked(tmp_path, print_megabytes, file).end()
        assert code == 0, errors
        read, grown = map(float, printed.split())
        assert read == rows
        megabytes.append(grown)
    # The 60,000 further rows, as Python has them, are 30 MB.
    assert megabytes[1] - megabytes[0] < 20


def test_an_ending_that_is_no_format_is_refused(tmp_path):
    with pytest.raises(DataRefused, match=r"says no format that is.*\.csv"):
        require_writable(tmp_path / "out.doc")


def test_answers_go_on_after_what_a_killed_program_left(tmp_path):
    answers = Answers(tmp_path / ANSWERS, {"run": "1"})
    answers.add([Answer("a", 0.5), Answer("b", 0.5)])
    with (tmp_path / ANSWERS).open("a") as file:
        file.write('["half')
    again = Answers(tmp_path / ANSWERS, {"run": "1"})
    assert again.count == 2
    again.add([Answer("c", 0.5)])
    assert [one.value for one in again] == ["a", "b", "c"]
    assert Answers(tmp_path / ANSWERS, {"run": "2"}).count == 0
