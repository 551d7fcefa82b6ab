"""Stopped, cut off, killed: runs that go on as if nothing was."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest
from forked import Forked
from listening import run

from cdvft_app.events import Evaluation, Note, Step
from cdvft_app.store import snapshots
from cdvft_app.training import trainer


def newest_checkpoint(folder: Path) -> Path:
    return max((folder / "checkpoints").iterdir(), key=lambda path: int(path.name.split("-")[1]))


def test_resume_matches_uninterrupted_run(whole, text_plan, text_rows, tmp_path):
    plan = text_plan(checkpoint_every=5)
    before, done = run(plan, text_rows, tmp_path, stop_after=6)
    assert done.state == "stopped" and 6 <= done.step <= 8
    assert before.of(Evaluation)[-1].final and before.of(Evaluation)[-1].step == done.step
    assert (done.adapter_folder / "adapter_model.safetensors").is_file()
    assert snapshots.steps(tmp_path)[-1] == done.step
    after, finished = run(plan, text_rows, tmp_path, resume=True)
    assert finished.state == "finished"
    assert min(after.losses()) == done.step + 1
    assert before.losses() | after.losses() == whole[0].losses()
    assert finished.seconds > done.seconds
    assert finished.metric == whole[0][-1].metric
    assert finished.train_loss == whole[0][-1].train_loss  # over steps of both halves


@pytest.fixture(scope="module")
def past_step_12(text_plan, text_rows, tmp_path_factory):
    """The folder of a run that was stopped then."""
    folder = tmp_path_factory.mktemp("stopped")
    run(text_plan(checkpoint_every=5), text_rows, folder, stop_after=12)
    return folder


@pytest.fixture
def stopped(past_step_12, tmp_path):
    """A copy of it."""
    return shutil.copytree(past_step_12, tmp_path / "stopped")


DAMAGES = {
    "torn": ("trainer_state.json", None),
    "other weights": ("*.safetensors", lambda held: held[:-9] + bytes(9)),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_resume_skips_damaged_checkpoints(damage, stopped, whole, text_plan, text_rows):
    file, damaged = damage
    latest = newest_checkpoint(stopped)
    target = next(latest.rglob(file))
    target.write_bytes(damaged(target.read_bytes())) if damaged else target.unlink()
    after, done = run(text_plan(checkpoint_every=5), text_rows, stopped, resume=True)
    assert min(after.losses()) == 11 and done.state == "finished"  # from the checkpoint at step 10
    assert after.losses().items() <= whole[0].losses().items()
    said = f"The checkpoint of step {latest.name.split('-')[1]} is damaged and was passed over."
    notes = [(note.text, note.kind) for note in after.of(Note)]
    assert ((said, "warning") in notes) == (damaged is not None)


def told_in_a_file(plan, rows, folder: Path, log: Path, stop: int) -> None:
    """Train; `log` has each step's loss and the end. Killed at step -stop, or stopped after `stop` steps."""
    heard = []
    with log.open("a") as file:

        def emit(event):
            if isinstance(event, Step):
                print(event.step, repr(event.loss), file=file, flush=True)
                heard.append(event.step)
                if stop < 0 and event.step == -stop:
                    os.kill(os.getpid(), signal.SIGKILL)

        done = trainer.train_plan(plan, emit, lambda: 0 < stop <= len(heard), folder, rows=rows)
        print("done", done.state, done.step, file=file, flush=True)


def said(log: Path) -> dict[str, list[str]]:
    pairs = (line.split() for line in log.read_text().splitlines())
    return {pair[0]: pair[1:] for pair in pairs}


def test_resume_after_a_kill_matches_losses(whole, text_plan, text_rows, tmp_path):
    plan, log = text_plan(checkpoint_every=5), tmp_path / "log"
    code, *_ = Forked(tmp_path, told_in_a_file, plan, text_rows, tmp_path / "run", log, -8).end()
    assert code == -signal.SIGKILL and list(said(log)) == [str(step) for step in range(1, 9)]
    after, done = run(plan, text_rows, tmp_path / "run", resume=True)
    assert min(after.losses()) == 6 and done.state == "finished"
    assert after.losses().items() <= whole[0].losses().items()
