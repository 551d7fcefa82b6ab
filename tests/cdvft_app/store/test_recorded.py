"""Runs that ship with the program: read like any run, found by no list, and changed by nobody."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from cdvft_app.events import Note
from cdvft_app.store import predictions, recorded
from cdvft_app.store.records import NotOwner, StoreError
from cdvft_app.store.runs import RunStore

RUN = "recorded-sentiment-lora"


def sums(folder: Path) -> dict[str, str]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_it_is_read_as_any_run(store: RunStore) -> None:
    race = store.recorded()
    assert [run.method for run in race] == ["cdvft", "lora", "fourierft"]
    run = store.get(RUN)
    assert run in race and run in store.group(run.group_id)
    assert (run.recorded, run.state, run.metric, run.step) == (True, "finished", 0.78125, 128)
    assert run.origin == "on 24 November 2026, CPU, 2 threads (x86_64, 2 CPU cores)"
    rows, cursor = store.rows(RUN)
    assert [row["step"] for row in rows if row["kind"] == "step"] == list(range(1, 129))
    assert store.rows(RUN, cursor) == ([], cursor)
    assert (store.last_row(RUN), store.state(RUN)) == (cursor, "finished")
    assert store.label_of(run) == "LoRA r\u00a0=\u00a08"
    assert store.ids_beginning("recorded-sentiment-l") == [RUN]
    kept = predictions.read(store.folder(RUN))
    assert kept.correct.mean() == run.metric
    assert (store.folder(RUN) / "adapter" / "adapter_model.safetensors").is_file()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda store: store.remove(RUN), "ships with the program"),
        (lambda store: store.delete(RUN, ""), ""),
        (lambda store: store.rename(RUN, "mine now", ""), ""),
        (lambda store: store.set_state(RUN, "queued"), ""),
        (lambda store: store.append(RUN, Note("mine")), ""),
    ],
)
def test_nobody_changes_it(store: RunStore, change, why: str) -> None:
    before = sums(recorded.FOLDER)
    with pytest.raises(NotOwner if why else StoreError, match=why or None):
        change(store)
    assert not store.owner(RUN, "")
    assert store.get(RUN).state == "finished"
    assert sums(recorded.FOLDER) == before
    assert [*store.folders.path.iterdir()] == []
