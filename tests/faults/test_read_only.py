"""A disk that can only be read: whatever is asked is refused in a sentence, at once, and nothing is moved."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cdvft_app.settings import RunSettings
from cdvft_app.store.doctor import examine
from cdvft_app.store.processes import this_process
from cdvft_app.store.records import StoreError
from cdvft_app.store.runs import RunStore
from cdvft_app.training.queue import RunQueue

RUN = RunSettings(method="cdvft")


@pytest.fixture
def read_only(small_disk: Path) -> Iterator[Path]:
    store = RunStore(small_disk / "runs")
    store.create([RUN], "secret")
    store.close()
    remount = ["mount", "-o"]
    subprocess.run([*remount, "remount,ro", str(small_disk)], check=True, timeout=10)
    yield small_disk / "runs"
    subprocess.run([*remount, "remount,rw", str(small_disk)], check=True, timeout=10)


def test_whatever_is_asked_is_refused_in_a_sentence_at_once(read_only: Path) -> None:
    asked: list[Callable[[], object]] = [
        lambda: RunStore(read_only).history(),
        lambda: list(examine(read_only)),
    ]
    for ask in asked:
        began = time.monotonic()
        with pytest.raises(StoreError, match="Set RUNS_DIR to a folder that can be written"):
            ask()
        assert time.monotonic() - began < 5


def test_a_server_whose_disk_becomes_read_only_says_so(small_disk: Path) -> None:
    store = RunStore(small_disk / "runs")
    queue = RunQueue(store)
    store.close()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True, timeout=10)
    asked: list[Callable[[], object]] = [
        lambda: queue.submit([RUN], "secret"),
        lambda: store.leases.next(this_process()),
    ]
    for ask in asked:
        began = time.monotonic()
        with pytest.raises(StoreError, match="can be written") as refused:
            ask()
        assert time.monotonic() - began < 5 and str(small_disk) not in str(refused.value)
    assert queue.start() == []  # and shows what it can
    queue.close()
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True, timeout=10)
    assert len(queue.submit([RUN], "secret")) == 1
