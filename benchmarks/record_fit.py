"""The fit that the lab of the Learn tab shows before anybody has pressed its button.

    OMP_NUM_THREADS=1 python -m benchmarks.record_fit

Writes assets/recorded_fit.json: what the page gets at the end of such a fit, with when and where it was made.
A few seconds on one core.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import torch

from benchmarks.machine import machine
from cdvft_app.approximate import TARGETS, make_target
from cdvft_app.lessons.fitting import fitted

FILE = Path(__file__).parents[1] / "assets" / "recorded_fit.json"
NAME, SIDE, MAX_M = "smooth_kernel", 32, 3


def main() -> None:
    torch.set_num_threads(1)
    target = TARGETS[NAME]
    *_, last = fitted(make_target(NAME, SIDE), MAX_M, f"The target: {target.description}")
    last["status"] = (
        f"Recorded {time.strftime('%Y-%m-%d')} on {machine()['cpu']}: {target.title.lower()}, "
        f"{SIDE} × {SIDE}, up to m = {MAX_M}. Press Fit for one of your own"
    )
    FILE.write_text(json.dumps(last, separators=(",", ":")) + "\n", encoding="utf-8")
    print(f"Wrote {FILE.name}, {FILE.stat().st_size:,} bytes.")


if __name__ == "__main__":
    main()
