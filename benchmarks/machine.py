"""The machine and the library versions that measured numbers depend on, for every benchmark's record."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

Machine = dict[str, Any]


def machine() -> Machine:
    """This machine, and what runs on it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return {
        "cpu": next(names, platform.processor() or platform.machine()),
        "cores": os.cpu_count(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def machines(earlier: Sequence[Machine]) -> list[Machine]:
    """Those of a record that is being continued, and this one, each once."""
    here = machine()
    return [*earlier, *([] if here in earlier else [here])]


def caches() -> dict[str, str]:
    """Size of each of a core's caches, where Linux tells."""
    folders = Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")
    return {
        f"L{(f / 'level').read_text().strip()} {(f / 'type').read_text().strip().lower()}": (f / "size")
        .read_text()
        .strip()
        for f in sorted(folders)
    }
