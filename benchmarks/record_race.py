"""Record finished runs of one race as the race that ships with the program.

    python -m benchmarks.record_race sentiment RUN_ID ...   writes assets/recorded_runs

Each run becomes a folder as the store keeps it, under an id that says what it is: its row and its rows
without whose they were, its adapter, and its answers to the held-out rows. Measured numbers are rounded to
six digits.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
from pathlib import Path
from typing import Any

from cdvft_app.store import predictions
from cdvft_app.store.folders import JSON_COLUMNS, read_facts, write_facts
from cdvft_app.store.history_file import OF_THE_OWNER
from cdvft_app.store.recorded import FOLDER
from cdvft_app.store.records import RunRecord
from cdvft_app.store.runs import RunStore

KINDS = ("started", "step", "evaluation", "answers", "note", "done")
LEARNED = (
    "adapter/adapter_config.json",
    "adapter/adapter_model.safetensors",
    predictions.FILE,
    predictions.ANSWERS_FILE,
)


def record(store: RunStore, run: RunRecord, name: str, position: int, there: Path) -> None:
    """Write the run's folder into `there`."""
    source, run_id = store.folder(run.id), f"recorded-{name}-{run.method}"
    facts, events = read_facts(source)
    facts |= {column: json.loads(facts[column] or "null") for column in JSON_COLUMNS}
    device = f"{run.device} ({platform.machine()}, {os.cpu_count()} CPU cores)"
    facts |= dict.fromkeys((*OF_THE_OWNER, "forecast", "family", "started", "ended"))
    facts |= {"id": run_id, "group_id": f"recorded-{name}-race", "position": position}
    facts |= {"device": device, "queued": facts["created"], "private": 0, "hidden": 0}
    events = [_rounded(event) for event in events if event["kind"] in KINDS]
    for event in events:
        if event["kind"] == "started":
            event["device"] = device
    folder = there / run_id
    folder.mkdir(parents=True)
    write_facts(folder, facts, events)
    for file in LEARNED:
        if (source / file).is_file():
            (folder / file).parent.mkdir(exist_ok=True)
            shutil.copyfile(source / file, folder / file)


def _rounded(data: dict[str, Any]) -> dict[str, Any]:
    return {name: float(f"{one:.6g}") if isinstance(one, float) else one for name, one in data.items()}


def main(name: str, ids: list[str]) -> None:
    store = RunStore.default()
    runs = [(run_id, store.get(run_id)) for run_id in ids]
    if unknown := [run_id for run_id, run in runs if run is None]:
        sys.exit(f"Give the ids of runs in the store; unknown: {', '.join(unknown)}.")
    known = [run for _, run in runs if run is not None]
    for run in known:
        if run.state != "finished":
            sys.exit(f"Run {run.id} is {run.state}; only finished runs are recorded.")
    if len({run.method for run in known}) < len(ids) or not ids:
        sys.exit("Give the ids of finished runs, one for each method.")
    for left in FOLDER.glob("recorded-*"):
        shutil.rmtree(left)
    for position, run in enumerate(known):
        record(store, run, name, position, FOLDER)
    sizes = [file.stat().st_size for file in FOLDER.rglob("*") if file.is_file()]
    print(f"Wrote {len(sizes)} files, {sum(sizes):,} bytes.")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "", sys.argv[2:])
