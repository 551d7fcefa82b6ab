"""Whose data it is: each owner's is by itself, and what deleting it costs."""

from __future__ import annotations

import gzip
import os

import bombs
import made
import pytest

from cdvft_app.catalog import resolve
from cdvft_app.catalog.sources import out_of_reach
from cdvft_app.catalog.uploaded import is_kept
from cdvft_app.data import library
from cdvft_app.data.imported_table import import_file, import_in_child
from cdvft_app.data.source import DataRefused, Limits, limits
from cdvft_app.public import intake
from cdvft_app.settings import RunSettings
from cdvft_app.settings.environment import data_folder
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


def test_a_packed_file_is_called_by_what_it_packs(store, file):
    packed = file.with_name("tickets.csv.gz")
    packed.write_bytes(gzip.compress(file.read_bytes()))
    assert library.give(store, packed, "mine").name == "tickets"


def test_what_lies_here_is_given_again_by_the_beginning_of_its_sha256(store, file):
    mine = library.give(store, file, "me", "tickets")
    file.unlink()
    again = library.given_before(store, mine.sha256[: library.SHORT_SHA256])
    assert (again.sha256, again.name, again.rows) == (mine.sha256, "tickets", mine.rows)
    assert [one.id for one in store.datasets.of(None)] == [again.id]
    for name in (mine.sha256[:4], "tickets.csv", "0" * 64, "*" * 12):
        assert library.given_before(store, name) is None


def test_what_a_killed_import_left_is_removed_by_a_later_one(store, file):
    left = data_folder() / ".reading-old"
    left.mkdir(parents=True)
    os.utime(left, (1.0, 1.0))
    mine = library.give(store, file, "me")
    assert [place.name for place in data_folder().iterdir()] == [mine.sha256]


def test_equal_files_count_for_each_and_stay_until_the_last_is_deleted(store, file):
    mine, yours = library.give(store, file, "me", "mine"), library.give(store, file, "you", "yours")
    assert mine.id != yours.id and mine.sha256 == yours.sha256
    assert store.datasets.total_bytes("me") == store.datasets.total_bytes("you") >= file.stat().st_size
    assert library.give(store, file, "me", "again").id == mine.id and len(store.datasets.of("me")) == 1
    library.remove(store, mine.id, "me")
    assert [record.name for record in store.datasets.of("you")] == ["yours"] and list(data_folder().iterdir())
    library.remove(store, yours.id, "you")
    assert list(data_folder().iterdir()) == []


def test_a_file_that_another_owner_deletes_while_it_is_given_keeps_its_rows(store, file):
    theirs = [library.give(store, file, "you")]

    def read(path, limits, progress):
        kept = import_file(path, limits, progress)
        if theirs:
            library.remove(store, theirs.pop().id, "you")
        return kept

    mine = library.give(store, file, "me", read=read)
    assert library.look(store, mine.id, "me").data is not None


def test_a_file_that_is_kept_already_is_not_read_again(store, file, monkeypatch):
    mine = library.give(store, file, "me")
    monkeypatch.setattr(intake, "read_in_child", lambda *_, **__: pytest.fail("read again"))
    assert library.give(store, file, "you", read=import_in_child).sha256 == mine.sha256


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
    room = Limits(total_bytes=library.give(store, file, "me").bytes + 10)
    other = made.clean_csv(tmp_path / "other.csv", made.sentences(20))
    with pytest.raises(DataRefused, match="Delete some"):
        library.give(store, other, "me", limits=room)
    library.give(store, other, "you", limits=room)


def test_a_restart_forgets_nothing(store, file):
    mine = library.give(store, file, "me", "My reviews")
    store.close()
    again = RunStore.default()
    assert again.datasets.of("me") == [mine] and library.look(again, mine.id, "me").data


def years_ago(store, data_id):
    with store.datasets._database.writing() as connection:
        connection.execute("UPDATE datasets SET used = 0 WHERE id = ?", (data_id,))


def test_a_public_server_forgets_what_was_not_used_for_so_long(store, file, tmp_path, monkeypatch):
    kept = library.give(store, made.clean_csv(tmp_path / "other.csv", made.sentences(30)), "me")
    old = library.give(store, file, "me")
    years_ago(store, old.id)
    assert library.owned(store, "me") == [store.datasets.get(old.id, "me"), kept]  # a person's own machine
    monkeypatch.setenv("CDVFT_PUBLIC", "1")
    monkeypatch.setenv("CDVFT_UPLOAD_HOURS", "3")
    assert limits().keep_hours == 3
    assert library.owned(store, "me") == [kept]
    assert [folder.name for folder in data_folder().iterdir()] == [kept.sha256]


def test_what_a_run_of_the_owner_waits_for_is_in_use(store, file, monkeypatch):
    monkeypatch.setenv("CDVFT_PUBLIC", "1")
    mine, yours = library.give(store, file, "me"), library.give(store, file, "you")
    data = library.chosen(library.look(store, mine.id, "me"))
    (run,) = store.create([resolve(RunSettings(method="lora", data=data)).settings], "me")
    years_ago(store, mine.id), years_ago(store, yours.id)
    assert len(library.owned(store, "me")) == 1 and library.owned(store, "you") == []
    store.set_state(run.id, "stopped")
    years_ago(store, mine.id)
    assert library.owned(store, "me") == [] and not is_kept(data)


def test_a_public_server_with_no_room_says_so(store, file, monkeypatch):
    monkeypatch.setenv("CDVFT_PUBLIC", "1")
    monkeypatch.setenv("CDVFT_UPLOAD_BYTES", "1000")
    with pytest.raises(DataRefused, match="CDVFT_UPLOAD_BYTES"):
        library.give(store, file, "me", limits=limits())


def test_what_unpacks_to_more_counts_as_much_as_it_takes_of_the_disk(store, tmp_path):
    """A Parquet file of 2 kB took a gigabyte, and counted for 2 kB."""
    packed = bombs.parquet_of_a_dictionary(tmp_path, rows=200, letters=5000)
    assert packed.stat().st_size < 5000 and library.give(store, packed, "me").bytes > 1_000_000
    room = Limits(total_bytes=500_000)
    other = bombs.parquet_of_a_dictionary(tmp_path, rows=201, letters=5000)
    with pytest.raises(DataRefused, match="Delete some"):
        library.give(store, other, "you", limits=room)
    assert len(list(data_folder().iterdir())) == 1
