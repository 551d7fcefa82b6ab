"""For every benchmark's record: the machine and versions that its numbers depend on, and how it is kept."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from cdvft_app.files import replacing

Machine = dict[str, Any]
DIGITS = 4  # significant ones of a record's floats


def machine() -> Machine:
    """This machine, and what runs on it."""
    from cdvft.kernels import engine_choice

    return {
        "cpu": engine_choice.machine(torch.device("cpu"))["name"],
        "cores": os.cpu_count(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def machines(earlier: Sequence[Machine]) -> list[Machine]:
    """The machines of a record that is being continued, and this one, each once."""
    here = machine()
    return [*earlier, *([] if here in earlier else [here])]


def write_whole(file: Path, text: str) -> None:
    """Put a record in the place of the one before, which stays as it was where this program is killed."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with replacing(file) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def write_record(file: Path, record: Any) -> None:
    write_whole(file, json.dumps(record, indent=1) + "\n")


def write_compact(file: Path, record: Any) -> None:
    """Write a record of one line, for a file that is long or that pages are sent, and print its size."""
    write_whole(file, json.dumps(record, separators=(",", ":")) + "\n")
    print(f"Wrote {file.name}: {file.stat().st_size:,} bytes.", flush=True)


def read_record(file: Path) -> dict[str, Any]:
    """The record so far; empty before the first one."""
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}


def rounded(value: Any) -> Any:
    """The same JSON with floats of four significant digits."""
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    return [rounded(inner) for inner in value] if isinstance(value, list) else value


def caches() -> dict[str, str]:
    """Size of each of a core's caches, where Linux tells."""
    folders = Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")
    return {
        f"L{(f / 'level').read_text().strip()} {(f / 'type').read_text().strip().lower()}": (f / "size")
        .read_text()
        .strip()
        for f in sorted(folders)
    }
