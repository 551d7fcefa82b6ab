"""The default race as it was recorded on some machine, with what its runs learned, for who has trained none.

In assets/recorded_adapters, written by benchmarks/record_adapters.py: `runs.json` with the runs' records and
losses, and for each run a folder of its id with PEFT's two files and its answers. Tokenizer and labels come
with the model.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from cdvft_app import ASSETS
from cdvft_app.settings import RunSettings
from cdvft_app.store.records import RunRecord

FOLDER = ASSETS / "recorded_adapters"
ANSWERS = "answers"  # in a run's folder: what it answered for the held-out rows
GROUP = "recorded"
"""The race's group, and what stands for its runs in an address."""


@lru_cache(maxsize=1)
def _runs() -> dict[str, tuple[RunRecord, list[dict[str, Any]]]]:
    """Records and rows by the runs' ids; none where nothing was recorded."""
    file = FOLDER / "runs.json"
    if not file.is_file():
        return {}
    runs = json.loads(file.read_text(encoding="utf-8"))
    return {run["record"]["id"]: (_record(run["record"]), run["rows"]) for run in runs}


def _record(values: dict[str, Any]) -> RunRecord:
    return RunRecord(**{**values, "settings": RunSettings.model_validate(values["settings"])})


def race() -> list[RunRecord]:
    """The recorded runs in the order of their race."""
    return [record for record, _ in _runs().values()]


def get(run_id: object) -> RunRecord | None:
    """The recorded run of that id; None where it is none."""
    return _runs()[run_id][0] if isinstance(run_id, str) and run_id in _runs() else None


def rows(run_id: str) -> list[dict[str, Any]]:
    """Its steps and evaluations, as a store gives them."""
    return _runs()[run_id][1]


def folder(record: RunRecord) -> Path:
    """Where its adapter lies."""
    return FOLDER / record.id
