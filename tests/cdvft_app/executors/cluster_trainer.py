"""Trains a few numbers in no time, on a node that finds it by its name.

A file of HELD, named by the seed of the run, makes the first attempt wait until the file goes.
"""

import hashlib
import json
import os
import random
import time
from pathlib import Path

from cdvft_app.events import Done, Evaluation, Halt, Note, Preparing, Started, Step, TrainingPaused
from cdvft_app.settings.environment import data_folder
from cdvft_app.training import checkpoints

HELD, TICK = "HELD", 0.02
REAL = 1000  # from this seed on a model is trained


def train_really(settings, emit, should_stop, folder, resume):
    """A tiny BERT; it can be held in training alone."""
    import tiny_trainer

    def tell(event):
        emit(event)
        if isinstance(event, Step) and event.step == settings.checkpoint_every + 2:
            hold(settings, folder)

    return tiny_trainer.train(settings, tell, should_stop, folder, resume)


def hold(settings, folder):
    """Wait here where a test asks for it, and say so by a file beside the one that asks."""
    asked = Path(os.environ.get(HELD, ""), str(settings.seed))
    if folder.parents[1].name.endswith("-1") and asked.is_file():
        asked.with_suffix(".held").write_text(str(os.getpid()))
        while asked.exists():
            time.sleep(TICK)


def save(folder, step, state):
    checkpoint = folder / "checkpoints" / f"checkpoint-{step}"
    checkpoint.mkdir(parents=True, exist_ok=True)
    (checkpoint / "weights.json").write_text(json.dumps(state))
    (checkpoint / checkpoints.LAST_WRITTEN).write_text(json.dumps({"global_step": step}))
    checkpoints.write_checksums(checkpoint)


def train(settings, emit, should_stop, folder, resume=False):
    if settings.seed >= REAL:
        return train_really(settings, emit, should_stop, folder, resume)
    emit(Preparing("Loading"))
    draw = random.Random(settings.seed)
    weight, first = draw.gauss(0, 1), 0
    kept, _ = checkpoints.newest(folder / "checkpoints") if resume else (None, [])
    if kept:
        weight, state = json.loads((kept / "weights.json").read_text())
        first = checkpoints.step(kept)
        draw.setstate((state[0], tuple(state[1]), state[2]))
        emit(Note(f"Went on from step {first}."))
    emit(Note(f"{os.environ.get('OMP_NUM_THREADS')} threads"))
    for sha256 in settings.data.files if settings.data else ():
        rows = (data_folder() / sha256 / "rows.arrow").read_bytes()
        emit(Note(f"rows: {hashlib.sha256(rows).hexdigest()}"))
    emit(Started(settings.max_steps, 10, 5, 100, "CPU, fake", "float32", 8, 8, "accuracy"))
    step, halt = first, Halt.NO
    while step < settings.max_steps and not halt:
        step += 1
        weight += 0.1 * draw.gauss(-weight, 1)
        emit(Step(step, step / 10, weight**2, 1e-3, 0.5, 10.0))
        time.sleep(TICK)
        halt = should_stop()
        if step % settings.checkpoint_every == 0 or halt:
            save(folder, step, (weight, draw.getstate()))
    if halt is Halt.PAUSE:
        raise TrainingPaused
    emit(Evaluation(step, step / 10, weight**2, "accuracy", 0.75, True))
    (folder / "adapter").mkdir(exist_ok=True)
    (folder / "adapter" / "adapter_model.safetensors").write_text(repr(weight))
    state = "stopped" if halt else "finished"
    done = Done(state, step, step / 10, "accuracy", 0.75, weight**2, 9.0, 40, None, folder / "adapter")
    emit(done)
    return done
