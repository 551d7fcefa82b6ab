"""Signals that end a command, as a process of its own."""

import json
import signal
import time

import pytest
import run_events
from forked import Forked, command_line

from cdvft_app.events import Step
from cdvft_app.store.runs import RunStore
from cdvft_app.training.run import REPEATED_SIGNAL_SECONDS

SECONDS_A_STEP = 0.01


def patient_train(settings, emit, should_stop, folder, resume=False):
    """Goes on until it is told to stop, and prints at each step."""
    emit(run_events.started(10**6))
    step = 0
    while not should_stop():
        step += 1
        emit(Step(step, 0.1, 0.5, 1e-3, None, None))
        print("step", flush=True)
        time.sleep(SECONDS_A_STEP)
    emit(run_events.done(step, folder / "adapter", state="stopped", metric=0.5))


def deaf_train(settings, emit, should_stop, folder, resume=False):
    patient_train(settings, emit, lambda: False, folder)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_from_outside_stops_the_command(tmp_path, number):
    running = Forked(tmp_path, command_line, patient_train, "train", "--json", RUNS_DIR=str(tmp_path))
    running.stdout.readline()
    running.send(number)
    code, output, errors = running.end()
    assert code == 130 and json.loads(output.splitlines()[-1])["state"] == "stopped", errors


def test_a_second_ctrl_c_gives_up_at_once(tmp_path):
    running = Forked(tmp_path, command_line, deaf_train, "train", RUNS_DIR=str(tmp_path))
    running.stdout.readline()
    running.send(signal.SIGINT)
    for _ in range(int(1.3 * REPEATED_SIGNAL_SECONDS / SECONDS_A_STEP)):
        running.stdout.readline()
    running.send(signal.SIGINT)
    code, _, errors = running.end()
    assert code == 130 and "Interrupted" in errors and "Traceback" not in errors
    assert [run.state for run in RunStore(tmp_path).history()] == ["interrupted"]
