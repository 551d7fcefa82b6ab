"""What the lab computes on a server, kept for the page of plain files, which has none.

    OMP_NUM_THREADS=1 python -m benchmarks.record_lessons

Writes assets/recorded_lessons.json: the end of each fit that the lab's known targets have there. Some
minutes on one core.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.machine import machine
from cdvft_app.approximate import TARGETS, make_target
from cdvft_app.lessons.fitting import fitted

FILE = Path(__file__).parents[1] / "assets" / "recorded_lessons.json"
SIDES, MAX_M = (16, 32, 64), 3


def main() -> None:
    torch.set_num_threads(1)
    record: dict[str, Any] = {
        "command": "python -m benchmarks.record_lessons",
        "date": time.strftime("%Y-%m-%d"),
        "cpu": machine()["cpu"],
        "fits": [fit(name, n) for n in SIDES for name in TARGETS],
    }
    FILE.write_text(json.dumps(record, separators=(",", ":")) + "\n", encoding="utf-8")
    print(f"Wrote {FILE.name}, {FILE.stat().st_size:,} bytes.")


def fit(name: str, n: int) -> dict[str, Any]:
    """The lab's view when the fit of a target of n × n was done."""
    target = TARGETS[name]
    *_, last = fitted(make_target(name, n), MAX_M, f"The target: {target.description}")
    if not last["status"].startswith("Done"):
        raise RuntimeError(f"{name}, n = {n}: {last['status']}; run it where it is done in time.")
    last["status"] = f"{target.title}, {n} × {n}, up to m = {MAX_M}"
    return {"target": name, "n": n, "view": last}


if __name__ == "__main__":
    main()
