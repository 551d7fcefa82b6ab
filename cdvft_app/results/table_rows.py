"""Rows of a file in, rows of a file out, one after the other; what an exported apply.py needs beside it.

It imports nothing of the app: exports have it beside them as it is.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterator, Sequence
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import IO, Any

SEPARATORS = ",;\t|"
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif")
NOT_READ = (".ods", ".xls", ".zip")
SAMPLE = 1 << 16
MAX_ABOVE = 20  # rows of a sheet among which its head is looked for


def read(path: Path, wanted: Sequence[str] = ()) -> Iterator[dict[str, Any]]:
    """The rows of a CSV, TSV, JSONL, JSON, Parquet or .xlsx file; of a folder {"image": path} a picture.

    CSV, TSV, JSONL and JSON may be packed by gzip. Of an .xlsx those below the first row, of any sheet, that
    names the `wanted` columns, else of the first sheet.
    """
    kind = _kind(path)
    if path.is_dir():
        pictures = sorted(one for one in path.rglob("*") if one.suffix.lower() in PICTURES)
        yield from ({"image": str(one)} for one in pictures)
    elif kind in (".jsonl", ".ndjson"):
        with _opened(path) as file:
            yield from (json.loads(line) for line in file if line.strip())
    elif kind == ".json":
        with _opened(path) as file:
            yield from json.loads(file.read())
    elif kind == ".parquet":
        parquet = _module("pyarrow.parquet", path)
        for batch in parquet.ParquetFile(path).iter_batches(1000):
            yield from batch.to_pylist()
    elif kind == ".xlsx":
        book = _module("openpyxl", path).load_workbook(path, read_only=True, data_only=True)
        head, rows = _below_the_head(book, {name.strip().casefold() for name in wanted})
        yield from (dict(zip(head, row, strict=False)) for row in rows)
    elif kind in NOT_READ:
        raise SystemExit(f"{path.name}: {kind} is not read here. Save it as .xlsx or as CSV.")
    else:
        with _opened(path) as file:
            sample = file.read(SAMPLE)
            file.seek(0)
            yield from csv.DictReader(file, delimiter=separator_of(sample))


def _kind(path: Path) -> str:
    """Return the ending without that of gzip: ".csv" for rows.csv and for rows.csv.gz."""
    return Path(path.stem if path.suffix.lower() == ".gz" else path.name).suffix.lower()


def _unpacked(path: Path) -> gzip.GzipFile | io.BufferedReader:
    return gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb")


def _opened(path: Path) -> IO[str]:
    return io.TextIOWrapper(_unpacked(path), encoding=_encoding(path), newline="")


def _below_the_head(book: Any, wanted: set[str]) -> tuple[list[str], Iterator[tuple[Any, ...]]]:
    for sheet in book.worksheets:
        rows = sheet.iter_rows(values_only=True)
        for row in islice(rows, MAX_ABOVE):
            names = [str(one) for one in row]
            if wanted <= {name.strip().casefold() for name in names}:
                return names, rows
    rows = book.worksheets[0].iter_rows(values_only=True)
    return [str(one) for one in next(rows)], rows


def _module(name: str, path: Path) -> Any:
    """Import a package that only this kind of file needs."""
    try:
        return import_module(name)
    except ImportError:
        package = name.partition(".")[0]
        raise SystemExit(f"{path.name} needs a package that is not here: pip install {package}") from None


def separator_of(sample: str) -> str:
    """Return the separator that comes most often in the first line."""
    first = sample.partition("\n")[0]
    return max(SEPARATORS, key=first.count)


def _encoding(path: Path) -> str:
    """Return UTF-8 or UTF-16, by what the file holds, else Windows-1252."""
    with _unpacked(path) as file:
        start = file.read(SAMPLE)
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    try:
        start.decode("utf-8")
    except UnicodeDecodeError as error:
        return "utf-8-sig" if error.start > len(start) - 4 else "cp1252"
    return "utf-8-sig"


def write(path: Path, rows: Iterator[dict[str, Any]]) -> int:
    """Write rows as CSV, TSV, JSONL or .xlsx, by the ending; how many there were. Texts are no formulas."""
    kind, count = path.suffix.lower(), 0
    if kind == ".xlsx":
        openpyxl = _module("openpyxl", path)
        book = openpyxl.Workbook(write_only=True)
        sheet = book.create_sheet()
        for row in rows:
            if not count:
                sheet.append([*row])
            cells = []
            for value in row.values():
                cell = openpyxl.cell.WriteOnlyCell(sheet, value)
                if isinstance(value, str):
                    cell.data_type = "s"
                cells.append(cell)
            sheet.append(cells)
            count += 1
        book.save(path)
        return count
    with path.open("w", encoding="utf-8", newline="") as file:
        writer: Any = None
        for row in rows:
            count += 1
            if kind == ".jsonl":
                file.write(json.dumps(row, ensure_ascii=False, default=str) + "\n")
                continue
            if writer is None:
                separator = "\t" if kind == ".tsv" else ","
                writer = csv.DictWriter(file, [*row], delimiter=separator, lineterminator="\n")
                writer.writeheader()
            writer.writerow(row)
    return count
