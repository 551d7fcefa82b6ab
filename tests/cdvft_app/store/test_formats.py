"""Formats of a history: which are read, what becomes of them, and what of others."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from stored_runs import ask

from cdvft_app.store.database import VERSION
from cdvft_app.store.doctor import examine, restore
from cdvft_app.store.records import StoreError
from cdvft_app.store.runs import RunStore

KEPT = Path(__file__).parent / "kept_histories"


def columns(root: Path) -> set[tuple[str, str, str, int, str | None]]:
    """Of every table: its columns with type, whether they may be NULL, and default; and all indexes."""
    query = (
        'SELECT m.name, c.name, c.type, c."notnull", c.dflt_value FROM sqlite_master AS m,'
        " pragma_table_info(m.name) AS c UNION SELECT tbl_name, name, type, 0, NULL FROM sqlite_master"
    )
    return set(ask(root / "history.sqlite", query))


def copied(kept: str, tmp_path: Path) -> Path:
    shutil.copytree(KEPT / kept, tmp_path / "store")
    return tmp_path / "store"


@pytest.mark.parametrize(("kept", "copies"), [("format-11", ["history.format-11.sqlite"]), ("format-12", [])])
def test_a_kept_history_gets_the_tables_of_a_new_one_and_a_copy_where_it_is_changed(kept, copies, tmp_path):
    root = copied(kept, tmp_path)
    RunStore(root).close()
    RunStore(tmp_path / "new").close()
    assert columns(root) == columns(tmp_path / "new")
    assert ask(root / "history.sqlite", "PRAGMA user_version") == [(VERSION,)]
    assert [file.name for file in root.glob("history.format-*")] == copies
    for copy in copies:
        assert ask(root / copy, "PRAGMA user_version") == [(11,)]
        assert ask(root / copy, "SELECT count(*) FROM runs") == [(9,)]


def test_a_history_is_left_alone_while_a_program_has_it_open(tmp_path):
    root = copied("format-11", tmp_path)
    with closing(sqlite3.connect(root / "history.sqlite")) as older:
        assert older.execute("SELECT count(*) FROM runs").fetchone() == (9,)
        with pytest.raises(StoreError, match=rf"open.*format 11 .*format {VERSION}.*Stop that program"):
            RunStore(root)
        assert older.execute("PRAGMA user_version").fetchone() == (11,)
    assert len(RunStore(root).history()) == 9


@pytest.mark.parametrize(
    ("version", "why"),
    [(1, "which no release wrote"), (10, "which no release wrote"), (99, "this one reads")],
)
def test_an_early_or_a_newer_format_is_refused_and_not_a_byte_of_it_changed(version, why, tmp_path):
    root = copied("format-11", tmp_path)
    file = root / "history.sqlite"
    ask(file, f"PRAGMA user_version = {version}")
    before, files = file.read_bytes(), sorted(root.glob("history.sqlite*"))
    for opened in (RunStore, lambda folder: list(examine(folder))):
        with pytest.raises(StoreError, match=rf"format {version}[,;] {why}.*RUNS_DIR"):
            opened(root)
        assert file.read_bytes() == before
        assert sorted(root.glob("history.sqlite*")) in (files, [*files, root / "history.sqlite.lock"])
    with pytest.raises(StoreError, match=f"it has format {version}"):
        restore(tmp_path / "other", file)


def test_a_database_that_says_no_format_is_not_taken_for_an_empty_one(tmp_path):
    ask(tmp_path / "history.sqlite", "CREATE TABLE theirs (something TEXT)")
    before = (tmp_path / "history.sqlite").read_bytes()
    with pytest.raises(StoreError, match="says no format"):
        RunStore(tmp_path)
    assert (tmp_path / "history.sqlite").read_bytes() == before


def test_an_empty_file_is_begun(tmp_path):
    (tmp_path / "history.sqlite").touch()
    assert RunStore(tmp_path).history() == []
