"""Files of one's own: what is read of them, which rows are named, and what is refused."""

from __future__ import annotations

import json
import os
import stat
import zipfile

import made
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cdvft_app.catalog.own import table
from cdvft_app.data.faults import DataRefused
from cdvft_app.data.folders import packed_files
from cdvft_app.data.keep import faults_of, find, keep
from cdvft_app.data.limits import Limits
from cdvft_app.store.location import data_folder


def written(tmp_path, text, name="rows.csv", encoding="utf-8"):
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    return path


def values(kept):
    return [tuple(row.values())[1:] for row in table(kept.sha256).to_pylist()]


@pytest.mark.parametrize(
    "text, encoding, said",
    [
        ("text,label\nönce,a\ntwice,b\n", "utf-8", ("UTF-8", "comma")),
        ("text;label\r\nönce;a\r\ntwice;b\r\n", "cp1252", ("Windows-1252 (Western)", "semicolon")),
        ("text\tlabel\nönce\ta\ntwice\tb\n", "utf-16", ("UTF-16", "tab")),
        ("text|label\rönce|a\rtwice|b\r", "utf-8-sig", ("UTF-8", "bar")),
        ('text,label\n"önce",a\r\n"twice",b\n', "utf-8", ("UTF-8", "comma")),
    ],
)
def test_a_table_is_read_whatever_wrote_it(tmp_path, text, encoding, said):
    kept = keep(written(tmp_path, text, encoding=encoding))
    assert (kept.encoding, kept.separator) == said
    assert kept.columns == ("text", "label") and values(kept) == [("önce", "a"), ("twice", "b")]


def test_values_in_quotes_may_hold_separators_quotes_and_line_ends(tmp_path):
    kept = keep(written(tmp_path, 'text,label\n"a, ""b""\nc",x\n5" wide,y\nplain,x\n'))
    assert values(kept) == [('a, "b"\nc', "x"), ('5" wide', "y"), ("plain", "x")]
    assert [row["__row__"] for row in table(kept.sha256).to_pylist()] == [2, 4, 5]


def test_each_faulty_line_is_named_and_no_other_is_lost(tmp_path):
    rows = made.sentences(60)
    kept = keep(made.faulty_csv(tmp_path / "faulty.csv", rows))
    assert kept.rows == 6 + 59 and kept.encoding == "Windows-1252 (Western)"
    said = " ".join(faults_of(kept).sentences())
    assert "Row 2: it has more values than the head has columns" in said
    assert "Row 3, column “verdict”: it has fewer values" in said
    assert "Row 4: a quotation mark is opened and never closed" in said


def test_a_line_of_another_encoding_among_utf_8_is_read_and_said(tmp_path):
    path = tmp_path / "mixed.csv"
    path.write_bytes("text,label\nönce,a\nzwölf,b\n".encode() + "fünf,a\n".encode("cp1252"))
    kept = keep(path)
    assert values(kept)[-1] == ("fünf", "a")
    assert "1 line (4) is not UTF-8" in kept.notes[0]


def test_a_table_without_a_head_keeps_its_first_row(tmp_path):
    kept = keep(written(tmp_path, "I like it,1\nbad,0\ngood,1\n"))
    assert kept.columns == ("column 1", "column 2") and kept.rows == 3 and "first line" in kept.notes[0]


def test_json_lines_name_the_line_that_is_none(tmp_path):
    text = '{"text": "a", "label": 1}\n{"text": "b", "label"\n[1]\n{"text": null, "label": 2.5}\n'
    kept = keep(written(tmp_path, text, "rows.jsonl"))
    assert values(kept) == [("a", "1"), (None, "2.5")]
    said = " ".join(faults_of(kept).sentences())
    assert "Row 2: it is no JSON" in said and "Row 3: it holds list" in said


def test_a_list_of_json_objects_is_read_object_by_object(tmp_path):
    text = (
        '[\n  {"instruction": "Say\\nhi", "output": "hi"},\n  {"instruction": "Count",\n "output": [1, 2]}]'
    )
    kept = keep(written(tmp_path, text, "alpaca.json"))
    assert kept.format == "JSON" and kept.columns == ("instruction", "output")
    assert values(kept) == [("Say\nhi", "hi"), ("Count", "[1, 2]")]


def test_parquet_gives_names_of_classes_and_pictures(tmp_path):
    features = {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}
    metadata = {b"huggingface": json.dumps({"info": {"features": features}}).encode()}
    pictures = [{"bytes": made.picture(value), "path": None} for value in (0, 90)] + [
        {"bytes": b"x", "path": None}
    ]
    rows = pa.table({"img": pictures, "label": [0, 1, 1], "extra": [[1], [2], [3]]}).replace_schema_metadata(
        metadata
    )
    pq.write_table(rows, tmp_path / "rows.parquet")
    kept = keep(tmp_path / "rows.parquet")
    assert kept.kind == "image" and [row["label"] for row in table(kept.sha256).to_pylist()] == ["cat", "dog"]
    assert "extra" in kept.notes[0] and "Row 3" in faults_of(kept).sentences()[0]


def test_equal_files_are_kept_once_and_found_by_their_hash(tmp_path):
    rows = made.sentences(10)
    one, other = (keep(made.clean_csv(tmp_path / name, rows)) for name in ("a.csv", "b.csv"))
    assert one == other == find(one.sha256)
    assert [path.name for path in data_folder().iterdir()] == [one.sha256]


@pytest.mark.parametrize(
    "text, name, why",
    [
        ("", "empty.csv", "is empty"),
        ("text,label\n", "head.csv", "Not one row"),
        ("\x00\x01\x02", "odd.bin", "not a text file"),
        ("1\n", "one.json", "holds a JSON object"),
        ('[{"text": "a"', "cut.json", "no list of JSON objects"),
        ("[]", "empty.json", "holds a JSON object"),
        ("[]", "list.jsonl", "holds a JSON object"),
        ("PAR1 and nothing", "rows.parquet", "cannot be read as Parquet"),
        ("PK\x03\x04 and nothing", "pictures.zip", "no whole zip file"),
    ],
)
def test_what_is_no_table_is_refused_in_a_sentence(tmp_path, text, name, why):
    with pytest.raises(DataRefused, match=why):
        keep(written(tmp_path, text, name))
    assert not data_folder().exists() or not list(data_folder().iterdir())


def test_limits_are_named(tmp_path):
    path = made.clean_csv(tmp_path / "rows.csv", made.sentences(30))
    for limits, why in (
        (Limits(file_bytes=100), "MB"),
        (Limits(rows=20), "20 rows"),
        (Limits(columns=1), "2 columns"),
    ):
        with pytest.raises(DataRefused, match=why):
            keep(path, limits)
    kept = keep(
        made.clean_csv(tmp_path / "long.csv", [("x" * 90, "a"), ("y", "b")]), Limits(cell_characters=50)
    )
    assert values(kept) == [("y", "b")] and "more than 50 characters" in faults_of(kept).sentences()[0]


# Zips of pictures


def zipped(tmp_path, files, name="pictures.zip"):
    with zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in files.items():
            archive.writestr(member, data)
    return tmp_path / name


def test_folders_are_classes_and_what_cannot_be_read_is_named(tmp_path):
    files = {
        "set/train/cat/a.png": made.picture(1),
        "set/train/dog/b.png": made.picture(2),
        "set/test/cat/c.png": made.picture(3),
        "set/test/dog/d.png": b"no picture",
        "__MACOSX/x": b"",
        "set/.DS_Store": b"",
        "set/notes.txt": b"",
    }
    kept = keep(zipped(tmp_path, files))
    assert [row[1:] for row in values(kept)] == [("cat", "train"), ("dog", "train"), ("cat", "test")]
    said = " ".join(faults_of(kept).sentences())
    assert "“set/test/dog/d.png”: it cannot be read" in said and "“set/notes.txt”: it is no picture" in said


def test_a_table_beside_the_pictures_says_the_labels(tmp_path):
    files = {
        "a.png": made.picture(1),
        "b.png": made.picture(2),
        "labels.csv": "file,label\na.png,cat\nb.png,dog\n",
    }
    assert [row[1] for row in values(keep(zipped(tmp_path, files)))] == ["cat", "dog"]


def odd_zip(tmp_path, name, mode=0):
    path = zipped(tmp_path, {"a/1.png": made.picture(1), "b/2.png": made.picture(2)})
    with zipfile.ZipFile(path, "a") as archive:
        member = zipfile.ZipInfo(name)
        member.external_attr = mode << 16
        archive.writestr(member, b"x")
    return path


@pytest.mark.parametrize(
    "name, mode, why",
    [
        ("../../evil.png", 0, "no name that a file in a zip may have"),
        ("/etc/evil.png", 0, "no name"),
        ("a\\..\\evil.png", 0, "no name"),
        ("link.png", stat.S_IFLNK | 0o777, "symbolic link"),
        ("inner.zip", 0, "an archive in it"),
        ("inner.tar.gz", 0, "an archive in it"),
    ],
)
def test_what_no_honest_zip_holds_is_refused(tmp_path, name, mode, why):
    with pytest.raises(DataRefused, match=why):
        keep(odd_zip(tmp_path, name, mode))


def test_bombs_are_refused_before_and_while_they_unpack(tmp_path):
    bomb = zipped(tmp_path, {"a/1.png": made.picture(1), "b/2.png": b"\x00" * 5_000_000})
    with pytest.raises(DataRefused, match="times its size"):
        keep(bomb)
    with pytest.raises(DataRefused, match="unpacks to"):
        keep(bomb, Limits(unpacked_bytes=1_000_000))
    with pytest.raises(DataRefused, match="2 files"):
        keep(bomb, Limits(members=1))
    wide = zipped(tmp_path, {"a/1.png": made.picture(1), "b/2.png": made.picture(2, 64)}, "wide.zip")
    assert "64 x 64 pixels" in faults_of(keep(wide, Limits(pixels=32))).sentences()[0]


def test_pictures_without_classes_are_refused(tmp_path):
    for files in (
        {"a.png": made.picture(1)},
        {"train/a.png": made.picture(1), "test/b.png": made.picture(2)},
    ):
        with pytest.raises(DataRefused, match="folder of its own"):
            keep(zipped(tmp_path, files))
    with pytest.raises(DataRefused, match="holds no pictures"):
        keep(zipped(tmp_path, {"rows.csv": "a,b\n1,2\n"}))


def test_a_folder_of_pictures_is_kept_as_a_zip_of_the_same_bytes_each_time(tmp_path):
    for name, value in (("cat/a.png", 1), ("dog/b.png", 2)):
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / name).write_bytes(made.picture(value))
    (tmp_path / "set" / "notes.txt").write_text("no picture")
    (tmp_path / "set" / "cat" / "link.png").symlink_to(tmp_path / "set" / "dog" / "b.png")
    kept = keep(tmp_path / "set")
    assert [row[1] for row in values(kept)] == ["cat", "dog"] and not kept.faults
    (tmp_path / "set").rename(tmp_path / "moved")
    os.utime(tmp_path / "moved" / "cat" / "a.png", (1e9, 1e9))
    assert keep(tmp_path / "moved") == kept
    with pytest.raises(DataRefused, match="2 pictures and 0 MB; at most 1"):
        keep(tmp_path / "moved", Limits(members=1))


@pytest.fixture
def loose(tmp_path):
    """`loose(names)`: files with these names in no folders of classes."""

    def make(*names):
        files = [tmp_path / name for name in names]
        for value, file in enumerate(files):
            file.write_bytes(made.picture(value))
        return files

    return make


@pytest.mark.parametrize("pattern", ["{}_{}.png", "{}-0{}.png", "{}.{}.png", "{} ({}).png", "{}{}.png"])
def test_several_pictures_have_the_classes_that_their_names_begin_with(loose, pattern):
    files = loose(*(pattern.format(kind, n) for kind in ("black cat", "dog2x") for n in (1, 2, 13)))
    with packed_files(files[::-1], Limits()) as whole, packed_files(files, Limits()) as again:
        assert whole.read_bytes() == again.read_bytes() and whole.stem == "6 pictures"
        kept = keep(whole)
    assert [row[1] for row in values(kept)] == ["black cat"] * 3 + ["dog2x"] * 3
    assert "what the files' names begin with" in kept.notes[0]


def test_several_pictures_may_have_a_table_of_labels(loose, tmp_path):
    files = loose("a.png", "b.png")
    table = tmp_path / "labels.csv"
    table.write_text("file,label\na.png,cat\nb.png,dog\n")
    with packed_files([*files, table], Limits()) as whole:
        assert [row[1] for row in values(keep(whole))] == ["cat", "dog"]


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (("a.png", "b.png", "c.png"), "names do not begin with a class and end in a number"),
        (("cat_1.png", "cat_2.png"), "in no folders of classes"),
        (("IMG_1.png", "IMG_2.png", "DSC_3.png"), "no labels"),
        (("a.csv", "b.csv"), "Several tables cannot be read at once"),
        (("a_1.png", "a_2.png", "rows.parquet"), "“rows.parquet” is no picture"),
    ],
)
def test_several_files_that_are_no_labelled_pictures_are_refused(loose, names, why):
    with pytest.raises(DataRefused, match=why), packed_files(loose(*names), Limits()) as whole:
        keep(whole)


def test_a_folder_without_pictures_is_refused(tmp_path):
    made.clean_csv(tmp_path / "rows.csv", made.sentences(10))
    with pytest.raises(DataRefused, match=r"holds no pictures\. Name one file of rows in it instead"):
        keep(tmp_path)
