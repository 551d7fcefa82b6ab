"""A file of many rows answered by a run: rows a second of each part, and the memory that it takes.

    python -m benchmarks.apply_file --rows 100000 --format xlsx [--run RUN_ID]

With a run its answers are computed; without one every answer is at hand, so that reading, keeping and
writing are measured alone. Memory is the process's own (anonymous) at its peak, less what it was before.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from cdvft_app.data.answered_file import (
    ANSWERS,
    Added,
    Answer,
    Answers,
    read_unlabelled,
    rows_of,
    write_answered,
)
from cdvft_app.data.source import LIMITS
from cdvft_app.data.spreadsheets import OdsWriter

WORDS = tuple(
    "the film is a good bad long short story of people who live and love in town with music".split()  # noqa: SIM905
)
TEXTS = [
    Added("value", "answer", str),
    Added("confidence", "confidence", float),
    Added("check", "correct", bool),
]
FORMATS = ("csv", "jsonl", "parquet", "xlsx", "ods")


def write_file(path: Path, rows: int) -> None:
    """Rows of a number, a text of 10 to 30 words and a label."""
    drawn = random.Random(0)
    head = ["id", "text", "label"]
    made = (
        (place, f"{' '.join(drawn.choices(WORDS, k=drawn.randint(10, 30)))} {place}", place % 2)
        for place in range(rows)
    )
    if path.suffix == ".csv":
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([head, *made])
    elif path.suffix == ".jsonl":
        with path.open("w") as file:
            file.writelines(json.dumps(dict(zip(head, row, strict=True))) + "\n" for row in made)
    elif path.suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pa.table(dict(zip(head, zip(*made, strict=True), strict=True)))
        pq.write_table(table, path, row_group_size=10_000)
    elif path.suffix == ".ods":
        sheet = OdsWriter(path, "rows")
        for row in (head, *made):
            sheet.append(row)
        sheet.close()
    else:
        from openpyxl import Workbook

        book = Workbook(write_only=True)
        for_rows = book.create_sheet()
        for row in (head, *made):
            for_rows.append(row)
        book.save(path)


def anonymous_bytes() -> int:
    """The process's memory that is no file's, at its peak where the system tells that alone."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class Peak:
    """The largest `anonymous_bytes` of those that were looked at."""

    def __init__(self) -> None:
        self.begun = self.most = anonymous_bytes()

    def look(self, *_: object) -> None:
        self.most = max(self.most, anonymous_bytes())

    @property
    def added(self) -> int:
        return self.most - self.begun


def measure(path: Path, folder: Path, out: Path, run_id: str | None) -> dict[str, float]:
    """Seconds of each part, and bytes."""
    import openpyxl  # noqa: F401 - whose own memory does not count
    import pyarrow.parquet  # noqa: F401

    models = run = columns = None
    if run_id:
        from cdvft_app.results import apply as applying
        from cdvft_app.results.finished_run import find
        from cdvft_app.results.inference import load_side_by_side
        from cdvft_app.store.runs import RunStore

        run = find(RunStore.default(), run_id)
        models = load_side_by_side([run])
        models.answers(run.record.id, ["warm up"])
    peak = Peak()
    began = time.perf_counter()
    kept = read_unlabelled(path, folder, LIMITS, peak.look)
    read = time.perf_counter()
    if run and models:
        columns = applying.columns_for(run, kept.columns, kept.kind)
        answers = Answers(folder / ANSWERS, applying.about(run, kept.sha256, columns))
        for _ in applying.answer_rows(run, models, folder, columns, answers):
            peak.look()
    else:
        answers = Answers(folder / ANSWERS, {})
        for batch in rows_of(folder):
            answers.add([Answer("positive", 0.5, True, "positive")] * len(batch))
            peak.look()
    answered = time.perf_counter()
    write_answered(
        path, out, folder, answers, inputs=["text"], added=TEXTS, limits=LIMITS, progress=peak.look
    )
    written = time.perf_counter()
    return {
        "rows": kept.rows,
        "file_mb": path.stat().st_size / 1e6,
        "read_s": read - began,
        "answer_s": answered - read,
        "write_s": written - answered,
        "rows_a_second": kept.rows / (written - began),
        "memory_mb": peak.added / 1e6,
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
    }


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--rows", type=int, default=100_000)
    options.add_argument("--format", choices=FORMATS, default="csv")
    options.add_argument("--run")
    options.add_argument("--make", type=Path, help="only write the file of rows there")
    chosen = options.parse_args()
    if chosen.make:
        write_file(chosen.make, chosen.rows)
        return
    with tempfile.TemporaryDirectory() as work:
        path, folder = Path(work) / f"rows.{chosen.format}", Path(work) / "read"
        folder.mkdir()
        # In a process of its own: what it took to make the file is none of the measured memory.
        module = [sys.executable, "-m", "benchmarks.apply_file"]
        subprocess.run([*module, "--rows", str(chosen.rows), "--make", str(path)], check=True)
        found = measure(path, folder, Path(work) / f"out.{chosen.format}", chosen.run)
    print(json.dumps({"format": chosen.format, **{name: round(value, 1) for name, value in found.items()}}))


if __name__ == "__main__":
    main()
