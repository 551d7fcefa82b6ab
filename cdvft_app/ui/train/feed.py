"""The rows of runs as JSON for the page, cached so that all who watch a run share one answer."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, cast

import orjson

from cdvft_app.catalog.conversations import transcript
from cdvft_app.payloads.train import Answers, RunRows
from cdvft_app.store.runs import RunStore

MAX_ROWS = 2000
KINDS = ("preparing", "step", "evaluation", "answers", "note")
ANSWER_FIELDS = ("prompts", "answers", "right", "wrong", "tokens")
MAX_KEPT = 64
"""Answers in the cache. Watchers ask from a run's latest cursors, newcomers from its first one."""


class Feed:
    """Rows of runs after a cursor. Answers are cached by the run's last row: a new row makes a new one."""

    def __init__(self, store: RunStore) -> None:
        self._store = store
        self._cached_rows = lru_cache(maxsize=MAX_KEPT)(self._write)

    def after(self, run_id: str, cursor: int, own: bool) -> tuple[RunRows, int, bool]:
        """At most `MAX_ROWS` rows as JSON for orjson; the cursor to ask with next; whether more wait.

        `own`: whether who asks now is told the prompt that the run's owner typed.
        """
        return self._cached_rows(run_id, cursor, self._store.last_row(run_id), own)

    def _write(self, run_id: str, cursor: int, last: int, own: bool) -> tuple[RunRows, int, bool]:
        rows, cursor_now = self._store.rows(run_id, cursor, kinds=KINDS, limit=MAX_ROWS)
        parts = {name: orjson.Fragment(orjson.dumps(value)) for name, value in rows_for_page(rows).items()}
        return cast(RunRows, parts), cursor_now, len(rows) == MAX_ROWS


def rows_for_page(rows: list[dict[str, Any]]) -> RunRows:
    """Rows as the page takes them."""
    preparing = [row for row in rows if row["kind"] == "preparing"]
    found: RunRows = {
        "steps": [(row["step"], row["seconds"], row["loss"]) for row in rows if row["kind"] == "step"],
        "evaluations": [
            (row["step"], row["seconds"], row["metric"], bool(row.get("validation")))
            for row in rows
            if row["kind"] == "evaluation"
        ],
        "notes": [{"text": row["text"], "level": row["level"]} for row in rows if row["kind"] == "note"],
    }
    answers = [_answers(row) for row in rows if row["kind"] == "answers"]
    if answers:
        found["answers"] = answers
    if preparing:
        found["preparing"] = {"text": preparing[-1]["text"], "fraction": preparing[-1]["fraction"]}
    return found


def _answers(row: dict[str, Any]) -> Answers:
    """As the page takes them; those of a version before have less."""
    found = {"step": row["step"]} | {name: row[name] for name in ANSWER_FIELDS if row.get(name)}
    return cast(Answers, found | {"prompts": [*map(transcript, row["prompts"])]})
