"""Strangers' files are read in a child that has limits, one at a time for each visitor."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import bombs
import misbehaving as readers
import psutil
import pytest
from waiting import wait_for

from cdvft_app.data import library
from cdvft_app.data.imported_table import import_in_child
from cdvft_app.data.source import DataRefused, limits
from cdvft_app.errors import TooManyRequests
from cdvft_app.public.intake import ChildLimits, FairSemaphore, TooMuch, read_in_child
from cdvft_app.store.records import StoreError

MB = 10**6


@pytest.fixture(autouse=True)
def public(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CDVFT_PUBLIC", "1")
    monkeypatch.setenv("RUNS_DIR", str(tmp_path))
    monkeypatch.syspath_prepend(str(Path(__file__).parent))  # where a child finds the readers


SMALL = ChildLimits(memory=200 * MB, seconds=0.5, written=10 * MB)


def test_what_a_reader_says_comes_back():
    told = []
    found = read_in_child(readers.honest, "ä\n\ud800", limits=SMALL, progress=lambda *one: told.append(one))
    assert found == {"said": "ä\n\ud800"} and told == [(0.5, "half of it")]
    with pytest.raises(DataRefused, match=r"^It is empty\.$"):
        read_in_child(readers.refused, limits=SMALL, refusals=[DataRefused])


@pytest.mark.parametrize(
    ("reader", "sentence"),
    [
        (readers.take_memory, "more memory than the 200 MB"),
        (readers.take_time, "more than 0.5 seconds of a processor"),
        (readers.sleep, "more than 0.5 seconds of a processor"),
        (readers.crash, "more memory"),
        (readers.lie, "cannot be read .KeyError."),
    ],
)
def test_a_reader_that_takes_too_much_ends_in_a_sentence(reader, sentence):
    with pytest.raises(TooMuch, match=sentence):
        read_in_child(reader, limits=SMALL)


def test_a_file_that_is_written_has_its_most(tmp_path: Path):
    with pytest.raises(TooMuch, match="one file may have 10 MB"):
        read_in_child(readers.take_disk, str(tmp_path), limits=SMALL)
    assert (tmp_path / "large").stat().st_size <= 10 * MB


def most_memory(call: Callable[[], object]) -> tuple[str, float]:
    """What refuses the call; the most MB that this process and its children grew by."""
    me, grown, ended = psutil.Process(), [0.0], threading.Event()
    before, others = me.memory_info().rss, {child.pid for child in me.children(recursive=True)}

    def watch() -> None:
        while not ended.wait(0.02):
            taken = me.memory_info().rss - before
            for child in me.children(recursive=True):
                if child.pid in others:
                    continue
                try:
                    taken += child.memory_info().rss - child.memory_info().shared
                except psutil.Error:
                    continue
            grown.append(taken)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        call()
        said = ""
    except (DataRefused, StoreError) as error:
        said = str(error)
    finally:
        ended.set()
        watcher.join()
    return said, max(grown) / MB


@pytest.mark.parametrize(
    ("bomb", "size", "sentence"),
    [
        (bombs.pictures_by_lzma, [10 * MB], "by “Deflate”"),
        (bombs.parquet_of_a_dictionary, [], "unpack to more than 67 MB"),
        (bombs.zip_of_webps, [40], "million pixels together"),  # of which six have more than are taken
        (bombs.nested_json, [], "holds a JSON object"),
    ],
)
def test_a_bomb_of_data_takes_little_and_leaves_nothing(store, tmp_path, bomb, size, sentence):
    file = bomb(tmp_path, *size)
    said, grown = most_memory(
        lambda: library.give(store, file, "mine", limits=limits(), read=import_in_child)
    )
    assert sentence in said and grown < 500, (said, grown)
    assert not any(path.is_file() for path in (store.root / "data").rglob("*"))


# Who may have a file read


class Visits:
    """Files that visitors give, each read in a thread of its own until `go`: who is read, and why who not."""

    def __init__(self, *sizes: int) -> None:
        self.semaphore, self.go = FairSemaphore(*sizes), threading.Event()
        self.order: list[str] = []
        self.refused: list[str] = []
        self.threads: list[threading.Thread] = []

    def give(self, visitor: str) -> None:
        self.threads.append(threading.Thread(target=self._read, args=(visitor,), daemon=True))
        self.threads[-1].start()

    def _read(self, visitor: str) -> None:
        try:
            with self.semaphore.held(visitor):
                self.order.append(visitor)
                self.go.wait(20)
        except TooManyRequests as error:
            self.refused.append(str(error))

    def end(self) -> None:
        self.go.set()
        for thread in self.threads:
            thread.join(20)


def test_a_visitor_with_much_to_read_keeps_nobody_waiting():
    """120 pastes of one visitor kept the 40 rows of another waiting for seven minutes."""
    visits = Visits(2, 8, 2)
    for _ in range(120):
        visits.give("many")
    wait_for(lambda: len(visits.refused) == 117)
    visits.give("other")
    wait_for(lambda: visits.order == ["many", "other"])  # while the others of the first one wait
    visits.end()
    assert visits.order == ["many", "other", "many", "many"] and "Wait for them" in visits.refused[0]
