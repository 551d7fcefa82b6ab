"""Races on data of one's own: they are private, and resumed only where the owner still has the rows."""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode
from pathlib import Path
from typing import Any

import gradio as gr
import made
import pytest
from form_values import EMPTY

from cdvft_app.data import library
from cdvft_app.store.datasets import UnknownData
from cdvft_app.store.records import RunRecord, StoreError
from cdvft_app.ui.build import build
from cdvft_app.ui.compare.sweep import START, start_sweep
from cdvft_app.ui.shared import actions
from cdvft_app.ui.shared.state import AppState
from cdvft_app.ui.shared.viewing import acting_as
from cdvft_app.ui.train.run_view import lasting
from cdvft_app.ui.train.uploaded_panel import UploadedPanel
from cdvft_app.ui.train.uploaded_view import choice_label, look_of

ROWS = "text,label\n" + "".join(f"scene {n},{'good' if n % 2 else 'bad'}\n" for n in range(40))


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RUNS_DIR", str(tmp_path))
    path = tmp_path / "scenes.csv"
    path.write_text(ROWS)
    return path


def given(app: AppState, file: Path, token: str) -> tuple[str, dict[str, object]]:
    """The id of the data, and what the form then holds of it."""
    record = library.give(app.store, file, token)
    return record.id, library.chosen(library.look(app.store, record.id, token)).model_dump(mode="json")


def test_what_is_given_while_the_page_looks_for_what_it_held_stays(app: AppState, file: Path) -> None:
    _, data = given(app, file, "mine")
    held = next(one.fn for one in build(app).fns.values() if one.api_name.startswith("held"))
    of_session = {"sentences": [], "newest": 1}  # one file has been given
    before, after = (asyncio.run(held(data, "mine", of_session, number)) for number in (0, 1))
    assert all(one == gr.skip() for one in before)
    assert after[1] == gr.update(visible=True) and after[-1] == "scenes"


def raced(app: AppState, data: dict[str, object], token: str) -> RunRecord:
    ids, refused = actions.start(app, EMPTY | {"data": data}, token)
    assert refused is None and app.store.get(ids[0]) is None
    with acting_as(token):
        run = app.store.get(ids[0])
    assert run is not None
    return run


def test_a_race_on_it_is_the_owners_alone(app: AppState, file: Path) -> None:
    _, data = given(app, file, "mine")
    race = raced(app, data, "mine")
    assert race.private and race.name == "scenes"
    assert lasting(race)["summary"].startswith("MiniLM (6 layers) · ")  # and not what its recipe is about


def test_a_sweep_of_the_form_runs_on_what_was_last_learned_and_only_for_its_owner(app, file) -> None:
    mine, data = given(app, file, "mine")
    assert library.last_learned(app.store, mine, "mine").split_seed == 0
    raced(app, data | {"split_seed": 7}, "mine")
    again = library.last_learned(app.store, mine, "mine")
    assert again.split_seed == 7
    values = START | {"data": again.model_dump(mode="json"), "m": "2", "learning_rates": "1", "seeds": "0, 1"}
    with pytest.raises(StoreError, match="is not among your data here"):
        start_sweep(app, values, "yours")
    with acting_as("mine"):
        group = start_sweep(app, values, "mine")
        runs = app.store.group(group)
    assert {run.name for run in runs} == {"Sweep: scenes"} and len(runs) == 2
    assert all(run.private and run.settings.data == again for run in runs)
    assert not app.store.group(group)
    with pytest.raises(UnknownData):
        library.last_learned(app.store, mine, "yours")


def test_nobody_else_starts_on_it_even_knowing_its_hash(app: AppState, file: Path) -> None:
    _, data = given(app, file, "mine")
    ids, refused = actions.start(app, EMPTY | {"data": data}, "yours")
    assert ids == [] and refused == "“scenes” is not among your data here; give it again."


def test_resume_finds_it_by_its_hash_and_not_by_what_others_gave(app: AppState, file: Path) -> None:
    mine, data = given(app, file, "mine")
    run = raced(app, data, "mine")
    with acting_as("mine"):
        assert actions.stop(app, [run.id], "mine") is None
        given(app, file, "yours")
        library.remove(app.store, mine, "mine")
        refused = actions.resume(app, [run.id], "mine")
        assert refused is not None and "is not among your data here" in refused
        given(app, file.rename(file.with_name("renamed.csv")), "mine")
        assert actions.resume(app, [run.id], "mine") is None and app.store.state(run.id) == "queued"


@pytest.mark.parametrize(
    ("public", "said", "by_path"),
    [("0", "A larger one by its path", True), ("1", "Kept for 3 hours after its last use", False)],
)
def test_how_long_it_is_kept_is_said_beside_the_upload(app, monkeypatch, public, said, by_path) -> None:
    monkeypatch.setenv("CDVFT_PUBLIC", public)
    monkeypatch.setenv("CDVFT_UPLOAD_HOURS", "3")
    with gr.Blocks() as page:
        UploadedPanel(app, gr.BrowserState("", storage_key="token")).give()
    blocks = [block for block in page.blocks.values() if hasattr(block, "value")]
    assert any(said in str(block.value) for block in blocks)
    assert [block.visible for block in blocks if block.elem_id == "own-path"] == [by_path]


@pytest.mark.parametrize(
    ("kind", "rows", "said"),
    [("text", 1, "1 row ·"), ("text", 1200, "1,200 rows ·"), ("image", 1, "1 picture ·")],
)
def test_the_list_counts_in_words(app: AppState, kind: str, rows: int, said: str) -> None:
    facts = {"sha256": "0" * 64, "format": "CSV", "kind": kind, "bytes": 9, "rows": rows}
    assert said in choice_label(app.store.datasets.add("mine", "mine", **facts))


def looked(app: AppState, file: Path) -> dict[str, Any]:
    """What the page shows of a file that is given."""
    record = library.give(app.store, file, "mine")
    return look_of(library.look(app.store, record.id, "mine"), record.name)


def test_pictures_are_decoded_in_a_child_and_shown_as_pngs_with_labels(app, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("RUNS_DIR", str(tmp_path))
    record = library.give(app.store, made.digits_zip(tmp_path / "digits.zip", 20), "mine")
    found = library.look(app.store, record.id, "mine")
    monkeypatch.setattr("PIL.Image.open", lambda *_, **__: pytest.fail("decoded in the page's process"))
    shown = look_of(found, "digits")["pictures"]
    # As scikit-learn has them: of each digit the first one, and a second zero and one.
    assert sorted(one["label"] for one in shown) == ["0", "0", "1", "1", *"23456789"]
    assert all(b64decode(one["png"]).startswith(b"\x89PNG\r\n") for one in shown)


def test_a_look_says_beside_each_column_what_was_found_in_it(app: AppState, file: Path) -> None:
    rows = [f"scene {n},{'Good' if n % 2 else 'good'},{n}" for n in range(40)]
    file.write_text("text,label,number\n" + "\n".join(rows))
    shown = looked(app, file)
    text, label, number = shown["columns"]
    assert (text["name"], label["name"], number["name"]) == ("text", "label", "number")
    assert shown["roles"] == {"task": "label", "inputs": ["text"], "label": "label", "clean": []}
    assert any("differ in case" in one for one in label["findings"])
    assert not number["findings"] and not any("differ in case" in one for one in text["findings"])
    assert shown["classes"] and [name for name, _, _ in shown["classes"]["bars"]] == ["Good", "good"]


def test_a_conversation_is_shown_by_its_turns(app: AppState, tmp_path: Path) -> None:
    file = tmp_path / "chats.jsonl"
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}]
    lines = [{"messages": [*turns, {"role": "assistant", "content": f"So {place}."}]} for place in range(40)]
    file.write_text("\n".join(map(json.dumps, lines)))
    prompt, answer = looked(app, file)["columns"]
    assert prompt["cells"][0] == "System: Be brief.\n\nUser: Why?" and answer["cells"][0] == "So 0."


def test_the_step_that_reads_numbers_is_told_as_one_that_nobody_asked_for(app, file) -> None:
    file.write_text("text;price\n" + "".join(f"flat {n};{n},50 €\n" for n in range(40)))
    shown = looked(app, file)
    assert shown["automatic"] == shown["roles"]["clean"] == ["numbers:comma"]
    assert any("such as 39,50 €" in one for one in shown["columns"][1]["findings"])
