"""Stopped, cut off, killed: runs that go on as if nothing was."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from listening import TOTAL, run

from cdvft_app.events import Evaluation, Note, Step
from cdvft_app.store import snapshots
from cdvft_app.training import trainer
from cdvft_app.training.loop import RaceTrainer


def test_stop_acts_within_two_steps_and_resume_goes_on_as_if_nothing_was(
    whole, text_plan, text_rows, tmp_path
):
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


def test_snapshots_of_lost_steps_are_forgotten(text_plan, text_rows, tmp_path):
    plan = text_plan(checkpoint_every=5)
    run(plan, text_rows, tmp_path, stop_after=8)
    torn = max((tmp_path / "checkpoints").iterdir(), key=lambda path: int(path.name.split("-")[1]))
    (torn / "trainer_state.json").unlink()  # what is left is of step 5
    after, done = run(plan, text_rows, tmp_path, resume=True, stop_after=6)
    assert min(after.losses()) == 6 and done.step < 8
    assert snapshots.steps(tmp_path) == list(range(done.step + 1))
    assert [note.text for note in after.of(Note)] == ["Went on from step 5."]


def test_a_checkpoint_that_was_cut_off_is_passed_over(whole, text_plan, text_rows, tmp_path):
    plan = text_plan(checkpoint_every=5)
    run(plan, text_rows, tmp_path, stop_after=12)
    torn = max((tmp_path / "checkpoints").iterdir(), key=lambda path: int(path.name.split("-")[1]))
    (torn / "trainer_state.json").unlink()
    after, _ = run(plan, text_rows, tmp_path, resume=True)
    assert min(after.losses()) == 11  # from the checkpoint at step 10
    assert after.losses().items() <= whole[0].losses().items()


DAMAGES = [
    ("trainer_state.json", lambda held: held[: len(held) // 2]),
    ("optimizer.pt", lambda held: held[:-9]),
    ("*.safetensors", lambda held: held[:-9] + bytes(9)),
]


@pytest.mark.parametrize("damage", DAMAGES, ids=[file for file, _ in DAMAGES])
def test_a_damaged_checkpoint_costs_the_steps_since_the_one_before(
    whole, text_plan, text_rows, tmp_path, damage
):
    file, damaged = damage
    run(text_plan(checkpoint_every=5), text_rows, tmp_path, stop_after=12)
    latest = max((tmp_path / "checkpoints").iterdir(), key=lambda path: int(path.name.split("-")[1]))
    target = next(latest.rglob(file))
    target.write_bytes(damaged(target.read_bytes()))
    after, done = run(text_plan(checkpoint_every=5), text_rows, tmp_path, resume=True)
    assert min(after.losses()) == 11 and done.state == "finished"
    assert after.losses().items() <= whole[0].losses().items()
    step = latest.name.split("-")[1]
    notes = [(note.text, note.kind) for note in after.of(Note)]
    assert (f"The checkpoint of step {step} is damaged and was passed over.", "warning") in notes


def test_resume_after_the_last_step_only_evaluates(whole, text_plan, text_rows, tmp_path, monkeypatch):
    class Killed(BaseException):
        pass

    def evaluate(self, *args, **kwargs):
        if self.state.global_step == TOTAL:
            raise Killed
        return original(self, *args, **kwargs)

    original = RaceTrainer.evaluate
    with monkeypatch.context() as patch:
        patch.setattr(RaceTrainer, "evaluate", evaluate)
        with pytest.raises(Killed):
            run(text_plan(), text_rows, tmp_path)
    heard, done = run(text_plan(), text_rows, tmp_path, resume=True)
    assert heard.of(Step) == [] and done.step == TOTAL
    assert done.metric == whole[0][-1].metric


def test_resume_without_a_checkpoint_starts_anew(text_plan, text_rows, tmp_path):
    heard, _ = run(text_plan(max_steps=2), text_rows, tmp_path, resume=True)
    assert list(heard.losses()) == [1, 2]


@pytest.mark.parametrize("method", ["head", "full"])
def test_runs_without_an_adapter_resume_too(method, text_plan, text_rows, tmp_path):
    plan = text_plan(method, max_steps=8)
    unbroken, _ = run(plan, text_rows, tmp_path / "unbroken")
    before, _ = run(plan, text_rows, tmp_path / "broken", stop_after=3)
    after, _ = run(plan, text_rows, tmp_path / "broken", resume=True)
    assert before.losses() | after.losses() == unbroken.losses()


SCRIPT = """
import os, pickle, signal, sys
from pathlib import Path
from cdvft_app.events import Step
from cdvft_app.training import trainer
plan, rows = pickle.loads(Path(sys.argv[1]).read_bytes())
log = open(sys.argv[3] + os.environ.get("RANK", ""), "a")
stop = int(sys.argv[4])
heard = []
def emit(event):
    if isinstance(event, Step):
        print(event.step, repr(event.loss), file=log, flush=True)
        heard.append(event.step)
        if stop < 0 and event.step == -stop:
            os.kill(os.getpid(), signal.SIGKILL)
def should_stop():
    return 0 < stop <= len(heard)
done = trainer.train_plan(plan, emit, should_stop, Path(sys.argv[2]), rows=rows)
print("done", done.state, done.step, file=log, flush=True)
"""


def launch(
    launcher: list[str], tmp_path: Path, plan, rows, stop: int
) -> tuple[int, dict[str, dict[str, list[str]]]]:
    """Run SCRIPT in new processes; its exit code, and what each process heard."""
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "plan.pickle").write_bytes(pickle.dumps((plan, rows)))
    root = str(Path(trainer.__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    if launcher and not torch.cuda.is_available():
        environment["ACCELERATE_USE_CPU"] = "true"  # gloo
    files = [tmp_path / name for name in ("script.py", "plan.pickle", "run", "log")]
    ended = subprocess.run(
        [sys.executable, *launcher, *map(str, files), str(stop)],
        env=environment,
        capture_output=True,
        timeout=300,
        check=False,
    )
    logs = {}
    for file in sorted(tmp_path.glob("log*")):
        pairs = (line.split() for line in file.read_text().splitlines())
        logs[file.name] = {pair[0]: pair[1:] for pair in pairs}
    assert logs, ended.stderr.decode()
    return ended.returncode, logs


def test_a_killed_process_is_resumed_from_its_last_checkpoint(whole, text_plan, text_rows, tmp_path):
    plan = text_plan(checkpoint_every=5)
    code, logs = launch([], tmp_path, plan, text_rows, stop=-8)
    assert code == -signal.SIGKILL and list(logs["log"]) == [str(step) for step in range(1, 9)]
    after, done = run(plan, text_rows, tmp_path / "run", resume=True)
    assert min(after.losses()) == 6 and done.state == "finished"
    assert after.losses().items() <= whole[0].losses().items()


@pytest.mark.slow
def test_two_processes_share_batches_and_stop_together(text_plan, text_rows, tmp_path):
    plan = text_plan(max_steps=12)
    alone, _ = run(plan, text_rows, tmp_path / "alone", stop_after=5)
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    code, logs = launch(launcher, tmp_path, plan, text_rows, stop=5)
    assert code == 0
    first, second = logs["log0"], logs["log1"]
    assert list(second) == ["done"]  # only the first process emits
    assert second["done"] == first.pop("done")
    assert first and abs(int(second["done"][1]) - 6) <= 1
    # Dropout draws differ between one and two processes, so the losses are near and not equal.
    for step, (loss,) in first.items():
        assert float(loss) == pytest.approx(alone.losses()[int(step)], abs=0.1)
