"""Time several things side by side: in turns, in one process, so that whatever disturbs one disturbs all."""

from __future__ import annotations

import os
import platform
import random
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

Run = Callable[[], float | None]


@dataclass(frozen=True)
class Ratio:
    """Median of the rounds' ratios, and their quartiles."""

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Rounds:
    """Seconds of every candidate in every round."""

    seconds: dict[str, list[float]]

    @property
    def count(self) -> int:
        return len(next(iter(self.seconds.values())))

    def median(self, name: str) -> float:
        return statistics.median(self.seconds[name])

    def ratio(self, name: str, other: str) -> Ratio:
        ratios = [a / b for a, b in zip(self.seconds[name], self.seconds[other], strict=True)]
        low, median, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
        return Ratio(round(median, 4), round(low, 4), round(high, 4))


def interleave(candidates: Mapping[str, Run], seconds: float, least: int = 3, most: int = 200) -> Rounds:
    """Run all candidates once a round, every round in another order, until the time is up.

    One thread is timed by its own CPU time, which other processes do not count into; several by the clock. A
    candidate that returns seconds has timed itself.
    """
    clock = time.thread_time if torch.get_num_threads() == 1 else time.perf_counter
    names = list(candidates)
    found: dict[str, list[float]] = {name: [] for name in names}
    for run in candidates.values():
        run()
    end = time.monotonic() + seconds
    order = random.Random(0)
    for n in range(most):
        if n >= least and time.monotonic() > end:
            break
        for name in order.sample(names, len(names)):  # whoever runs before leaves the caches as they are
            start = clock()
            own = candidates[name]()
            taken = clock() - start
            found[name].append(taken if own is None else own)
    return Rounds(found)


def machine() -> dict[str, Any]:
    """What the numbers depend on."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": names[0] if names else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "cache": _caches(),
        "load_average_at_start": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def _caches() -> dict[str, str]:
    folders = Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")
    return {
        f"L{(f / 'level').read_text().strip()} {(f / 'type').read_text().strip().lower()}": (f / "size")
        .read_text()
        .strip()
        for f in sorted(folders)
    }
