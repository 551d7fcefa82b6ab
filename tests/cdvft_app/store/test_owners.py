"""What is kept of an owner is not what a browser presents, and it leaves with no file."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from contextlib import closing
from pathlib import Path

import pytest
from stored_runs import CDVFT, ask, lose_history, trained

from cdvft_app.store.history_file import TERMINAL, export_history, import_untrusted
from cdvft_app.store.owners import Viewer, key_hash, token_hash, viewer_key
from cdvft_app.store.records import NotOwner
from cdvft_app.store.runs import RunStore

KEY = hashlib.sha256(b"secret").hexdigest()  # what the cookie of the browser with the token "secret" holds


def kept_in(root: Path) -> set[str]:
    return {kept for (kept,) in ask(root / "history.sqlite", "SELECT token_hash FROM runs")}


def sees(store: RunStore, cookie: str, run_id: str) -> bool:
    return store.seen_by(lambda: Viewer(key_hash(cookie))).get(run_id) is not None


def test_what_is_kept_opens_nothing(store, tmp_path):
    run_id = trained(store)
    store.set_private(run_id, True, "secret")
    (kept,) = kept_in(tmp_path)
    assert viewer_key("secret") == KEY and sees(store, KEY, run_id)
    for stolen in (kept, kept.partition(":")[2]):
        assert not sees(store, stolen, run_id) and not store.owner(run_id, stolen)
    assert KEY not in (store.folder(run_id) / "run.json").read_text()


def test_owners_of_the_format_before_keep_what_is_theirs(tmp_path):
    """It kept the key itself, in the history and in the folders, which tell it where the history is lost."""
    root = shutil.copytree(Path(__file__).parent / "kept_histories" / "format-11", tmp_path / "store")
    private = "5a63f4e02234f4087fa993f7b6745d5a"
    for _ in ("of the history", "of the folders"):
        with closing(RunStore(root)) as store:
            store.folders.adopt()
            assert store.get(private).private
            assert store.owner(private, "secret") and sees(store, KEY, private)
            assert KEY not in kept_in(root)
        lose_history(root)


def test_on_ones_own_machine_what_a_terminal_made_is_whose_who_opens_the_page(store, monkeypatch):
    """Such runs could be seen, and neither renamed nor deleted, on the only page that there was."""
    (made,) = store.create([CDVFT], None, "in a terminal")
    (hers,) = store.create([CDVFT], "another's")
    store.set_private(made.id, True, "any browser's")
    page = store.seen_by(lambda: Viewer(token_hash("mine")))
    assert page.get(made.id) and store.owner(made.id, "mine") and not store.owner(hers.id, "mine")
    assert [run.id for run in store.history(token="mine")] == [made.id]
    store.rename(made.id, "renamed", "mine")
    for variable, value in (("CDVFT_PUBLIC", "1"), ("CDVFT_LOGINS", "/somewhere/logins")):
        with monkeypatch.context() as patch:
            patch.setenv(variable, value)
            assert not store.owner(made.id, "mine") and page.get(made.id) is None
            assert store.history(token="mine") == []
            with pytest.raises(NotOwner):
                store.delete(made.id, "mine")
    for nobody in ("", None, 7, "x" * 1000):
        assert not store.owner(made.id, nobody)
    store.delete(made.id, "mine")
    assert store.get(made.id) is None


def test_neither_owner_nor_visitor_leaves_with_a_history(store, tmp_path, monkeypatch):
    run_id = trained(store)
    store.set_visitor(run_id, "address 192.0.2.7")
    (kept,) = kept_in(tmp_path)
    export_history(store, tmp_path / "all.zip")
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        everything = b"".join(map(archive.read, archive.namelist()))
        facts = json.loads(archive.read(f"{run_id}/run.json"))
    assert b"192.0.2.7" not in everything and KEY.encode() not in everything
    assert kept.encode() not in everything and not {"token_hash", "visitor"} & set(facts)
    other = RunStore(tmp_path / "other")
    found = import_untrusted(other, tmp_path / "all.zip", None, limits=TERMINAL, by_operator=True)
    assert found.ids == [run_id]
    assert other.get(run_id).visitor is None and other.owner(run_id, "whoever opens the page there")
    monkeypatch.setenv("CDVFT_PUBLIC", "1")
    assert not other.owner(run_id, "secret")
    assert other.get(run_id).settings == CDVFT
    other.close()
