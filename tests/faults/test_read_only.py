"""A disk that can only be read: whatever is asked is refused in a sentence, at once, and nothing is moved."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cdvft_app.executors.queue import RunQueue
from cdvft_app.settings import RunSettings
from cdvft_app.store.processes import this_process
from cdvft_app.store.records import StoreError
from cdvft_app.store.runs import RunStore

RUN = RunSettings(method="cdvft")


def remount(disk: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", str(disk)], check=True, timeout=10)


def refused_at_once(ask: Callable[[], object], sentence: str) -> str:
    began = time.monotonic()
    with pytest.raises(StoreError, match=sentence) as refused:
        ask()
    assert time.monotonic() - began < 5
    return str(refused.value)


def test_read_only_folder_can_be_read_and_not_changed(small_disk: Path) -> None:
    runs = small_disk / "runs"
    store = RunStore(runs)
    store.create([RUN], "secret")
    store.close()
    remount(small_disk, "ro")
    (run,) = RunStore(runs).history()
    refused_at_once(lambda: RunStore(runs).rename(run.id, "new", "secret"), "folder that can be written")


def test_a_server_whose_disk_becomes_read_only_says_so(small_disk: Path) -> None:
    store = RunStore(small_disk / "runs")
    queue = RunQueue(store)
    store.close()
    remount(small_disk, "ro")
    for ask in (lambda: queue.submit([RUN], "secret"), lambda: store.leases.next(this_process())):
        assert str(small_disk) not in refused_at_once(ask, "can be written")
    assert queue.start() == []  # and shows what it can
    queue.close()
    remount(small_disk, "rw")
    assert len(queue.submit([RUN], "secret")) == 1
