"""Two servers on one folder: each knows which runs are alive, and whose server was killed."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from waiting import wait

from cdvft_app.store.records import LeaseLost
from cdvft_app.store.runs import RunStore

HERE = Path(__file__).resolve().parent
SERVER = """
import sys, time
sys.path[:0] = sys.argv[2:]
from fault_trainer import FaultTrainer
from in_process import InProcess
from cdvft_app.settings import RunSettings
from cdvft_app.store.runs import RunStore
from cdvft_app.training.queue import RunQueue
store = RunStore(sys.argv[1])
slow = FaultTrainer(lambda step: time.sleep(0.01))
queue = RunQueue(store, executor=InProcess(slow))
queue.start()
print("ready", flush=True)
for line in sys.stdin:
    print(*queue.submit([RunSettings(method="cdvft", max_steps=int(line))], "secret"), flush=True)
"""


@contextmanager
def server(root: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", SERVER, str(root), str(HERE), str(HERE.parent), str(HERE.parents[1])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout
        try:
            assert running.stdout.readline() == "ready\n"
            yield running
        finally:
            running.kill()


def start(running: subprocess.Popen[str], steps: int) -> str:
    assert running.stdin and running.stdout
    print(steps, file=running.stdin, flush=True)
    return running.stdout.readline().strip()


def test_each_sees_what_became_of_the_others_runs(tmp_path: Path) -> None:
    watching = RunStore(tmp_path)
    with server(tmp_path) as first:
        theirs = start(first, 100_000)
        wait(watching, theirs, "running")
        with server(tmp_path) as second:
            ours = start(second, 400)
            wait(watching, ours, "running", "finished")
            held = watching.get(theirs)
            assert held and held.state == "running" and held.process != watching.get(ours).process
            first.send_signal(signal.SIGKILL)
            first.wait()
            late = RunStore(tmp_path)  # whoever looks first is told the truth
            gone = late.get(theirs)
            assert gone and gone.state == "interrupted" and gone.step >= 0
            with pytest.raises(LeaseLost):
                late.set_state(theirs, "failed", epoch=held.epoch)
            assert wait(watching, ours, "finished").step == 400
            # The living server takes the dead one's run up again.
            watching.set_state(theirs, "queued")
            again = wait(watching, theirs, "running")
            assert again.epoch > held.epoch and again.process == watching.get(ours).process
    watching.close()
