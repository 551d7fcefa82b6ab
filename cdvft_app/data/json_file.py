"""Read JSONL, one object per line, and JSON files with a list of objects."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from cdvft_app.catalog.conversations import is_conversation
from cdvft_app.data.row_errors import RowErrors
from cdvft_app.data.source import DataRefused, Limits, Source, distinct_names, row_batches, short_values
from cdvft_app.data.text_file import NAMED, NAMES, TextFile
from cdvft_app.progress import Progress

if TYPE_CHECKING:
    import pyarrow as pa

LOOKED_AT = 100  # objects from which the names are taken
EXAMPLE = '{"text": "What a film", "label": "good"}'
NO_OBJECT = "write one JSON object per line"
LATE = (
    "Columns that none of the first {count} objects has are not read: {names}. Write all columns in the "
    "first object, with null if it has no value."
)
_KINDS = {list: "a list", str: "a text", int: "a number", float: "a number", bool: "true or false"}


def read_json_lines(path: Path, limits: Limits, progress: Progress) -> Source:
    """Read a file with one JSON object per line."""
    text = TextFile(path, limits.cell_characters * 8, RowErrors(), progress)
    lines = enumerate(text.lines(), 1)
    looked_at = list(islice(lines, LOOKED_AT))
    parsed = [one for _, line in looked_at if line.strip() and isinstance(one := _parsed(line), dict)]
    first = next((line.strip() for _, line in looked_at if line.strip()), "")
    alone = len(parsed) == 1 and all(
        isinstance(one, (list, dict)) and not is_conversation(one) for one in parsed[0].values()
    )
    if alone or (not parsed and first.startswith("{") and not first.endswith("}")):
        raise DataRefused(
            f"“{path.name}” is one JSON object and no rows. Upload the list in it alone, as "
            f'[{EXAMPLE}, ...], or one object per line. pandas: df.to_json(path, orient="records").'
        )
    if not any(parsed):
        raise DataRefused(f"No line of “{path.name}” holds a JSON object. Write one per line, as {EXAMPLE}.")
    given = ((number, _parsed(line)) for number, line in chain(looked_at, lines) if line.strip())
    return _source("JSONL", text, parsed, given, limits)


def read_json_array(path: Path, limits: Limits, progress: Progress) -> Source:
    """Read a JSON list of objects, numbered from 1."""
    text = TextFile(path, limits.cell_characters * 8, RowErrors(), progress)
    data = path.read_bytes()
    if text.encoding != "utf-8":
        data = data.decode(text.encoding, "replace").encode()
    try:
        rows = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise _refused(path, str(error)) from None
    if not rows or not isinstance(rows[0], dict):
        raise _refused(path, "its first item is none" if rows else "it is empty")
    del data
    objects = [one for one in rows[:LOOKED_AT] if isinstance(one, dict)]
    return _source("JSON", text, objects, enumerate(map(_checked, rows), 1), limits)


def _source(
    format: str,
    text: TextFile,
    first: Iterable[dict[str, Any]],
    given: Iterable[tuple[int, dict[str, Any] | tuple[str, str]]],
    limits: Limits,
) -> Source:
    names = dict.fromkeys(name for one in first for name in one)
    if len(names) > limits.columns:
        raise DataRefused(
            f"It has {len(names):,} columns; the limit is {limits.columns}. Remove some of them."
        )
    late: dict[str, None] = {}

    def rows() -> Iterator[tuple[int, list[str | None]]]:
        for number, found in given:
            if isinstance(found, tuple):
                text.issues.add(number, *found)
                continue
            if found.keys() - names.keys() and len(late) <= NAMED:
                late.update(dict.fromkeys(name for name in found if name not in names))
            yield number, [_text(found.get(name)) for name in names]

    def read() -> Iterator[pa.RecordBatch]:
        yield from row_batches(source, short_values(source, rows(), limits), limits)
        source.notes[:0] = text.notes()
        if late:
            named = ", ".join(f"“{name[:80]}”" for name in islice(late, NAMED))
            more = ", …" if len(late) > NAMED else ""
            source.notes.insert(0, LATE.format(count=LOOKED_AT, names=named + more))

    source = Source(format, "text", distinct_names(names), read, NAMES[text.encoding], faults=text.issues)
    return source


def _parsed(line: str) -> dict[str, Any] | tuple[str, str]:
    """Return the object in a line, or why there is none and what to do."""
    try:
        return _checked(orjson.loads(line.encode("utf-8", "surrogatepass")))
    except orjson.JSONDecodeError as error:
        return f"it is not JSON ({error.msg})", NO_OBJECT


def _checked(value: Any) -> dict[str, Any] | tuple[str, str]:
    if isinstance(value, dict):
        return value
    return f"it holds {_KINDS.get(type(value), 'null')} instead of an object", NO_OBJECT


def _text(value: Any) -> str | None:
    """Return a value as text. 1.0 becomes 1, as JavaScript and JSON do not distinguish them."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        value = int(value)
    return json.dumps(value, ensure_ascii=False)


def _refused(path: Path, reason: str) -> DataRefused:
    return DataRefused(
        f"“{path.name}” is not a list of JSON objects ({reason}). Write a list as [{EXAMPLE}, ...], or one "
        "object per line (JSONL)."
    )
