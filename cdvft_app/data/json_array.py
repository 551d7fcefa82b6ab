"""A whole JSON document that is a list of objects, as Alpaca's files are: by DuckDB, object by object."""

from __future__ import annotations

import json
from pathlib import Path

from cdvft_app.data.faults import DataRefused
from cdvft_app.data.json_lines import read_json_lines
from cdvft_app.data.limits import Limits
from cdvft_app.data.source import BATCH, Progress, Source


def read_json_array(path: Path, work: Path, limits: Limits, progress: Progress) -> Source:
    """Its objects, numbered from 1; `work` is a folder for them as one object a line."""
    import duckdb

    progress(None, "Taking the list apart")
    lines = work / path.name
    asked = "SELECT json FROM read_json_objects(?, format = 'array', maximum_object_size = ?)"
    try:
        with (
            duckdb.connect(config={"threads": 1, "memory_limit": "1GB"}) as connection,
            lines.open("w", encoding="utf-8", newline="\n") as file,
        ):
            found = connection.execute(asked, [str(path), limits.cell_characters * 8])
            while rows := found.fetchmany(BATCH):
                # An object may stand over several lines; written anew it is one.
                file.writelines(json.dumps(json.loads(text), ensure_ascii=False) + "\n" for (text,) in rows)
    except (duckdb.Error, ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0].rpartition(": ")[2].rstrip(". ")
        raise DataRefused(
            f"“{path.name}” is no list of JSON objects ({reason}). Write a list as "
            '[{"text": "What a film", "label": "good"}, ...], or one object in each line (JSONL).'
        ) from None
    source = read_json_lines(lines, limits, progress)
    source.format = "JSON"
    return source
