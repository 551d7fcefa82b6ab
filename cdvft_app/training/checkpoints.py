"""Checkpoints that can be trusted: each is sealed with its files' sums, and a damaged one is passed over."""

from __future__ import annotations

import json
import re
import shutil
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from cdvft_app.files import replacing, replacing_folder

LAST_WRITTEN = "trainer_state.json"
"""The last file of a checkpoint; without it the checkpoint was cut off and is of no use."""
RESUME = "Resume goes on from the last checkpoint."
"""What a reason ends with that tells why a run ended early."""
RESUMED_FROM = "Went on from step "
"""How the note of a run begins that goes on from a checkpoint."""
CHECKPOINTS = "checkpoints"  # in the run's folder
BEST = "best"  # a folder beside the checkpoints, and in each of them
_SCORE = "score.json"  # in it
CHECKSUMS = "sums.json"
NAME = re.compile(r"checkpoint-(\d{1,9})")
CHUNK = 2**22  # bytes


def write_checksums(checkpoint: Path) -> None:
    """Write down what each of its files holds."""
    with replacing(checkpoint / CHECKSUMS) as new:
        new.write_text(json.dumps(_checksums(checkpoint)))


@dataclass(frozen=True)
class BestStep:
    """The first step with the highest metric on the validation rows; of several, with the lowest loss."""

    step: int
    metric: float
    loss: float

    def is_before(self, other: BestStep | None) -> bool:
        """Return whether it is to be kept in the place of `other`."""
        return other is None or (self.metric, -self.loss, -self.step) > (
            other.metric,
            -other.loss,
            -other.step,
        )


def keep_best(folder: Path, best: BestStep, write: Callable[[Path], object]) -> None:
    """Put what `write` writes into a folder in the place of what was the best before."""
    with replacing_folder(folder / BEST) as new:
        write(new)
        (new / _SCORE).write_text(json.dumps(asdict(best)))
        write_checksums(new)


def copy_best(source: Path, folder: Path) -> None:
    """Have in `folder` what is the best in `source`: one is a checkpoint, the other holds them all."""
    shutil.rmtree(folder / BEST, ignore_errors=True)
    if (source / BEST).is_dir():
        shutil.copytree(source / BEST, folder / BEST)


def best_in(folder: Path) -> BestStep | None:
    """Return the best step that is kept in `folder`; None where nothing was chosen yet, or what is there is
    cut off or damaged."""
    best = folder / BEST
    try:
        sound = json.loads((best / CHECKSUMS).read_bytes()) == _checksums(best)
        return BestStep(**json.loads((best / _SCORE).read_bytes())) if sound else None
    except (OSError, ValueError, TypeError):
        return None


def restore_best(checkpoint: Path | None, folder: Path) -> None:
    """Have in `folder`, which holds the checkpoints, what was the best when one of them was written."""
    beside = best_in(folder)
    if checkpoint and best_in(checkpoint):
        copy_best(checkpoint, folder)
    elif not (checkpoint and beside and beside.step <= step(checkpoint)):
        shutil.rmtree(folder / BEST, ignore_errors=True)


def in_order(folder: Path) -> list[Path]:
    """Return all checkpoints in `folder`, that of the latest step last."""
    found = [path for path in folder.glob("checkpoint-*") if path.is_dir() and NAME.fullmatch(path.name)]
    return sorted(found, key=step)


def step(checkpoint: Path) -> int:
    """Return the number of the step after which it was written."""
    return int(checkpoint.name.rpartition("-")[2])


def newest(folder: Path) -> tuple[Path | None, list[Path]]:
    """Return the newest whole checkpoint in `folder`, and the damaged ones that are newer than it."""
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
        if not (checkpoint / CHECKSUMS).is_file():
            return True  # by an older version, or killed before it was sealed: all that is known is good
        return json.loads((checkpoint / CHECKSUMS).read_bytes()) == _checksums(checkpoint)
    except (OSError, ValueError):
        return False


def _checksums(checkpoint: Path) -> dict[str, int]:
    files = (file for file in checkpoint.rglob("*") if file.is_file() and not file.name.startswith(CHECKSUMS))
    return {str(file.relative_to(checkpoint)): _sum(file) for file in files}


def _sum(file: Path) -> int:
    found = 0
    with file.open("rb") as content:
        while chunk := content.read(CHUNK):
            found = zlib.crc32(chunk, found)
    return found
