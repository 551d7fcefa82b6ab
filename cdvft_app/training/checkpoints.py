"""Checkpoints that can be trusted: each is sealed with its files' sums, and a damaged one is passed over."""

from __future__ import annotations

import json
import os
import re
import zlib
from pathlib import Path

LAST_WRITTEN = "trainer_state.json"
"""The last file of a checkpoint; without it the checkpoint was cut off and is of no use."""
WENT_ON = "Went on from step "
"""How the note of a run begins that goes on from a checkpoint."""
CHECKPOINTS = "checkpoints"  # in the run's folder
SEAL = "sums.json"
NAME = re.compile(r"checkpoint-(\d{1,9})")
CHUNK = 2**22  # bytes


def seal(checkpoint: Path) -> None:
    """Write down what each of its files holds."""
    unfinished = checkpoint / f"{SEAL}.unfinished"
    unfinished.write_text(json.dumps(_sums(checkpoint)))
    os.replace(unfinished, checkpoint / SEAL)


def in_order(folder: Path) -> list[Path]:
    """All in `folder`, that of the latest step last."""
    found = [path for path in folder.glob("checkpoint-*") if path.is_dir() and NAME.fullmatch(path.name)]
    return sorted(found, key=step)


def step(checkpoint: Path) -> int:
    """After which it was written."""
    return int(checkpoint.name.rpartition("-")[2])


def newest(folder: Path) -> tuple[Path | None, list[Path]]:
    """The newest whole checkpoint in `folder`, and the damaged ones that are newer than it."""
    damaged: list[Path] = []
    for checkpoint in reversed(in_order(folder)):
        if not (checkpoint / LAST_WRITTEN).is_file():
            continue  # the program ended while it was written
        if _whole(checkpoint):
            return checkpoint, damaged
        damaged.append(checkpoint)
    return None, damaged


def _whole(checkpoint: Path) -> bool:
    try:
        json.loads((checkpoint / LAST_WRITTEN).read_bytes())
        if not (checkpoint / SEAL).is_file():
            return True  # by an older version, or killed before it was sealed: all that is known is good
        return json.loads((checkpoint / SEAL).read_bytes()) == _sums(checkpoint)
    except (OSError, ValueError):
        return False


def _sums(checkpoint: Path) -> dict[str, int]:
    files = (file for file in checkpoint.rglob("*") if file.is_file() and not file.name.startswith(SEAL))
    return {str(file.relative_to(checkpoint)): _sum(file) for file in files}


def _sum(file: Path) -> int:
    found = 0
    with file.open("rb") as content:
        while chunk := content.read(CHUNK):
            found = zlib.crc32(chunk, found)
    return found
