"""Whose data it is: each owner's is by itself, and what deleting it costs."""

from __future__ import annotations

import made
import pytest

from cdvft_app.catalog import resolve
from cdvft_app.catalog.own_entry import data_folder, is_kept
from cdvft_app.catalog.sources import out_of_reach
from cdvft_app.data import library
from cdvft_app.data.faults import DataRefused
from cdvft_app.data.limits import Limits
from cdvft_app.settings import RunSettings
from cdvft_app.store.datasets import UnknownData
from cdvft_app.store.records import StoreError
from cdvft_app.store.runs import RunStore


@pytest.fixture
def store():
    return RunStore.default()


@pytest.fixture
def file(tmp_path):
    return made.clean_csv(tmp_path / "reviews.csv", made.sentences(40))


def test_nobody_sees_renames_deletes_or_trains_on_anothers_data(store, file):
    mine = library.give(store, file, "me")
    data = library.chosen(library.look(store, mine.id, "me"))
    library.require_own(store, data, "me")
    assert store.datasets.of("you") == []
    for attempt in (library.look, library.remove, library.losses):
        with pytest.raises(UnknownData, match="You have no data"):
            attempt(store, mine.id, "you")
    with pytest.raises(StoreError, match="not among your data"):
        library.require_own(store, data, "you")
    with pytest.raises(UnknownData):
        library.rename(store, mine.id, "taken", "you")
    assert store.datasets.get(mine.id, "me").name == "reviews"


def test_equal_files_count_for_each_and_stay_until_the_last_is_deleted(store, file):
    mine, yours = library.give(store, file, "me", "mine"), library.give(store, file, "you", "yours")
    assert mine.id != yours.id and mine.sha256 == yours.sha256
    assert store.datasets.total_bytes("me") == store.datasets.total_bytes("you") == file.stat().st_size
    assert library.give(store, file, "me", "again").id == mine.id and len(store.datasets.of("me")) == 1
    library.remove(store, mine.id, "me")
    assert [record.name for record in store.datasets.of("you")] == ["yours"] and list(data_folder().iterdir())
    library.remove(store, yours.id, "you")
    assert list(data_folder().iterdir()) == []


def test_deleting_says_which_runs_lose_their_rows(store, file):
    mine = library.give(store, file, "me")
    data = library.chosen(library.look(store, mine.id, "me"))
    plan = resolve(RunSettings(method="lora", data=data))
    store.create([plan.settings], "me", plan.title)
    store.create([plan.settings], "you", plan.title)
    assert library.losses(store, mine.id, "me") == ["reviews, LoRA r\u00a0=\u00a08"]
    assert out_of_reach([plan.dataset]) is None
    library.remove(store, mine.id, "me")
    assert not is_kept(data) and "has been deleted" in str(out_of_reach([plan.dataset]))
    (run,) = store.history(1, "me")
    assert resolve(run.settings).dataset.labels == ("bad", "good")  # it can still be used


def test_an_owner_has_room_for_so_much(store, file, tmp_path):
    limits = Limits(total_bytes=file.stat().st_size + 10)
    library.give(store, file, "me", limits=limits)
    other = made.clean_csv(tmp_path / "other.csv", made.sentences(20))
    with pytest.raises(DataRefused, match="Delete some"):
        library.give(store, other, "me", limits=limits)
    library.give(store, other, "you", limits=limits)


def test_a_restart_forgets_nothing(store, file):
    mine = library.give(store, file, "me", "My reviews")
    store.close()
    again = RunStore.default()
    assert again.datasets.of("me") == [mine] and library.look(again, mine.id, "me").data
