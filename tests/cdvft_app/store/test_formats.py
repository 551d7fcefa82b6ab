"""Formats of a history: which are read, what becomes of them, and what of others."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from cdvft_app.store.database import VERSION
from cdvft_app.store.doctor import examine, restore
from cdvft_app.store.records import StoreError
from cdvft_app.store.runs import RunStore

KEPT = Path(__file__).parent / "kept_histories"
READ = ("format-11", "format-12")


def columns(root: Path) -> set[tuple[str, str, str, int, str | None]]:
    """Of every table: its columns with type, whether they may be NULL, and default; and all indexes."""
    query = (
        'SELECT m.name, c.name, c.type, c."notnull", c.dflt_value FROM sqlite_master AS m,'
        " pragma_table_info(m.name) AS c UNION SELECT tbl_name, name, type, 0, NULL FROM sqlite_master"
    )
    with closing(sqlite3.connect(root / "history.sqlite")) as connection:
        return set(connection.execute(query))


def user_version(file: Path) -> int:
    with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as connection:
        return connection.execute("PRAGMA user_version").fetchone()[0]


def copied(kept: str, tmp_path: Path) -> Path:
    shutil.copytree(KEPT / kept, tmp_path / "store")
    return tmp_path / "store"


@pytest.mark.parametrize("kept", READ)
def test_a_kept_history_gets_the_tables_of_a_new_one(kept, tmp_path):
    root = copied(kept, tmp_path)
    RunStore(root).close()
    RunStore(tmp_path / "new").close()
    assert columns(root) == columns(tmp_path / "new")
    assert user_version(root / "history.sqlite") == VERSION


def test_a_copy_is_kept_before_a_history_is_changed(tmp_path):
    root = copied("format-11", tmp_path)
    RunStore(root).close()
    assert user_version(root / "history.format-11.sqlite") == 11
    with closing(sqlite3.connect(root / "history.format-11.sqlite")) as old:
        assert old.execute("SELECT count(*) FROM runs").fetchone() == (9,)
    today = copied("format-12", tmp_path / "today")
    RunStore(today).close()
    assert not list(today.glob("history.format-*"))


def test_a_history_is_left_alone_while_a_program_has_it_open(tmp_path):
    root = copied("format-11", tmp_path)
    with closing(sqlite3.connect(root / "history.sqlite")) as older:
        assert older.execute("SELECT count(*) FROM runs").fetchone() == (9,)
        with pytest.raises(StoreError, match=rf"open.*format 11 .*format {VERSION}.*Stop that program"):
            RunStore(root)
        assert older.execute("PRAGMA user_version").fetchone() == (11,)
    assert len(RunStore(root).history()) == 9


@pytest.mark.parametrize("version", range(1, 11))
def test_an_early_format_is_refused_and_not_a_byte_of_it_changed(version, tmp_path):
    root = copied("format-11", tmp_path)
    file = root / "history.sqlite"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute(f"PRAGMA user_version = {version}")
    before, files = file.read_bytes(), sorted(root.glob("history.sqlite*"))
    for opened in (RunStore, lambda folder: list(examine(folder))):
        with pytest.raises(StoreError, match=rf"format {version}, which no release wrote.*RUNS_DIR"):
            opened(root)
        assert file.read_bytes() == before
        assert sorted(root.glob("history.sqlite*")) in (files, [*files, root / "history.sqlite.lock"])
    with pytest.raises(StoreError, match=f"it has format {version}"):
        restore(tmp_path / "other", file)


def test_a_database_that_says_no_format_is_not_taken_for_an_empty_one(tmp_path):
    with closing(sqlite3.connect(tmp_path / "history.sqlite")) as connection:
        connection.execute("CREATE TABLE theirs (something TEXT)")
    before = (tmp_path / "history.sqlite").read_bytes()
    with pytest.raises(StoreError, match="says no format"):
        RunStore(tmp_path)
    assert (tmp_path / "history.sqlite").read_bytes() == before


def test_an_empty_file_is_begun(tmp_path):
    (tmp_path / "history.sqlite").touch()
    assert RunStore(tmp_path).history() == []
