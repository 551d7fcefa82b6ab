"""Spreadsheets, packed files and several files at once: what is read of them, and hostile ones."""

from __future__ import annotations

import datetime
import gzip
import io
import json
import zipfile

import made
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from given_tables import values, workbook

from cdvft_app.data.imported_table import import_file
from cdvft_app.data.inspect import inspect
from cdvft_app.data.source import DataRefused, Limits
from cdvft_app.data.spreadsheets import MERGED
from cdvft_app.data.text_file import MIXED, NO_HEADER
from cdvft_app.data.zip_file import packed_files

ODS = (
    '<?xml version="1.0"?>{doctype}<office:document-content'
    ' xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"'
    ' xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0"'
    ' xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"><office:body><office:spreadsheet>'
    '<table:table table:name="Empty"><table:table-row table:number-rows-repeated="1048576"/></table:table>'
    '<table:table table:name="Rows">{rows}</table:table>'
    "</office:spreadsheet></office:body></office:document-content>"
)
MANIFEST = '<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"/>'
NOTHING = '<table:table-row table:number-rows-repeated="1048000"><table:table-cell/></table:table-row>'


def text(value):
    return f'<table:table-cell office:value-type="string"><text:p>{value}</text:p></table:table-cell>'


def ods(path, *rows, doctype=""):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("META-INF/manifest.xml", MANIFEST)
        archive.writestr("content.xml", ODS.format(doctype=doctype, rows="".join(rows)))
    return path


def row(*cells):
    return f"<table:table-row>{''.join(cells)}</table:table-row>"


def test_cells_of_a_workbook_are_read_as_a_person_sees_them(tmp_path):
    day = datetime.datetime(2024, 3, 1)
    rows = [
        ["text", "n", "when", "seen", "is"],
        ["=1+1", 3.0, day, day.replace(hour=9), True],
        [" two\nlines ", 2.5, None, None, False],
        [None, None, None, None, None],
        ["short"],
        [*"abcde", "too wide"],
    ]
    found = import_file(workbook(tmp_path / "a.xlsx", Empty=[], Rows=rows))
    assert found.columns == ("text", "n", "when", "seen", "is")
    assert values(found) == [
        (None, "3", "2024-03-01", "2024-03-01 09:00:00", "true"),
        (" two\nlines ", "2.5", None, None, "false"),
        ("short", None, None, None, None),
    ]
    assert (found.faults[0]["rows"], found.format) == ([6], "Excel workbook")
    assert "“Rows” is read" in found.notes[0]


def test_an_open_document_is_read_with_what_is_repeated(tmp_path):
    number = '<table:table-cell office:value-type="float" office:value="1.5"/>'
    path = ods(
        tmp_path / "a.ods",
        row(text("text"), text("score"), '<table:table-cell table:number-columns-repeated="16382"/>'),
        row(text('one<text:s text:c="2"/>two'), number),
        row(text("again"), number).replace("-row>", '-row table:number-rows-repeated="2">', 1),
        NOTHING,
        row(text("last"), number),
    )
    found = import_file(path)
    assert found.columns == ("text", "score") and "“Rows” is read" in found.notes[0]
    assert values(found) == [("one  two", "1.5"), ("again", "1.5"), ("again", "1.5"), ("last", "1.5")]


NOTES = (["Export of the survey", None], ["Do not edit", None], ["Author", "Bob"])
TABLE = (["text", "label"], *([f"text {n}", "ab"[n % 2]] for n in range(20)))


@pytest.mark.parametrize(
    ("sheets", "read"),
    [
        ({"Notes": NOTES, "Rows": TABLE, "Older": TABLE}, "Rows"),
        ({"Rows": TABLE, "Notes": NOTES}, "Rows"),
        ({"Title": NOTES[:2], "Few": TABLE[:4]}, "Few"),  # to be answered
        ({"Texts": [["text"], ["a"], ["b"]], "Empty": []}, "Texts"),
    ],
)
def test_the_sheet_that_holds_a_table_is_read(tmp_path, sheets, read):
    found = import_file(workbook(tmp_path / "a.xlsx", **sheets))
    assert found.notes[0].startswith(f"The sheet “{read}” is read")
    assert found.rows == len(sheets[read]) - 1


def test_a_name_above_several_columns_names_them_all(tmp_path):
    """A merged cell has its text in the first of its columns."""
    rows = [["Survey 2025", *[None] * 3], ["Customer", None, "Answer", None]]
    rows += [[n, "North", f"text {n}", "ab"[n % 2]] for n in range(20)]
    found = import_file(workbook(tmp_path / "a.xlsx", Rows=rows))
    assert found.columns == ("Customer", "Customer 2", "Answer", "Answer 4")
    assert found.rows == 20


def test_merged_cells_are_filled_down(tmp_path):
    book = openpyxl.Workbook()
    sheet = book.active
    for values_of in [["text", "label"], ["a", "x"], ["b", None], ["c", "y"]]:
        sheet.append(values_of)
    sheet.merge_cells("B2:B3")
    book.save(tmp_path / "a.xlsx")
    found = import_file(tmp_path / "a.xlsx")
    assert values(found) == [("a", "x"), ("b", "x"), ("c", "y")]
    assert found.notes[1:] == [MERGED.format(count=1)]


def test_a_large_sheet_is_read_to_its_end(tmp_path):
    rows = [row(text(f"text {n}"), text(n % 2)) for n in range(500)]
    assert import_file(ods(tmp_path / "a.ods", row(text("text"), text("label")), *rows)).rows == 500
    rows = [["text", "label"], *([f"text {n}", n % 2] for n in range(500))]
    assert import_file(workbook(tmp_path / "a.xlsx", Rows=rows)).rows == 500


ENTITIES = '<!DOCTYPE a [<!ENTITY b "bbbbbbbbbb"><!ENTITY c "&b;&b;&b;&b;&b;&b;">]>'


def test_hostile_and_damaged_spreadsheets_are_refused(tmp_path):
    count = row(text("a")).replace("row>", 'row table:number-rows-repeated="x">', 1)
    wide = row(text("a").replace("cell", 'cell table:number-columns-repeated="9999"', 1))
    damaged = "cannot be read as a spreadsheet"
    hostile = [
        (ods(tmp_path / "entities.ods", row(text("&c;")), doctype=ENTITIES), damaged),
        (ods(tmp_path / "cut.ods", "<table:table-row>"), damaged),
        (ods(tmp_path / "count.ods", count), damaged),
        (ods(tmp_path / "wide.ods", wide), "columns, the limit"),
        (ods(tmp_path / "empty.ods", NOTHING), "has no rows"),
        (ods(tmp_path / "bomb.ods", row(text("a" * 5_000_000))), "times its size"),
    ]
    good = workbook(tmp_path / "good.xlsx", Empty=[], Rows=TABLE)
    with zipfile.ZipFile(good) as source:
        members = {member: source.read(member) for member in source.namelist()}
    of_rows = "xl/worksheets/sheet2.xml"
    members[of_rows] = members[of_rows].replace(b"<sheetData>", b"<sheetData")
    hostile.append((made.zipped(tmp_path, members, "damaged.xlsx"), damaged))
    for path, why in hostile:
        with pytest.raises(DataRefused, match=why):
            import_file(path)
    assert import_file(good).rows == 20


def test_more_rows_than_are_taken_are_refused(tmp_path):
    many = row(text("again"), text("a")).replace("-row>", '-row table:number-rows-repeated="1000000">', 1)
    path = ods(tmp_path / "a.ods", row(text("text"), text("label")), many)
    with pytest.raises(DataRefused, match="more than 100 rows"):
        import_file(path, Limits(rows=100))


@pytest.mark.parametrize(
    ("limits", "change", "why"),
    [
        (Limits(file_bytes=1_000_000), lambda packed: packed, "unpacks to more than 1 MB"),
        (Limits(), lambda packed: packed[:-9], "damaged"),
        (Limits(), gzip.compress, "holds an archive"),
    ],
)
def test_what_gzip_packed_is_read_no_further_than_is_taken(tmp_path, limits, change, why):
    packed = gzip.compress(b"text,label\n" + b"some text,a\n" * 100_000)
    path, whole = tmp_path / "rows.csv.gz", tmp_path / "sample.csv.gz"  # as a part of it is called inside
    path.write_bytes(change(packed))
    with pytest.raises(DataRefused, match=why):
        import_file(path, limits)
    whole.write_bytes(packed)
    assert import_file(whole).rows == 100_000


def several(tmp_path, **files):
    paths = [made.written(tmp_path, text, name.replace("_", ".")) for name, text in files.items()]
    with packed_files(paths, Limits()) as whole:
        return import_file(whole)


def lines(count, first=0):
    return "".join(f"text {n},{'ab'[n % 2]}\n" for n in range(first, first + count))


def test_several_files_of_rows_are_one_dataset(tmp_path):
    jsonl = "".join(f'{{"label": "b", "text": "more {n}"}}\n' for n in range(12))
    found = several(tmp_path, one_csv=f"text,label\n{lines(12)}broken\n", two_jsonl=jsonl)
    assert (found.rows, found.columns) == (24, ("text", "label"))
    assert values(found)[12] == ("more 0", "b")
    looked = inspect(found, "two files")
    assert (looked.task, looked.problem) == ("classification", None)
    assert "one.csv, row 14" in looked.faults[0]


def test_rows_of_several_files_that_cannot_be_read_are_called_rows(tmp_path):
    found = several(
        tmp_path, one_csv=f"text,label\n{lines(12)}broken\nx\n", two_csv=f"text,label\n{lines(3)}y\n"
    )
    (said,) = found.row_errors.sentences()
    assert "; 2 rows like it (one.csv, row 15, two.csv, row 5)." in said


def test_a_row_of_parquet_with_a_picture_is_called_a_row(tmp_path):
    pictures = [{"bytes": made.picture(place), "path": None} for place in range(40)]
    labels = [None, None, *"ab" * 19]
    pq.write_table(pa.table({"image": pictures, "label": labels}), tmp_path / "rows.parquet")
    (said,) = inspect(import_file(tmp_path / "rows.parquet"), "rows").faults
    assert said.startswith("“rows”, row 1, column “label”: it is empty; 1 row like it (2).")


def test_several_packed_files_are_one_dataset_too(tmp_path):
    for name in ("one", "two"):
        (tmp_path / f"{name}.csv.gz").write_bytes(gzip.compress(f"text,label\n{lines(12)}".encode()))
    with packed_files(sorted(tmp_path.glob("*.gz")), Limits()) as whole:
        assert import_file(whole).rows == 24


def test_files_that_are_named_train_and_test_are_a_split(tmp_path):
    found = several(tmp_path, train_csv=f"text,label\n{lines(16)}", test_csv=f"text,label\n{lines(8, 100)}")
    data = inspect(found, "split").data
    assert (data.split, data.train_rows, data.evaluation_rows) == ("split", 16, 8)


def test_files_with_other_columns_are_refused(tmp_path):
    with pytest.raises(DataRefused, match="Give files with the same columns"):
        several(tmp_path, one_csv=f"text,label\n{lines(12)}", two_csv=f"text,topic\n{lines(12)}")


def test_a_packed_list_of_json_objects_is_read_as_the_list_alone(tmp_path):
    text = json.dumps([{"text": f"text {n}", "label": "ab"[n % 2]} for n in range(12)])
    packed = tmp_path / "rows.json.gz"
    packed.write_bytes(gzip.compress(text.encode()))
    assert import_file(packed).rows == 12
    assert import_file(made.zipped(tmp_path, {"rows.json": text, "more.json": text})).rows == 24


def test_files_of_one_name_in_several_folders_of_a_zip_are_all_read(tmp_path):
    line = '{"text": "some text", "label": "a"}\n'
    of = {"en/train.jsonl": line * 9000, "de/train.jsonl": f"{line * 9}broken\n"}  # more than is read at once
    found = import_file(made.zipped(tmp_path, of))
    assert found.rows == 9009
    assert "de/train.jsonl, row 10" in found.row_errors.sentences()[0]


def test_what_is_to_be_known_of_files_is_said_of_those_in_a_zip(tmp_path):
    western = f"text,label\n{lines(12)}caf\xe9,a\n".encode("cp1252") + "Łódź,b\nŁuk,a\n".encode()
    alone = import_file(made.zipped(tmp_path, {"one.csv": western}))
    assert alone.notes[0].startswith(MIXED.partition("{")[0]) and "(14)" in alone.notes[0]
    of = {"one.csv": western, "two.csv": f"text,label\n{lines(12)}"}
    both = import_file(made.zipped(tmp_path, of))
    assert both.notes[0] == f"“one.csv”: {alone.notes[0]}"


def test_what_is_to_be_known_of_several_files_is_said_once(tmp_path):
    found = several(tmp_path, **{f"{name}_csv": "1,2\n" * 12 for name in ("one", "two", "three")})
    assert found.notes == [f"“one.csv” and 2 more: {NO_HEADER}"]


def test_parquet_of_pictures_in_a_zip_is_refused_in_words(tmp_path):
    picture = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    rows = pa.table({"image": pa.array([{"bytes": b"x", "path": "a.png"}], picture), "label": ["a"]})
    parquet = io.BytesIO()
    pq.write_table(rows, parquet)
    with pytest.raises(DataRefused, match="in the zip holds pictures"):
        import_file(made.zipped(tmp_path, {"a.parquet": parquet.getvalue()}))


def test_a_zip_of_hidden_files_alone_is_refused_in_words(tmp_path):
    of = {".rows.csv": f"text,label\n{lines(12)}", "__MACOSX/rows.csv": "text,label\n"}
    with pytest.raises(DataRefused, match="holds no files of rows"):
        import_file(made.zipped(tmp_path, of))
