"""Zips, folders and several files of pictures: their labels, what is named, and what is refused."""

from __future__ import annotations

import base64
import io
import os
import stat
import zipfile

import made
import numpy as np
import pytest
from given_tables import values
from PIL import Image

from cdvft_app.data.imported_table import import_file, thumbnails
from cdvft_app.data.pictures import as_png_in_child
from cdvft_app.data.source import DataRefused, Limits
from cdvft_app.data.zip_file import packed_files


def test_folders_are_classes_and_what_cannot_be_read_is_named(tmp_path):
    files = {
        "set/train/cat/a.png": made.picture(1),
        "set/train/dog/b.png": made.picture(2),
        "set/test/cat/c.png": made.picture(3),
        "set/test/dog/d.png": b"no picture",
        "set/test/.ipynb_checkpoints/c.png": made.picture(3),
        "__MACOSX/x": b"",
        "set/.DS_Store": b"",
        "set/notes.txt": b"",
    }
    kept = import_file(made.zipped(tmp_path, files))
    assert [row[1:] for row in values(kept)] == [("cat", "train"), ("dog", "train"), ("cat", "test")]
    said = " ".join(kept.row_errors.sentences())
    assert "“set/test/dog/d.png”: it cannot be read" in said and "“set/notes.txt”: it is no picture" in said


@pytest.mark.parametrize(
    "name, mode, why",
    [
        ("../../evil.png", 0, "leads elsewhere"),
        ("/etc/evil.png", 0, "leads elsewhere"),
        ("a\\..\\evil.png", 0, "no name that a file in a zip may have"),
        ("link.png", stat.S_IFLNK | 0o777, "symbolic link"),
        ("inner.zip", 0, "an archive in it"),
        ("inner.tar.gz", 0, "an archive in it"),
    ],
)
def test_what_no_honest_zip_holds_is_refused(tmp_path, name, mode, why):
    path = made.zipped(tmp_path, {"a/1.png": made.picture(1), "b/2.png": made.picture(2)})
    with zipfile.ZipFile(path, "a") as archive:
        member = zipfile.ZipInfo(name)
        member.external_attr = mode << 16
        archive.writestr(member, b"x")
    with pytest.raises(DataRefused, match=why):
        import_file(path)


def test_of_two_files_with_one_name_in_a_zip_the_first_is_taken(tmp_path):
    path = made.zipped(tmp_path, {"a/1.png": made.picture(1), "b/2.png": made.picture(2)})
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("a/1.png", b"no picture")
    kept = import_file(path)
    assert [row[1] for row in values(kept)] == ["a", "b"]
    said = " ".join(kept.row_errors.sentences())
    assert "“a/1.png”: it is in the zip twice; the first one is taken" in said


def test_bombs_are_refused_before_and_while_they_unpack(tmp_path):
    bomb = made.zipped(tmp_path, {"a/1.png": made.picture(1), "b/2.png": b"\x00" * 5_000_000})
    with pytest.raises(DataRefused, match="times its size"):
        import_file(bomb)
    with pytest.raises(DataRefused, match="unpacks to"):
        import_file(bomb, Limits(unpacked_bytes=1_000_000))
    with pytest.raises(DataRefused, match="2 files"):
        import_file(bomb, Limits(members=1))
    wide = made.zipped(tmp_path, {"a/1.png": made.picture(1), "b/2.png": made.picture(2, 64)}, "wide.zip")
    assert "64 x 64 pixels" in import_file(wide, Limits(pixels=32)).row_errors.sentences()[0]


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"a.png": made.picture(1)}, "folder of its own"),
        ({"train/a.png": made.picture(1), "test/b.png": made.picture(2)}, "folder of its own"),
        ({"notes.md": "no pictures"}, "holds no pictures"),
    ],
)
def test_pictures_without_classes_are_refused(tmp_path, files, why):
    with pytest.raises(DataRefused, match=why):
        import_file(made.zipped(tmp_path, files))


def test_a_folder_of_pictures_is_kept_as_a_zip_of_the_same_bytes_each_time(tmp_path):
    pictures = {f"{kind}.png": made.picture(1) for kind in ("cat/a", "dog/b", ".ipynb_checkpoints/a")}
    zipfile.ZipFile(made.zipped(tmp_path, {**pictures, "notes.txt": ""})).extractall(tmp_path / "set")
    (tmp_path / "set" / "cat" / "link.png").symlink_to(tmp_path / "set" / "dog" / "b.png")
    kept = import_file(tmp_path / "set")
    assert [row[1] for row in values(kept)] == ["cat", "dog"] and not kept.faults
    (tmp_path / "set").rename(tmp_path / "moved")
    os.utime(tmp_path / "moved" / "cat" / "a.png", (1e9, 1e9))
    assert import_file(tmp_path / "moved") == kept
    with pytest.raises(DataRefused, match="3 files and 0 MB; at most 1"):
        import_file(tmp_path / "moved", Limits(members=1))


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
        kept = import_file(whole)
    assert [row[1] for row in values(kept)] == ["black cat"] * 3 + ["dog2x"] * 3
    assert "what the files' names begin with" in kept.notes[0]


def test_a_table_beside_the_pictures_says_their_labels(loose, tmp_path):
    """In a zip, and of several files."""
    table = made.written(tmp_path, "file,label\na.png,cat\nb.png,dog\n", "labels.csv")
    files = [*loose("a.png", "b.png"), table]
    zipped = made.zipped(tmp_path, {file.name: file.read_bytes() for file in files})
    with packed_files(files, Limits()) as whole:
        for given in (zipped, whole):
            assert [row[1] for row in values(import_file(given))] == ["cat", "dog"]


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (("a.png", "b.png", "c.png"), "names do not begin with a class and end in a number"),
        (("cat_1.png", "cat_2.png"), "in no folders of classes"),
        (("IMG_1.png", "IMG_2.png", "DSC_3.png"), "no labels"),
        (("a_1.png", "a_2.png", "rows.parquet"), "“rows.parquet” does not go with the others"),
    ],
)
def test_several_files_that_are_no_labelled_pictures_are_refused(loose, names, why):
    with pytest.raises(DataRefused, match=why), packed_files(loose(*names), Limits()) as whole:
        import_file(whole)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=repr)
def test_a_table_of_labels_is_read_whatever_wrote_it(tmp_path, encoding, end):
    labels = {"bär.png": "Bär", "kühe.png": "Kühe"}
    table = end.join(["file;label", *map(";".join, labels.items())]).encode(encoding)
    pictures = {name: made.picture(place) for place, name in enumerate(labels)}
    kept = import_file(made.zipped(tmp_path, {**pictures, "labels.csv": table}))
    assert [row[1] for row in values(kept)] == [*labels.values()]


def test_a_table_of_labels_that_is_no_csv_is_refused_in_a_sentence(tmp_path):
    table = f'file,label\na.png,"{"x" * 200_000}"\n'
    files = {"a.png": made.picture(1), "b.png": made.picture(2), "labels.csv": table}
    with pytest.raises(DataRefused, match=r"“labels\.csv” cannot be read as a CSV \(field larger than"):
        import_file(made.zipped(tmp_path, files))


def test_several_tables_are_refused_of_a_folder_as_of_a_zip(tmp_path):
    tables = {f"{place}.csv": "file,label\n" for place in range(6)}
    zipped = made.zipped(tmp_path, {"a.png": made.picture(0), "b.png": made.picture(1), **tables})
    zipfile.ZipFile(zipped).extractall(tmp_path / "folder")
    for given in (zipped, tmp_path / "folder"):
        with pytest.raises(DataRefused, match=r"6 tables are beside .* \(“0\.csv”.*“4\.csv”, …\)\. Give one"):
            import_file(given)


def test_folders_of_the_split_are_no_classes_in_capitals_either(tmp_path):
    names = [f"{side}/{kind}_{place}.png" for side in ("Train", "Test") for kind in "ab" for place in "12"]
    kept = import_file(made.zipped(tmp_path, {name: made.picture(1) for name in names}))
    wanted = [(kind, side) for side in ("train", "test") for kind in "aabb"]
    assert [row[1:] for row in values(kept)] == wanted


def test_a_folder_without_pictures_is_refused(tmp_path):
    made.clean_csv(tmp_path / "rows.csv", made.sentences(10))
    with pytest.raises(DataRefused, match=r"holds no pictures\. Name one file of rows in it instead"):
        import_file(tmp_path)


def opens_no_picture(monkeypatch):
    def opened(*_, **__):
        raise AssertionError("a stranger's picture is opened in the page's process")

    monkeypatch.setattr("PIL.Image.open", opened)


def test_a_picture_that_is_asked_about_is_decoded_in_a_child(monkeypatch):
    given = made.picture(200)
    with Image.open(io.BytesIO(given)) as opened:
        pixels = np.asarray(opened.convert("RGB"))
    with monkeypatch.context() as patched:
        opens_no_picture(patched)
        png = as_png_in_child(given)
        with pytest.raises(DataRefused, match="cannot be used: it cannot be read as PNG"):
            as_png_in_child(given[: len(given) // 2])
        with pytest.raises(DataRefused, match="cannot be used: it is empty"):
            as_png_in_child(b"")
    with Image.open(io.BytesIO(png)) as opened:
        assert (np.asarray(opened) == pixels).all()


def test_a_preview_of_pictures_is_decoded_in_a_child(tmp_path, monkeypatch):
    kept = import_file(made.digits_zip(tmp_path / "digits.zip"))
    with monkeypatch.context() as patched:
        opens_no_picture(patched)
        pngs = [base64.b64decode(one) for one in thumbnails(kept, range(3), 4)]
    assert len(pngs) == 3
    for png in pngs:
        with Image.open(io.BytesIO(png)) as opened:
            assert opened.size == (4, 4)
