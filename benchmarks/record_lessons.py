"""Record the fit that the lab shows first.

    OMP_NUM_THREADS=1 python -m benchmarks.record_lessons

Writes assets/recorded_fit.json, with the date and the processor. Takes some seconds on one core.
"""

from __future__ import annotations

import time

import torch

from benchmarks.machine import machine, write_compact
from cdvft_app import ASSETS
from cdvft_app.approximate import TARGETS, make_target
from cdvft_app.lessons.fitting import fitted

TARGET, SIDE, MAX_M = "smooth_kernel", 32, 3


def main() -> None:
    torch.set_num_threads(1)
    target = TARGETS[TARGET]
    *_, view = fitted(make_target(TARGET, SIDE), MAX_M, f"Target: {target.description}")
    title = f"{target.title}, {SIDE} × {SIDE}, up to m = {MAX_M}"
    status = f"{title}. Recorded {time.strftime('%Y-%m-%d')} on {machine()['cpu']}."
    write_compact(ASSETS / "recorded_fit.json", {**view, "status": status})


if __name__ == "__main__":
    main()
