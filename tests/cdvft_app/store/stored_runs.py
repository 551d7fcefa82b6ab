"""Settings, events, runs and damage that the tests of the store share."""

import errno
import sqlite3
from contextlib import closing
from pathlib import Path

import run_events

from cdvft_app.events import Evaluation, Step
from cdvft_app.settings import RunSettings, UploadedDataset
from cdvft_app.store.processes import this_process
from cdvft_app.store.runs import RunStore

CDVFT, LORA = RunSettings(method="cdvft", seed=3), RunSettings(method="lora", seed=3)
OWN_ROWS = UploadedDataset(
    sha256="a" * 64, title="mine.csv", kind="text", inputs=("text",), label="label", labels=("bad", "good"),
    train_rows=9, evaluation_rows=3,
)  # fmt: skip
STARTED = run_events.started(100, trainable_parameters=13_824, head_parameters=770, evaluation_examples=1066)


def done(state="finished", step=4, folder=Path("adapter")):
    return run_events.done(step, folder, state=state, metric=0.77, seconds=9.5)


def step(number, loss=0.5):
    return Step(number, number / 10, loss, 1e-3, 0.9, 1000.0)


def trained(store: RunStore, state: str = "finished", token: str = "secret", settings=CDVFT) -> str:
    """The id of a run of four steps, of which two came twice, with the folder of its adapter."""
    (run,) = store.create([settings], token, "mine", process=this_process())
    events = [STARTED, step(1), step(2), step(3, 9.0), step(4, 9.0), step(3), step(4)]
    for event in (*events, Evaluation(4, 0.4, 0.5, "accuracy", 0.77, True)):
        store.append(run.id, event)
    adapter = store.folder(run.id) / "adapter"
    adapter.mkdir()
    (adapter / "adapter_model.safetensors").write_bytes(b"weights")
    if state in ("finished", "stopped"):
        store.append(run.id, done(state, folder=adapter))
    return run.id


def events_of(store: RunStore, run_id: str) -> list[dict]:
    """The run's rows, whatever their cursors."""
    return [row | {"cursor": 0} for row in store.rows(run_id)[0]]


def ask(file: Path, query: str, *values: object) -> list[tuple]:
    """What SQLite answers of a history's file, or changes in it."""
    with closing(sqlite3.connect(file)) as connection, connection:
        return connection.execute(query, values).fetchall()


def full_disk(*arguments: object, **named: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def lose_database(root: Path) -> None:
    for file in root.glob("history.sqlite*"):
        file.unlink()
