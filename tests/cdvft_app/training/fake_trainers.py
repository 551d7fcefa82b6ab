"""Trainers of milliseconds, which processes of their own find by name, each with one way to go wrong."""

import os
import signal
import time

import run_events

from cdvft_app.events import Evaluation, Halt, Preparing, TrainingPaused

TICK = 0.005


def trains(settings, emit, should_stop, folder, resume=False, *, at_step=lambda step: None):
    """`max_steps` steps, from a checkpoint of the one before; `at_step` comes before each."""
    kept = folder / "checkpoint"
    first = int(kept.read_text() or 0) if resume and kept.exists() else 0  # empty: the disk was full
    emit(Preparing("Loading"))
    emit(run_events.started(settings.max_steps))
    halt = Halt.NO
    for step in range(first + 1, settings.max_steps + 1):
        at_step(step)
        emit(run_events.step(step, 1 / step))
        kept.write_text(str(step))
        if step < settings.max_steps and (halt := should_stop()):
            break
    if halt is Halt.PAUSE:
        raise TrainingPaused
    emit(Evaluation(step, step / 10, 0.5, "accuracy", 0.75, True))
    (folder / "adapter").mkdir(exist_ok=True)
    (folder / "adapter" / "adapter_model.safetensors").write_bytes(b"weights")
    state = "stopped" if halt else "finished"
    done = run_events.done(step, folder / "adapter", state=state)
    emit(done)
    return done


def slowly(*arguments, **named):
    return trains(*arguments, **named, at_step=lambda step: time.sleep(TICK))


def at_step_3(act):
    def once(settings, emit, should_stop, folder, resume=False):
        def at_step(step):
            if step == 3 and not resume:
                act()

        return trains(settings, emit, should_stop, folder, resume, at_step=at_step)

    return once


def fail():
    raise RuntimeError("size mismatch")


killed = at_step_3(lambda: os.kill(os.getpid(), signal.SIGKILL))
crashes = at_step_3(lambda: os.kill(os.getpid(), signal.SIGSEGV))
leaves = at_step_3(lambda: os._exit(7))
fails = at_step_3(fail)
