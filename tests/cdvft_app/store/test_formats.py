"""Histories that earlier versions wrote: they open, lose nothing, and get what they lack."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from cdvft_app.settings import RunSettings
from cdvft_app.store.runs import RunStore
from cdvft_app.store.schema import TABLES, VERSION

SETTINGS = RunSettings(method="lora", seed=3)
ID = "a" * 32


def write_format_1(folder: Path) -> None:
    """A history as the first format kept it, with one run."""
    (folder / "runs" / "000001" / "adapter").mkdir(parents=True)
    with sqlite3.connect(folder / "history.sqlite") as connection:
        connection.executescript(TABLES)
        connection.execute(
            "INSERT INTO runs (id, group_id, position, name, settings, method, state, created, queued,"
            " device) VALUES (?, 'race', 0, 'old', ?, 'lora', 'finished', 1.0, 1.0, 'cpu, 2 threads')",
            (ID, SETTINGS.model_dump_json()),
        )
        connection.execute("PRAGMA user_version = 1")


def test_a_first_format_is_brought_up(tmp_path: Path) -> None:
    write_format_1(tmp_path)
    for _ in range(2):  # once with the change, once without
        store = RunStore(tmp_path)
        (old,) = store.history()
        assert (old.id, old.name, old.settings, old.forecast) == (ID, "old", SETTINGS, None)
        assert old.device == "CPU, 2 threads"
        assert (store.folder(old.id) / "adapter").is_dir()
        store.close()
    with sqlite3.connect(tmp_path / "history.sqlite") as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (VERSION,)


def test_a_run_keeps_what_was_promised(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    made = store.create([SETTINGS, SETTINGS], "secret", forecasts=[{"steps": 7}])
    assert [run.forecast for run in made] == [{"steps": 7}, None]


def test_only_finished_runs_teach(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    first, second, waiting = (run.id for run in store.create([SETTINGS] * 3, "secret"))
    for run_id in (first, second):
        for state in ("preparing", "running", "finished"):
            store.set_state(run_id, state)
    assert [run.id for run in store.finished()] == [second, first]
    assert waiting not in {run.id for run in store.finished()}
    assert [run.id for run in store.finished(limit=1)] == [second]
