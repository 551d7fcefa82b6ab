"""A whole JSON document that is a list of objects, as Alpaca's files are: by DuckDB, object by object."""

from __future__ import annotations

import json
from pathlib import Path

from cdvft_app.data.encodings import NAMES, as_utf8, encoding_of
from cdvft_app.data.faults import DataRefused
from cdvft_app.data.json_lines import read_json_lines
from cdvft_app.data.limits import Limits
from cdvft_app.data.source import BATCH, Progress, Source


def read_json_array(path: Path, work: Path, limits: Limits, progress: Progress) -> Source:
    """Its objects, numbered from 1; `work` is a folder for them as one object a line."""
    import duckdb

    progress(None, "Taking the list apart")
    lines = work / path.name
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
