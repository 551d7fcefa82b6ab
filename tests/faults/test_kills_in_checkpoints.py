"""Kills while the real trainer writes a checkpoint, each before a line of code that was drawn by chance."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import dying_trainer
import pytest
import tiny_trainer
from waiting import pace

from cdvft_app.training.checkpoints import CHECKSUMS, LAST_WRITTEN
from cdvft_app.training.children import Child

KILLS = 6
LIFE_SECONDS = 120.0  # none takes more than a few seconds on an idle machine

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")]


def live(folder: Path, until: int | None = None) -> None:
    """One life of the trainer, in a process of its own."""
    child = Child(dying_trainer.train, str(folder), until)
    assert child.poll(LIFE_SECONDS * pace())
    killed = "memory ran out" in child.reason()
    assert killed == (until is not None), child.reason()


def losses(folder: Path) -> dict[int, str]:
    """The last loss that was told of each step."""
    told = map(str.split, (folder / "losses.txt").read_text().splitlines())
    return {int(step): loss for step, loss in told}


@pytest.mark.nightly
def test_whatever_is_half_written_the_run_goes_on_as_if_nothing_was(tmp_path: Path) -> None:
    tiny_trainer.save_model(tmp_path / tiny_trainer.MODEL)
    whole, broken = (tmp_path / "store" / "runs" / name for name in ("whole", "broken"))
    for folder in (whole, broken):
        folder.mkdir(parents=True)
    live(whole)
    most = int((whole / "lines.txt").read_text())
    drawn, torn = random.Random(11), 0
    for _ in range(KILLS):
        live(broken, drawn.randrange(1, most))
        latest = max((broken / "checkpoints").iterdir(), key=lambda path: path.stat().st_mtime_ns)
        torn += not ((latest / LAST_WRITTEN).is_file() and (latest / CHECKSUMS).is_file())
    assert torn > KILLS // 4, "the kills met no checkpoint that was half written"
    live(broken)
    assert losses(broken) == losses(whole) and list(losses(whole)) == [*range(1, 31)]
    assert (broken / "adapter" / "adapter_model.safetensors").is_file()
