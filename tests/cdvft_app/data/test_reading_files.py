"""Files of one's own: what is read of them, which rows are named, and what is refused."""

from __future__ import annotations

import datetime
import json
import shutil
from pathlib import Path

import made
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from given_tables import values

from cdvft_app.catalog.uploaded import kept_table
from cdvft_app.data.imported_table import find, import_file
from cdvft_app.data.source import DataRefused, Limits
from cdvft_app.settings.environment import data_folder


@pytest.mark.parametrize(
    "text, encoding, said",
    [
        ("text,label\nönce,a\ntwice,b\n", "utf-8", ("UTF-8", "comma")),
        ("text;label\r\nönce;a\r\ntwice;b\r\n", "cp1252", ("Windows-1252 (Western)", "semicolon")),
        ("text\tlabel\nönce\ta\ntwice\tb\n", "utf-16", ("UTF-16", "tab")),
        ("text\tlabel\nönce\ta\ntwice\tb\n", "utf-16-le", ("UTF-16", "tab")),
        ("text\tlabel\nönce\ta\ntwice\tb\n", "utf-16-be", ("UTF-16", "tab")),
        ("text\tlabel\nönce\ta\ntwice\tb\n", "utf-32", ("UTF-32", "tab")),
        ("text|label\rönce|a\rtwice|b\r", "utf-8-sig", ("UTF-8", "bar")),
        ('text,label\n"önce",a\r\n"twice",b\n', "utf-8", ("UTF-8", "comma")),
    ],
)
def test_a_table_is_read_whatever_wrote_it(tmp_path, text, encoding, said):
    kept = import_file(made.written(tmp_path, text, encoding=encoding))
    assert (kept.encoding, kept.separator) == said
    assert kept.columns == ("text", "label") and values(kept) == [("önce", "a"), ("twice", "b")]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("empty", ["", '""'])
def test_empty_columns_leave_a_table_its_head(tmp_path, separator, empty):
    """And what comes in them further down than a head is looked for stays in a column of its own."""
    rows = [("ham" if place % 3 else "spam", f"text {place}") for place in range(30)]
    lines = [separator.join([row[0], empty, row[1], empty]) for row in [("v1", "v2"), *rows]]
    text = "\n".join([*lines, separator.join(("ham", "late", "text", "more"))])
    kept = import_file(made.written(tmp_path, text))
    assert kept.columns == ("v1", "column 2", "v2", "column 4") and not kept.notes
    assert values(kept) == [*((one, None, two, None) for one, two in rows), ("ham", "late", "text", "more")]


def test_parquet_gives_names_of_classes_and_pictures(tmp_path):
    features = {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}
    metadata = {b"huggingface": json.dumps({"info": {"features": features}}).encode()}
    pictures = [{"bytes": one, "path": None} for one in (made.picture(0), made.picture(90), b"x")]
    rows = pa.table({"img": pictures, "label": [0, 1, 1], "extra": [[1], [2], [3]]})
    pq.write_table(rows.replace_schema_metadata(metadata), tmp_path / "rows.parquet")
    kept = import_file(tmp_path / "rows.parquet")
    labels = kept_table(kept.sha256).column("label").to_pylist()
    assert (kept.kind, labels) == ("image", ["cat", "dog"])
    assert "extra" in kept.notes[0] and "Row 3" in kept.row_errors.sentences()[0]


def test_a_column_of_parquet_named_image_is_kept_where_it_holds_texts(tmp_path):
    names, path = ["a.png", "b.png"], tmp_path / "rows.parquet"
    pq.write_table(pa.table({"image": names}), path)
    assert values(import_file(path)) == [("a.png",), ("b.png",)]
    photos = [{"bytes": made.picture(value), "path": None} for value in (0, 90)]
    pq.write_table(pa.table({"photo": photos, "image": names, "label": ["cat", "dog"]}), path)
    kept = import_file(path)
    assert (kept.kind, kept.columns) == ("image", ("image", "image 2", "label"))
    assert [row[1:] for row in values(kept)] == [("a.png", "cat"), ("b.png", "dog")]


@pytest.mark.parametrize(
    "of_bytes", [pa.binary(), pa.large_binary(), pa.binary_view(), pa.binary(2)], ids=str
)
def test_bytes_of_parquet_that_are_no_text_are_left_out_and_said(tmp_path, of_bytes):
    rows = {"text": ["once", "twice"], "hash": pa.array([b"\xff\xfe", b"\xfe\xff"], of_bytes)}
    pq.write_table(pa.table(rows), tmp_path / "rows.parquet")
    kept = import_file(tmp_path / "rows.parquet")
    assert values(kept) == [("once",), ("twice",)] and kept.notes[0].endswith("nor numbers: hash.")


def test_messages_of_parquet_may_have_a_time(tmp_path):
    said = [("user", "Hi?"), ("assistant", "Yes.")]
    at = datetime.datetime(2026, 3, 4, tzinfo=datetime.UTC)
    talks = [[{"role": role, "content": text, "at": at} for role, text in said]] * 2
    pq.write_table(pa.table({"messages": talks}), tmp_path / "chats.parquet")
    assert values(import_file(tmp_path / "chats.parquet")) == [("Hi?", "Yes.")] * 2


def test_a_file_that_another_process_has_just_read_is_not_refused(tmp_path, monkeypatch):
    rename = Path.rename

    def late(self: Path, target: Path) -> Path:
        shutil.copytree(self, target)
        return rename(self, target)

    path = made.clean_csv(tmp_path / "rows.csv", made.sentences(10))
    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", late)
        kept = import_file(path)
    assert kept == find(kept.sha256) and len(values(kept)) == 10
    assert [folder.name for folder in data_folder().iterdir()] == [kept.sha256]


@pytest.mark.parametrize(
    "text, name, why",
    [
        ("", "empty.csv", "is empty"),
        ("sep=;\n\n", "separator.csv", "is empty"),
        ("text,label\n", "head.csv", "“text”, “label” and no rows"),
        ("\x00\x01\x02", "odd.bin", "not a text file"),
        ("1\n", "one.json", "holds a JSON object"),
        ('[{"text": "a"', "cut.json", "not a list of JSON"),
        ("[]", "empty.json", r"it is empty"),
        ("[[1], [2]]", "lists.json", r"its first item is none"),
        ("[]", "list.jsonl", "holds a JSON object"),
        ('{\n "rows": [\n  {\n   "text": "a"\n  }\n ]\n}', "object.json", "is one JSON object and no rows"),
        ('{"text": {"0": "a"}, "label": {"0": 1}}', "pandas.json", 'orient="records"'),
        ("{'text': 'a'}\n{'text': 'b'}\n", "python.jsonl", "No line of “python.jsonl” holds a JSON object"),
        ("%PDF-1.7\n", "rows.csv", "is a PDF. Give its rows as a CSV"),
        ("PAR1 and nothing", "rows.parquet", "cannot be read as Parquet"),
        ("PK\x03\x04 and nothing", "pictures.zip", "no whole zip file"),
    ],
)
def test_what_is_no_table_is_refused_in_a_sentence(tmp_path, text, name, why):
    with pytest.raises(DataRefused, match=why):
        import_file(made.written(tmp_path, text, name))
    assert not data_folder().exists() or not list(data_folder().iterdir())


@pytest.mark.parametrize("name", ["mine.json", f"{'ö' * 100}.json"], ids=["short", "too long for a disk"])
def test_a_refused_file_of_a_zip_is_called_by_its_own_name(tmp_path, name):
    members = {"a/first.jsonl": '{"text": "a", "label": 1}\n', f"b/{name}": "[[1], [2]]"}
    with pytest.raises(DataRefused, match=f"{name[-60:]}” is not a list of JSON"):
        import_file(made.zipped(tmp_path, members, "rows.zip"))


@pytest.mark.parametrize("name", ["book.xlsx", "book.xls", "book.csv"])
def test_a_workbook_that_cannot_be_read_is_refused_by_what_it_is(tmp_path, name):
    members = {"[Content_Types].xml": "", "xl/workbook.xml": "", "xl/media/image1.png": made.picture(1)}
    with pytest.raises(DataRefused, match=f"“{name}” cannot be read as a spreadsheet"):
        import_file(made.zipped(tmp_path, members, name))
    (tmp_path / name).write_bytes(bytes.fromhex("d0cf11e0a1b11ae1") + bytes(600))  # of Excel before 2007
    with pytest.raises(DataRefused, match=f"“{name}” is an Excel workbook in an old or binary format"):
        import_file(tmp_path / name)


def test_limits_are_named(tmp_path):
    path = made.clean_csv(tmp_path / "rows.csv", made.sentences(30))
    for limit, why in (({"file_bytes": 100}, "MB"), ({"rows": 20}, "20 rows"), ({"columns": 1}, "2 columns")):
        with pytest.raises(DataRefused, match=why):
            import_file(path, Limits(**limit))
    long = made.clean_csv(tmp_path / "long.csv", [("x" * 90, "a"), ("y", "b")])
    kept = import_file(long, Limits(cell_characters=50))
    assert values(kept) == [("y", "b")] and "more than 50 characters" in kept.row_errors.sentences()[0]


def test_a_table_of_parquet_whose_text_is_in_no_encoding_is_refused(tmp_path):
    file = tmp_path / "latin.parquet"
    latin = pa.array([b"caf\xe9 %d" % number for number in range(20)], pa.binary())
    pq.write_table(pa.table({"text": latin.view(pa.string()), "label": ["a", "b"] * 10}), file)
    with pytest.raises(DataRefused, match=r"damaged: .*UTF8"):
        import_file(file)
