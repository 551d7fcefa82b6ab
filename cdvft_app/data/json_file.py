"""JSONL, an object a line; and a whole JSON document that is a list of objects, as Alpaca's files are."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence, Set
from itertools import chain, islice
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

from cdvft_app.catalog.conversations import is_conversation
from cdvft_app.data.lines import NAMED, NAMES, Lines, as_utf8, encoding_of
from cdvft_app.data.records import object_of
from cdvft_app.data.row_errors import RowErrors
from cdvft_app.data.source import (
    BATCH,
    DataRefused,
    Limits,
    NumberedRow,
    Source,
    distinct_names,
    row_batches,
    short_values,
)
from cdvft_app.progress import Progress

if TYPE_CHECKING:
    import pyarrow as pa

LOOKED_AT = 100  # lines from which the names are taken


def read_json_lines(path: Path, limits: Limits, progress: Progress) -> Source:
    """Read a file with a JSON object in each line; its columns are the names in the first lines."""
    faults = RowErrors()
    lines = Lines(path, limits, progress, faults)
    columns: dict[str, None] = {}
    objects: list[dict[str, Any]] = []
    first = ""
    given = iter(lines)
    looked_at = list(islice(given, LOOKED_AT))
    for _, line in looked_at:
        first = first or line.strip()
        found = object_of(line)
        if isinstance(found, dict):
            columns.update(dict.fromkeys(found))
            objects.append(found)
    if _is_one_object(first, objects):
        raise DataRefused(
            f"“{path.name}” is one JSON object and no rows. Give the list in it alone, as "
            '[{"text": "What a film", "label": "good"}, ...], or one object in each line; pandas writes them '
            'by df.to_json(path, orient="records").'
        )
    if not columns:
        raise DataRefused(
            f"No line of “{path.name}” holds a JSON object. Write one in each line, such as "
            '{"text": "What a film", "label": "good"}.'
        )
    if len(columns) > limits.columns:
        raise DataRefused(f"It has {len(columns):,} names; at most {limits.columns} are taken. Drop some.")

    def read() -> Iterator[pa.RecordBatch]:
        rows = _rows(source, columns.keys(), chain(looked_at, given))
        yield from row_batches(source, short_values(source, rows, limits), limits)
        source.notes[:0] = lines.notes()

    source = Source(
        "JSONL",
        "text",
        distinct_names(columns),
        read,
        faults=faults,
    )
    source.encoding = NAMES[lines.encoding]
    return source


def _rows(source: Source, keys: Set[str], lines: Iterable[tuple[int, str]]) -> Iterator[NumberedRow]:
    late: dict[str, None] = {}
    for number, line in lines:
        if not line.strip():
            continue
        found = object_of(line)
        if isinstance(found, dict):
            if len(late) <= NAMED:
                late.update(dict.fromkeys(name for name in found if name not in keys))
            yield number, [_text(found.get(key)) for key in keys], found
        else:
            source.faults.add(number, *found)
    if late:
        names = ", ".join(f"“{name[:80]}”" for name in islice(late, NAMED))
        more = ", …" if len(late) > NAMED else ""
        source.notes.insert(
            0,
            f"Columns that none of the first {LOOKED_AT} objects has are not read: {names}{more}. Give the "
            "first object all columns, with null where it has no value.",
        )


def _is_one_object(first: str, objects: Sequence[dict[str, Any]]) -> bool:
    """Return whether a document is one object of lists or objects, in its `first` line or over several."""
    if len(objects) == 1:
        held = objects[0]
        return all(isinstance(one, (list, dict)) and not is_conversation(one) for one in held.values())
    return not objects and first.startswith("{") and not first.endswith("}")


def _text(value: Any) -> str | None:
    """Return a value as text; 1.0 becomes 1, since JavaScript and JSON do not tell them apart."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        value = int(value)
    return json.dumps(value, ensure_ascii=False)


def read_json_array(path: Path, work: Path, limits: Limits, progress: Progress) -> Source:
    """Read a JSON list of objects, numbered from 1; `work` is a folder for a copy with one object a line."""
    import duckdb

    progress(None, "Taking the list apart")
    lines = Path(mkdtemp(dir=work)) / path.name  # `path` may lie in `work`, where it was unpacked
    encoding = encoding_of(path)
    asked = "SELECT json FROM read_json_objects(?, format = 'array', maximum_object_size = ?)"
    try:
        with (
            duckdb.connect(config={"threads": 1, "memory_limit": "1GB"}) as connection,
            lines.open("w", encoding="utf-8", newline="\n") as file,
        ):
            whole = as_utf8(path, encoding, work)
            found = connection.execute(asked, [str(whole), limits.cell_characters * 8])
            while rows := found.fetchmany(BATCH):
                # An object may stand over several lines; written anew it is one.
                file.writelines(json.dumps(json.loads(text), ensure_ascii=False) + "\n" for (text,) in rows)
    except (duckdb.Error, ValueError, RecursionError) as error:
        raise _refused(path, str(error).splitlines()[0].rpartition(": ")[2].rstrip(". ")) from None
    with lines.open(encoding="utf-8") as file:
        if not file.readline().startswith("{"):
            raise _refused(path, "its first item is none" if lines.stat().st_size else "it is empty")
    source = read_json_lines(lines, limits, progress)
    source.format, source.encoding = "JSON", NAMES[encoding]
    return source


def _refused(path: Path, reason: str) -> DataRefused:
    return DataRefused(
        f"“{path.name}” is no list of JSON objects ({reason}). Write a list as "
        '[{"text": "What a film", "label": "good"}, ...], or one object in each line (JSONL).'
    )
