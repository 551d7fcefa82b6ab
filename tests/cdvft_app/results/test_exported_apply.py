"""apply.py of an exported folder: it answers a file's rows as the run does, alone."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import gzip
import io
import json
import re
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path

import made
import openpyxl
import pytest
from PIL import Image
from transformers import logging

from cdvft_app.catalog import get_model
from cdvft_app.data.answered_file import Answer, read_unlabelled
from cdvft_app.data.imported_table import import_file
from cdvft_app.data.inspect import inspect
from cdvft_app.data.row_errors import RowErrors
from cdvft_app.data.source import LIMITS
from cdvft_app.metrics import METRICS, measure_each_text, measure_texts
from cdvft_app.metrics.accuracy import Accuracy
from cdvft_app.results import apply as applying
from cdvft_app.results import table_rows
from cdvft_app.results.exporters import file_name
from cdvft_app.results.script import write_script
from cdvft_app.results.weights import BASE
from cdvft_app.tasks.base import InvalidInput
from cdvft_app.training import trainable

TEXTS = ["a good film", "the awful plot", "", "fine and odd"]


NEIGHBOURS = {
    "table_rows", "records", "row_errors", "table_score", "picture_rows", "picture_labels", "cleaning",
    "conversations", "written_numbers", "shared_prefix", "writing", "metrics",
}  # fmt: skip


def forget_neighbours(monkeypatch):
    """So that the modules beside an apply.py are those of its own folder."""
    for name in [name for name in sys.modules if name.partition(".")[0] in NEIGHBOURS]:
        monkeypatch.delitem(sys.modules, name)


def with_data(run, **changed):
    """The same run on other data."""
    dataset = dataclasses.replace(run.plan.dataset, **changed)
    return dataclasses.replace(run, plan=dataclasses.replace(run.plan, dataset=dataset))


def read(file: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(file.open(encoding="utf-8")))


@pytest.fixture
def applied(exported, tmp_path, monkeypatch):
    """`applied(run, to, file, *arguments)`: what apply.py of the exported folder writes as out.csv."""

    def go(run, to: str, file: Path, *arguments: str, out: str = "out.csv", without: str = "") -> Path:
        folder = tmp_path / to
        if not folder.exists():
            exported(run, to)
        monkeypatch.syspath_prepend(str(folder))
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["apply.py", str(file), out, *arguments])
        if without:
            monkeypatch.setitem(sys.modules, without, None)
        forget_neighbours(monkeypatch)
        runpy.run_path(f"{to}/apply.py", run_name="__main__")
        return tmp_path / out

    verbosity = logging.get_verbosity()
    yield go
    logging.set_verbosity(verbosity)  # a script of its own may be as quiet as it likes
    logging.enable_progress_bar()


def answers_of(run, given):
    return trainable.load_trained(run.plan, run.folder)[0].predict(given)


@pytest.mark.parametrize("case", [("cdvft", "adapter"), ("cdvft", "merged"), ("head", "adapter")])
def test_texts_are_answered_as_by_the_run(runs, applied, tmp_path, capsys, case):
    method, to = case
    lines = "".join(f"{place};{text};{place % 2}\n" for place, text in enumerate(TEXTS))
    file = made.written(tmp_path, f"id;Text;label\n{lines}4;odd;1;more\n", encoding="cp1252")
    rows = read(applied(runs("text", method), to, file))
    assert [row["Text"] for row in rows] == TEXTS
    wanted = answers_of(runs("text", method), [text for text in TEXTS if text])
    found = [row for row in rows if row["Text"]]
    assert [row["answer"] for row in found] == [one.label for one in wanted]
    assert [float(row["confidence"]) for row in found] == pytest.approx(
        [max(one.probabilities) for one in wanted], abs=2e-4
    )
    told = capsys.readouterr().out
    assert rows[2]["answer"] == "" and told.startswith("3 of 4 rows answered")
    assert "\nRow 4: It is empty. Give it a value, or leave the row out." in told, "as the app names it"
    assert "\nnot in it: Row 6: it has more values than the head has columns. Put values" in told


def test_the_sheet_with_the_columns_is_read_below_its_title_and_comes_back(runs, applied, tmp_path, capsys):
    book = openpyxl.Workbook()
    book.active.append(["What is in here", "films"])
    sheet = book.create_sheet("Films")
    films = [1.5, "a good film", "positive"], [2, "bad", "negative"], [3, "fine", "postive"]
    for row in (["Films of 2026", None], ["n", "review", "label"], *films):
        sheet.append(row)
    book.save(tmp_path / "new.xlsx")
    out = applied(runs("text", "cdvft"), "adapter", tmp_path / "new.xlsx", "--text", "review", out="out.xlsx")
    sheet = openpyxl.load_workbook(out).active
    assert [cell.value for cell in sheet["A"]] == ["n", 1.5, 2, 3]
    assert {cell.value for cell in sheet["D"][1:]} <= {"positive", "negative"}
    told = capsys.readouterr().out
    assert "over 2 rows with a label" in told
    assert "Row 5 is not scored: no answer can be compared with its label." in told


@pytest.mark.parametrize("metric", ["accuracy", "matthews"])
def test_a_score_is_told_as_the_app_tells_it(runs, applied, tmp_path, capsys, metric):
    run = with_data(runs("text", "cdvft"), metric=metric)
    labels = ["positive", "0", "", "unheard of", "1", "negative", "1", "positive"]
    texts = [f"{TEXTS[place % 4] or 'dull'} {place}" for place in range(len(labels))]
    file = made.written(tmp_path, "text,Label\n" + "".join(map("{},{}\n".format, texts, labels)))
    rows = read(applied(run, "adapter", file))
    named = [{"0": run.labels[0], "1": run.labels[1]}.get(one, one) for one in labels]
    known = [place for place, one in enumerate(named) if one in run.labels]
    answers = [
        Answer(rows[place]["answer"], 0.5, rows[place]["answer"] == named[place], named[place])
        for place in known
    ]
    told = applying.score_of(run, run.labels, answers).sentence
    assert told in capsys.readouterr().out and told.lower().startswith(metric)
    wanted = {place: str(one.check) for place, one in zip(known, answers, strict=True)}
    assert [row["correct"] for row in rows] == [wanted.get(place, "") for place in range(len(labels))]


def test_a_metric_that_the_folder_does_not_hold_is_scored_as_no_other(runs, applied, tmp_path, monkeypatch):
    class Balanced(Accuracy):
        key = "balanced"

    monkeypatch.setitem(METRICS, "balanced", Balanced())
    run = with_data(runs("text", "cdvft"), metric="balanced")
    with pytest.raises(KeyError, match="balanced"):
        applied(run, "adapter", made.written(tmp_path, "text,Label\na good film,positive\n"))


def test_of_a_pair_both_texts_are_needed_as_in_the_app(runs, applied, tmp_path, capsys):
    rows = ["a good film,fine,1", "a good film,,1", ",fine,0", "the awful plot,bad,0"]
    run = runs("pair", "cdvft")
    file = made.written(tmp_path, "text,second,label\n" + "\n".join(rows))
    found = read(applied(run, "adapter", file))
    assert [bool(row["answer"]) for row in found] == [True, False, False, True]
    assert "over 2 rows with a label" in capsys.readouterr().out


@pytest.mark.parametrize("to", ["adapter", "merged"])
def test_numbers_are_answered_and_scored_in_their_own_unit(runs, applied, tmp_path, capsys, to):
    run = runs("number", "cdvft")
    prices = [61.5, 0, None, "on request", 540, 66, 530, 59]
    book = openpyxl.Workbook()
    book.active.append(["text", "price"])
    for place, price in enumerate(prices):
        book.active.append([f"{TEXTS[place % 4] or 'dull'} {place}", price])
    book.save(tmp_path / "flats.xlsx")
    out = applied(run, to, tmp_path / "flats.xlsx", out="out.xlsx")
    head, *rows = openpyxl.load_workbook(out).active.iter_rows(values_only=True)
    assert head == ("text", "price", "answer", "error")
    wanted = [one.value for one in answers_of(run, [row[0] for row in rows])]
    assert [row[2] for row in rows] == pytest.approx(wanted, rel=1e-4)
    assert min(wanted) > 40 and max(wanted) < 700
    known = [row for row in rows if isinstance(row[1], int | float)]
    assert [row[3] is not None for row in rows] == [row in known for row in rows] and len(known) == 6
    assert [row[3] for row in known] == pytest.approx([row[2] - row[1] for row in known], rel=1e-4)
    answers = [Answer(answer, None, error, float(price)) for _, price, answer, error in known]
    score = applying.score_of(run, (), answers)
    assert score.off == pytest.approx(sum(abs(row[3]) for row in known) / 6, rel=1e-4)
    assert score.sentence in capsys.readouterr().out and "; an answer is off by" in score.sentence


def test_prices_as_people_write_them_are_scored(runs, applied, tmp_path, capsys):
    run = runs("number", "cdvft")
    run = with_data(run, uploaded=run.plan.dataset.uploaded.model_copy(update={"clean": ("numbers:comma",)}))
    file = made.written(tmp_path, "text;price\na good film;1.234,50 EUR\nthe awful plot;61,- EUR\n")
    rows = read(applied(run, "adapter", file))
    assert [row["price"] for row in rows] == ["1.234,50 EUR", "61,- EUR"]
    off = [float(row["answer"]) - price for row, price in zip(rows, (1234.5, 61), strict=True)]
    assert [float(row["error"]) for row in rows] == pytest.approx(off, rel=1e-4)
    assert "over 2 rows with a label" in capsys.readouterr().out


def test_all_columns_stay_whatever_they_are_called_and_whatever_the_first_row_lacks(runs, applied, tmp_path):
    file = made.written(tmp_path, "text,answer,label\n,mine,\na good film,yours,positive\n")
    rows = read(applied(runs("text", "cdvft"), "adapter", file))
    assert [*rows[0]] == ["text", "answer", "label", "answer 2", "confidence", "correct"]
    assert [row["answer"] for row in rows] == ["mine", "yours"]
    assert rows[0]["answer 2"] == rows[0]["confidence"] == "" and rows[1]["answer 2"]


def test_a_column_that_is_not_there_is_asked_for(runs, applied, tmp_path):
    with pytest.raises(SystemExit, match="no column 'text'; the columns are a, b"):
        applied(runs("text", "cdvft"), "adapter", made.written(tmp_path, "a,b\n1,2\n"))


def rows_of(file: Path, faults: RowErrors | None = None) -> Iterator[tuple[int, dict]]:
    yield from table_rows.read(file, (), RowErrors() if faults is None else faults)


@pytest.mark.parametrize(("ending", "package"), [("xlsx", "openpyxl"), ("parquet", "pyarrow")])
def test_a_package_that_a_file_needs_is_named(tmp_path, monkeypatch, ending, package):
    def nothing_there(name):
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(table_rows, "import_module", nothing_there)
    with pytest.raises(SystemExit, match=f"new.{ending} needs .*: pip install {package}"):
        [*rows_of(tmp_path / f"new.{ending}")]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("new.csv.gz", "text,cost\ngut,1\nübel,2\n"),
        ("new.tsv.gz", "text\tcost\ngut\t1\nübel\t2\n"),
        ("new.jsonl.gz", '{"text": "gut", "cost": "1"}\n{"text": "übel", "cost": "2"}\n'),
        ("new.json.gz", '[{"text": "gut", "cost": "1"}, {"text": "übel", "cost": "2"}]'),
    ],
)
def test_a_file_packed_by_gzip_is_read(tmp_path, name, text):
    (tmp_path / name).write_bytes(gzip.compress(text.encode("utf-8")))
    found = [row for _, row in rows_of(tmp_path / name)]
    assert found == [{"text": "gut", "cost": "1"}, {"text": "übel", "cost": "2"}]


REFUSED = [
    ("gone.csv", None, "“.*gone.csv” cannot be read: No such file or directory. Give a file of rows: CSV"),
    ("folder", "", "“folder” is a folder, and texts are answered here. Give a file of rows: CSV"),
    ("one.png", b"\x89PNG", "“one.png” is a picture, and texts are answered here. Give a file of rows"),
    ("cut.csv.gz", gzip.compress(b"text\na\nb\n" * 99)[:-9], "cut.csv.gz” cannot be read: .*. Give a file"),
    ("cut.xlsx", b"PK\x03\x04", "cut.xlsx” cannot be read: File is not a zip file. Give a file of rows"),
    ("cut.parquet", b"PAR1", "cut.parquet” cannot be read: Parquet .*. Give a file of rows"),
    ("one.json", b'{"text": "a"}', "it is no list of JSON objects, such as .* in each line .jsonl. Give"),
    ("cut.json", b'[{"text": "a"', "cut.json” cannot be read: Expecting .*. Give a file of rows"),
    *((f"new.{ending}", b"PK\x03\x04", r"is not read here\. Save it as \.xlsx or as CSV\.")
      for ending in ("ods", "xls", "zip")),
]  # fmt: skip


@pytest.mark.parametrize(("name", "held", "why"), REFUSED, ids=[name for name, *_ in REFUSED])
def test_what_cannot_be_read_is_refused_in_a_sentence(tmp_path, name, held, why):
    if held:
        (tmp_path / name).write_bytes(held)
    elif held is not None:
        (tmp_path / name).mkdir()
    with pytest.raises(SystemExit, match=why) as refused:
        [*rows_of(tmp_path / name)]
    assert "\n" not in str(refused.value)


LEFT_OUT = [
    ("odd.json", '[{"text": "a"}, 2, {"text": "b"}]', [1, 3], "it holds a number and no object"),
    ("odd.jsonl", '{"text": "a"}\n\n[1]\n{"text": "b"}\n', [1, 4], "it holds a list and no object"),
    ("cut.jsonl", '{"text": "a"}\n{"text"\n{"text": "b"}\n', [1, 3], "it is no JSON"),
    ("long.csv", "text,n\na,1\nb,2,3\nb,2,\n", [2, 4], "it has more values than the head has columns"),
    ("short.csv", "text,n\na,1\nb\nb,2\n", [2, 4], "it has fewer values than the head has columns"),
    ("open.csv", 'text,n\na,1\n"x,3\nb,2\n', [2, 4], "a quotation mark is opened and never closed"),
]


@pytest.mark.parametrize(("name", "held", "numbers", "why"), LEFT_OUT, ids=[one[0] for one in LEFT_OUT])
def test_damaged_rows_are_left_out_and_named_as_by_the_app(tmp_path, name, held, numbers, why):
    (tmp_path / name).write_text(held)
    (tmp_path / "work").mkdir()
    faults = RowErrors()
    rows = [*rows_of(tmp_path / name, faults)]
    assert [number for number, _ in rows] == numbers and [row["text"] for _, row in rows] == ["a", "b"]
    told = read_unlabelled(tmp_path / name, tmp_path / "work", LIMITS).row_errors.sentences()
    assert faults.sentences() == told and why in told[0]


@pytest.mark.parametrize("said", ["sep=|\n", '"sep=|"\r\n\n', "\n\nSEP=|\n"])
def test_a_first_line_that_says_the_separator_is_no_head_as_in_the_app(tmp_path, said):
    file = made.written(tmp_path, f"{said}text|n,m\na, b|1\nc|2\n")
    (tmp_path / "work").mkdir()
    rows = [*rows_of(file)]
    assert [row for _, row in rows] == [{"text": "a, b", "n,m": "1"}, {"text": "c", "n,m": "2"}]
    assert read_unlabelled(file, tmp_path / "work", LIMITS).columns == ("text", "n,m")


@pytest.mark.parametrize("mixed", [False, True])
def test_windows_1252_is_read_as_by_the_app_wherever_it_begins(tmp_path, mixed):
    lines = ["id,text\n" + "0,once\n" * 20_000, "1,fünf\n", "2,zwölf\n"]
    file = tmp_path / "new.csv"
    file.write_bytes("".join(lines[:2]).encode("utf-8" if mixed else "cp1252") + lines[2].encode("cp1252"))
    found = [row["text"] for _, row in rows_of(file)]
    assert found[-3:] == ["once", "fünf", "zwölf"] and len(found) == 20_002


@pytest.mark.parametrize("out", ["out.csv", "out.jsonl", "out.xlsx"])
def test_a_file_that_ends_too_soon_leaves_no_part_of_an_answered_file(tmp_path, out):
    rows = [json.dumps({"text": f"a good film {place}", "n": "7" * 500}) for place in range(300)]
    file = tmp_path / "new.jsonl.gz"
    file.write_bytes(gzip.compress("\n".join(rows).encode())[:-9])
    why = r"beyond row 2\d\d: .* ended before .*\. Mend or remove what comes after that row\."
    with pytest.raises(SystemExit, match=why):
        table_rows.write(tmp_path / out, (row for _, row in rows_of(file)))
    assert sorted(one.name for one in tmp_path.iterdir() if one.is_file()) == ["new.jsonl.gz"]
    (tmp_path / out).write_text("answers of yesterday")
    with pytest.raises(SystemExit, match=why):
        table_rows.write(tmp_path / out, (row for _, row in rows_of(file)))
    assert (tmp_path / out).read_text() == "answers of yesterday"
    assert not [*tmp_path.glob(".answers-*")], "and nothing lies beside it"


@pytest.mark.parametrize("head", ["", "text,label\n"])
def test_a_file_without_rows_is_refused(runs, applied, tmp_path, head):
    with pytest.raises(SystemExit, match=r"has no rows\. Give a file with a head and rows"):
        applied(runs("text", "cdvft"), "adapter", made.written(tmp_path, head))
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize(
    ("out", "why"),
    [
        ("out.parquet", "cannot be written: its ending .*. Give one of .csv, .tsv, .jsonl, .xlsx."),
        ("away/out.csv", "cannot be written: there is no such folder. Make it, or name another."),
        ("new.csv", "is the file that is answered. Give the answers another name."),
    ],
)
def test_a_file_that_cannot_be_written_is_refused_before_any_row_is_answered(tmp_path, out, why):
    given = tmp_path / "new.csv"
    given.write_text("text\na\n")
    with pytest.raises(SystemExit, match=why):
        table_rows.require_writable(tmp_path / out, given)
    assert given.read_text() == "text\na\n"


@pytest.mark.parametrize(
    ("out", "rows", "why"),
    [
        ("out.csv", [{"a": 1}, {"b": 2}], "Row 2 has “b”, which the first row does not have. .* .jsonl"),
        ("out.xlsx", [{"a": 1}, {"b": 2}], "Row 2 has “b”, which the first row does not have. .* .jsonl"),
        ("out.xlsx", [{"a": [1]}], "Row 1 holds what no .xlsx can: .* .jsonl"),
        ("out.xlsx", [{"a": "\x01"}], "Row 1 holds what no .xlsx can: .* .jsonl"),
    ],
)
def test_rows_that_a_format_cannot_hold_are_refused_in_a_sentence(tmp_path, out, rows, why):
    with pytest.raises(SystemExit, match=why):
        table_rows.write(tmp_path / out, iter(rows))


def test_a_row_that_lacks_a_column_keeps_its_values_under_their_names(tmp_path):
    table_rows.write(tmp_path / "out.xlsx", iter([{"a": 1, "b": 2}, {"b": 3}]))
    head, *rows = openpyxl.load_workbook(tmp_path / "out.xlsx").active.iter_rows(values_only=True)
    assert (head, rows) == (("a", "b"), [(1, 2), (None, 3)])


def test_of_a_pair_both_columns_must_be_named(runs, applied, tmp_path):
    file = made.written(tmp_path, "one,other\na,b\n")
    with pytest.raises(SystemExit, match="What is read is text and second; --text is given 1 times"):
        applied(runs("pair", "cdvft"), "adapter", file, "--text", "one")


def test_it_runs_from_any_folder_with_files_named_from_there(runs, applied, tmp_path, capsys):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "3.png").write_bytes(made.picture(3))
    applied(runs("image", "lora"), "adapter", Path("pictures"))
    assert capsys.readouterr().out == "1 of 1 rows answered, in out.csv\n"
    assert Path("out.csv").read_text().splitlines()[1].startswith("pictures/3.png,")


def test_what_it_cannot_read_or_load_ends_in_a_sentence(runs, applied, tmp_path):
    run = runs("image", "lora")
    with pytest.raises(SystemExit, match=r"^“nowhere” is not there\. Give a folder of pictures, a zip"):
        applied(run, "adapter", Path("nowhere"))
    (tmp_path / "3.png").write_bytes(made.picture(3))
    (tmp_path / "adapter" / "adapter_config.json").unlink()
    with pytest.raises(SystemExit, match=r"^The model cannot be loaded: .* Keep all files of .*/adapter tog"):
        applied(run, "adapter", Path("3.png"))


def test_a_package_that_is_not_installed_is_told_with_what_installs_it(runs, applied, tmp_path):
    new = made.written(tmp_path, "text\na\n")
    with pytest.raises(SystemExit, match=r"peft.* In .*adapter: pip install -r requirements\.txt"):
        applied(runs("text", "lora"), "adapter", new, without="peft")


@pytest.mark.parametrize("kind", ["text", "image", "answer"])
def test_help_and_what_cannot_be_done_are_answered_without_the_model(runs, applied, tmp_path, capsys, kind):
    def asked(file: Path, *arguments: str, **more: str) -> object:
        with pytest.raises(SystemExit) as ended:
            applied(runs(kind, "lora"), "adapter", file, *arguments, without="torch", **more)
        return ended.value.code

    new = made.written(tmp_path, "text\na\n")
    assert asked(new, "--help") == 0 and "[--text TEXT] [--label LABEL]" in capsys.readouterr().out
    assert asked(new, "--column", "a") == 2
    assert "unrecognized arguments: --column a" in capsys.readouterr().err
    assert re.search(r"gone\.csv” (cannot be read: No such file|is not there)", asked(tmp_path / "gone.csv"))
    assert "its ending says no format that is" in asked(new, out="out.doc")


CLASSES = {"dark": 3, "grey": 120, "bright": 250}
PICTURES = {f"{label}/{value}.png": value for label in CLASSES for value in CLASSES.values()}


def unpacked(folder: Path, held: dict[str, bytes]) -> Path:
    for name, data in held.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


@pytest.mark.parametrize(
    "case",
    [(given, told_by) for given in ("folder", "zip") for told_by in ("folders", "names", "table")],
    ids=" by ".join,
)
def test_pictures_are_scored_by_the_labels_that_training_takes(runs, applied, tmp_path, capsys, case):
    given, told_by = case
    run = runs("image", "cdvft")
    held = {name: made.picture(value) for name, value in PICTURES.items()}
    if told_by == "names":
        held = {f"test/{name.replace('/', '_')}": data for name, data in held.items()}
    if told_by == "table":
        labels = "".join(f"{place}.png,{name.split('/')[0]}\n" for place, name in enumerate(held))
        held = {f"{place}.png": data for place, data in enumerate(held.values())}
        held["labels.csv"] = b"file,label\n" + labels.encode()
    held |= {"__MACOSX/dark/3.png": b"", "dark/.3.png": b"", ".old/3.png": b"", "notes.txt": b"mine"}
    file = unpacked(tmp_path / "pics", held) if given == "folder" else made.zipped(tmp_path, held, "pics.zip")
    rows = read(applied(run, "adapter", file))
    wanted = answers_of(run, [opened(value) for value in CLASSES.values()])
    by_value = {value: one.label for value, one in zip(CLASSES.values(), wanted, strict=True)}
    assert sorted(row["label"] for row in rows) == sorted([*CLASSES] * 3)
    right = [row["answer"] == row["label"] for row in rows]
    assert [row["correct"] for row in rows] == list(map(str, right))
    assert sum(right) == sum(by_value[value] == name.split("/")[0] for name, value in PICTURES.items())
    told = capsys.readouterr().out
    assert told.startswith("9 of 9 rows answered") and "over 9 rows with a label" in told


def opened(value: int):
    return Image.open(io.BytesIO(made.picture(value))).convert("RGB")


def test_a_picture_that_cannot_be_read_has_no_answer_and_is_named(runs, applied, tmp_path, capsys):
    file = made.zipped(tmp_path, {"1.png": made.picture(3), "2.png": b"no picture"}, "pics.zip")
    first, second = read(applied(runs("image", "cdvft"), "adapter", file))
    assert first["answer"] and not second["answer"]
    told = capsys.readouterr().out
    assert told.startswith("1 of 2 rows answered")
    assert "Row 2: “" in told and "2.png” cannot be read as a picture. Give another one, or leave" in told


def test_one_picture_and_a_table_of_paths_are_answered(runs, applied, tmp_path):
    run = runs("image", "cdvft")
    table = b"image,n\na.png,7\nb.png,8\n"
    unpacked(tmp_path / "some", {"a.png": made.picture(3), "b.png": made.picture(250), "new.csv": table})
    (alone,) = read(applied(run, "adapter", tmp_path / "some" / "a.png"))
    rows = read(applied(run, "adapter", tmp_path / "some" / "new.csv"))
    wanted = answers_of(run, [opened(3), opened(250)])
    assert [row["answer"] for row in rows] == [one.label for one in wanted]
    sure = [max(one.probabilities) for one in wanted]
    assert [float(row["confidence"]) for row in rows] == pytest.approx(sure, abs=2e-4)
    assert [row["n"] for row in rows] == ["7", "8"]
    assert (alone["answer"], alone["confidence"]) == (rows[0]["answer"], rows[0]["confidence"])


@pytest.mark.parametrize(
    "case",
    [
        ("new.csv", b"text,label\na,b\n", "no column 'image'; the columns are text, label. Give a folder"),
        ("new.zip", b"PK\x03\x04", "“new.zip” is no whole zip file. Pack it again."),
        ("new.tar", b"", "“new.tar” is none of what is read here. Give a folder of pictures, a zip"),
        ("folder/new.txt", b"", "“folder” holds no pictures. Give a folder of pictures, a zip of them"),
    ],
)
def test_what_holds_no_pictures_is_answered_with_what_does(runs, applied, tmp_path, case):
    name, held, why = case
    unpacked(tmp_path, {name: held})
    with pytest.raises(SystemExit, match=why):
        applied(runs("image", "cdvft"), "adapter", tmp_path / name.partition("/")[0])


def test_prompts_are_answered_in_writing_but_for_one_that_leaves_no_room_for_it(
    runs, applied, tmp_path, capsys
):
    run = runs("answer", "cdvft")
    prompts = ["go go 2", "go " * 400 + "2", "one"]
    lines = (json.dumps({"address": one, "n": 1}) for one in prompts)
    file = made.written(tmp_path, "\n".join(lines), "new.jsonl")
    first, without, last = map(json.loads, applied(run, "adapter", file, out="out.jsonl").open())
    wanted = [one.text.strip() for one in answers_of(run, [prompts[0], prompts[2]])]
    assert [first["answer"].strip(), last["answer"].strip()] == wanted and first["n"] == 1
    with pytest.raises(InvalidInput, match="“Longest text” allows 96") as refused:
        answers_of(run, [prompts[1]])
    told = capsys.readouterr().out
    assert without["answer"] is None
    assert told.startswith("2 of 3 rows answered") and f"Row 2: {refused.value}" in told


def test_gpt2_answers_a_long_prompt_beside_a_short_one(of_gpt2, applied, tmp_path):
    """The long one has less room, and GPT-2's table of positions ends there."""
    prompts = ["one", "go " * 60 + "2"]
    file = made.written(tmp_path, "\n".join(json.dumps({"address": one}) for one in prompts), "new.jsonl")
    rows = map(json.loads, applied(of_gpt2, "adapter", file, out="out.jsonl").open())
    wanted = answers_of(of_gpt2, prompts)
    assert [row["answer"].strip() for row in rows] == [one.text.strip() for one in wanted]


WRITTEN = ["n: 2\nkind: go", "kind: Go.\nn: 3", "so #### 2.", "", "n: 2\nkind: go", "a street"]
EXPECTED = ["n: 2\nkind: go", "n: 2\nkind: go", "thus #### 2", "n: 1", "n: 2", "a sheet"]


@pytest.mark.parametrize(
    "case",
    [
        ("exact_match", (), "", "correct"),
        ("exact_match", (), "####", "correct"),
        ("exact_match", ("n", "kind"), "", "correct"),
        ("field_f1", ("n", "kind"), "", "field_f1"),
        ("chrf", (), "", "chrf"),
    ],
)
def test_written_answers_are_judged_by_the_metric_of_the_run(runs, exported, monkeypatch, case):
    metric, fields, mark, column = case
    run = with_data(runs("answer", "cdvft"), metric=metric, fields=fields, answer_mark=mark)
    dataset = run.plan.dataset
    folder = exported(run, "adapter")
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    forget_neighbours(monkeypatch)
    script = runpy.run_path("apply.py", run_name="apply")
    wanted = [one[metric] for one in measure_each_text(WRITTEN, EXPECTED, dataset)]
    found = [script["check"](*pair) for pair in zip(WRITTEN, EXPECTED, strict=True)]
    assert script["CHECK"] == column and found == pytest.approx(wanted, abs=1e-4)
    assert 0 < sum(wanted) < len(wanted), "rows are right, and wrong"
    rows = zip(WRITTEN, found, EXPECTED, strict=True)
    answers = [Answer(answer, None, check, right) for answer, check, right in rows]
    told = applying.score_of(run, (), answers).sentence
    assert script["score"]([*zip(WRITTEN, EXPECTED, strict=True)]) == told
    if metric == "chrf":
        of_all = measure_texts(WRITTEN, EXPECTED, dataset)[metric]
        assert told.startswith(f"chrF {of_all:.3f} "), "of all rows together, as after training"
    needed = Path("requirements.txt").read_text()
    assert ("sacrebleu==" in needed) == (metric == "chrf")


def test_conversations_are_answered_as_by_the_run(runs, applied, tmp_path, capsys):
    run = runs("answer", "cdvft")
    said = [{"role": "system", "content": "one"}, {"role": "user", "content": "go go 2"}]
    given = [said, [*said, {"role": "assistant", "content": "n: 7"}], []]
    lines = (json.dumps({"messages": one}) for one in given)
    file = made.written(tmp_path, "\n".join(lines), "new.jsonl")
    found = [*map(json.loads, applied(run, "adapter", file, out="out.jsonl").open())]
    (wanted,) = answers_of(run, [json.dumps(said)])
    assert [row["messages"] for row in found] == given
    assert found[0]["answer"].strip() == found[1]["answer"].strip() == wanted.text.strip()
    assert [row["correct"] for row in found] == [None, False, None] and found[2]["answer"] is None
    assert "over 1 row with a label; 1 is wrong" in capsys.readouterr().out


def test_texts_are_mended_as_those_that_were_learned_from(runs, applied, tmp_path, monkeypatch):
    monkeypatch.setenv("RUNS_DIR", str(tmp_path / "home"))
    kept = import_file(made.clean_csv(tmp_path / "tickets.csv", made.sentences(60)))
    data = inspect(kept, "tickets", clean=("strip-html", "merge-case")).data
    run = with_data(runs("text", "cdvft"), uploaded=data)
    file = made.written(tmp_path, "review\n<b>a good</b> film\na good film\n")
    first, second = read(applied(run, "adapter", file))
    assert (first["answer"], first["confidence"]) == (second["answer"], second["confidence"])
    assert "merge-case" in (tmp_path / "adapter" / "README.md").read_text()


def test_the_base_lies_beside_where_that_is_asked_for(runs, tmp_path, applied):
    applied(runs("text", "cdvft"), "offline", made.written(tmp_path, "text\ngood\n"))
    folder = tmp_path / "offline"
    assert (folder / BASE / "model.safetensors").is_file()
    text = (folder / "apply.py").read_text()
    assert f'from_pretrained("{BASE}"' in text and get_model("minilm").base(None)[0] not in text


@pytest.mark.parametrize("method", ["cdvft", "head"])
def test_what_the_exported_script_trained_is_applied_beside_it(runs, applied, tmp_path, text_rows, method):
    run, folder = runs("text", method), tmp_path / "script"
    write_script(run, folder, text_rows)
    assert (folder / BASE / "model.safetensors").is_file()
    with contextlib.chdir(folder):
        runpy.run_path(str(folder / "train.py"), run_name="__main__")
    rows = read(applied(run, "script", made.written(tmp_path, "text\na good film\nthe awful plot\n")))
    wanted = answers_of(run, [row["text"] for row in rows])
    assert [row["answer"] for row in rows] == [one.label for one in wanted]
    shares = [max(one.probabilities) for one in wanted]
    assert [float(row["confidence"]) for row in rows] == pytest.approx(shares, abs=1e-3)


def test_files_are_named_by_race_and_method(runs):
    run = runs("text", "cdvft")
    assert file_name(run, "adapter") == "films_cdvft_adapter.zip"
    named = dataclasses.replace(run, record=dataclasses.replace(run.record, name="Tickets: Über / 2026"))
    assert file_name(named, "merged") == "tickets-uber-2026_cdvft_merged.zip"
    method = run.record.settings.method
    settings = run.record.settings.model_copy(update={"method": method.model_copy(update={"m": 3})})
    other = dataclasses.replace(run.record, settings=settings)
    twice = dataclasses.replace(run, race=(run.record, other))
    assert file_name(twice, "adapter").startswith("films_cdvft-m-")
