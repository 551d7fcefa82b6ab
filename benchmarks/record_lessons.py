"""What the lab computes on a server, kept for the page of plain files, which has none, and for a first visit.

    OMP_NUM_THREADS=1 python -m benchmarks.record_lessons

Writes assets/recorded_lessons.json: the end of each fit that the lab's known targets have there; and
assets/recorded_fit.json: the one that the lab shows before anybody has pressed its button, with when and
where it was made. Some minutes on one core.
"""

from __future__ import annotations

import time
from typing import Any

import torch

from benchmarks.machine import machine, write_compact
from cdvft_app import ASSETS
from cdvft_app.approximate import TARGETS, make_target
from cdvft_app.lessons.fitting import fitted

SIDES, MAX_M = (16, 32, 64), 3
SHOWN, SHOWN_SIDE = "smooth_kernel", 32


def main() -> None:
    torch.set_num_threads(1)
    day, cpu = time.strftime("%Y-%m-%d"), machine()["cpu"]
    fits = [{"target": name, "n": n, "view": fit(name, n)} for n in SIDES for name in TARGETS]
    command = "python -m benchmarks.record_lessons"
    write_compact(
        ASSETS / "recorded_lessons.json", {"command": command, "date": day, "cpu": cpu, "fits": fits}
    )
    view = next(one["view"] for one in fits if (one["target"], one["n"]) == (SHOWN, SHOWN_SIDE))
    status = (
        f"Recorded {day} on {cpu}: {TARGETS[SHOWN].title.lower()}, "
        f"{SHOWN_SIDE} × {SHOWN_SIDE}, up to m = {MAX_M}. Press Fit for one of your own"
    )
    write_compact(ASSETS / "recorded_fit.json", {**view, "status": status})


def fit(name: str, n: int) -> dict[str, Any]:
    """The lab's view when the fit of a target of n × n was done."""
    target = TARGETS[name]
    *_, last = fitted(make_target(name, n), MAX_M, f"The target: {target.description}")
    if not last["status"].startswith("Done"):
        raise RuntimeError(f"{name}, n = {n}: {last['status']}; run it where it is done in time.")
    return {**last, "status": f"{target.title}, {n} × {n}, up to m = {MAX_M}"}


if __name__ == "__main__":
    main()
