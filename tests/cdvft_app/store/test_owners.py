"""What is kept of an owner is not what a browser presents, and it leaves with no file."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from stored_runs import CDVFT, ask, trained

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


def test_on_ones_own_machine_what_a_terminal_made_is_whose_who_opens_the_page(store, monkeypatch):
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
