"""Record finished runs of one race with their adapters, as what can be used before anybody has trained.

    python -m benchmarks.record_adapters RUN_ID ...   writes assets/recorded_adapters

Losses are rounded to what a picture of them can show. Seconds are left out: those of an idle machine stand in
assets/recorded_race.json.
"""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import shutil
import sys
from typing import Any

from cdvft_app.results import recorded
from cdvft_app.results.finished_run import FinishedRun, ResultsError, find, losses
from cdvft_app.store import predictions
from cdvft_app.store.records import StoreError
from cdvft_app.store.runs import RunStore

FILES = ("adapter_config.json", "adapter_model.safetensors")
KEPT = ("kind", "step", "loss")


def record(run: FinishedRun) -> dict[str, Any]:
    """What is kept of a run besides its adapter: nothing of who started it, or where."""
    own = run.record
    values = dataclasses.asdict(own) | {
        "id": f"recorded-{own.method}",
        "group_id": recorded.GROUP,
        "settings": own.settings.model_dump(mode="json", exclude_none=True),
        "device": f"{own.device} ({platform.machine()}, {os.cpu_count()} CPU cores)",
        "process": None,
        "seconds": None,
        "forecast": None,
    }
    left_out = ("adapter_folder", "seconds", "examples_per_second")
    values["result"] = {name: value for name, value in own.result.items() if name not in left_out}
    return values


def main(ids: list[str]) -> None:
    store = RunStore.default()
    try:
        runs = [find(store, run_id) for run_id in ids]
    except (ResultsError, StoreError) as error:
        sys.exit(str(error))
    if not runs or any(run.weights != "adapter" or run.record.state != "finished" for run in runs):
        sys.exit("Give the ids of finished runs that trained an adapter.")
    shutil.rmtree(recorded.FOLDER, ignore_errors=True)
    known = []
    for run in runs:
        known.append({"record": record(run), "rows": []})
        for row in losses(store, run):
            known[-1]["rows"].append({name: row[name] for name in KEPT} | {"loss": round(row["loss"], 4)})
        folder = recorded.FOLDER / known[-1]["record"]["id"]
        folder.mkdir(parents=True)
        for name in FILES:
            shutil.copyfile(run.folder / name, folder / name)
        (folder / recorded.ANSWERS).mkdir()
        shutil.copyfile(
            store.folder(run.record.id) / predictions.FILE, folder / recorded.ANSWERS / predictions.FILE
        )
    text = json.dumps(known, separators=(",", ":"))
    (recorded.FOLDER / "runs.json").write_text(f"{text}\n", encoding="utf-8")
    sizes = [file.stat().st_size for file in recorded.FOLDER.rglob("*") if file.is_file()]
    print(f"Wrote {len(sizes)} files, {sum(sizes):,} bytes.")


if __name__ == "__main__":
    main(sys.argv[1:])
