"""Every format can be asked for on the page, by the endpoint and by the command; none tells who asked."""

from __future__ import annotations

import hashlib
import typing

import gradio as gr
import pytest
from typer.testing import CliRunner

from cdvft_app.commands import main
from cdvft_app.executors.queue import RunQueue
from cdvft_app.results.answering import Answering
from cdvft_app.results.exporters import base_note
from cdvft_app.results.finished_run import ResultsError
from cdvft_app.ui.shared.state import AppState
from cdvft_app.ui.use import endpoints, tab

FORMATS = {
    "adapter": "Adapter, as it was trained",
    "offline": "Adapter with its base model",
    "merged": "Merged: one plain model",
    "lora": "LoRA adapter",
    "script": "Training script",
}
TOKEN = "the visitor's own"  # of the fixture `trained`


def outputs_of(function):
    return [one._id for one in function.outputs]


def test_page_offers_every_format(store, runs, monkeypatch):
    with gr.Blocks() as page:
        tab.build(AppState.make(store, RunQueue(store)))
    (form,) = [one for one in page.blocks.values() if getattr(one, "elem_id", "") == "use-form"]
    assert {key: title for title, key in form.choices} == FORMATS
    (opened,) = [one for one in page.fns.values() if one.name == "open_race" and form._id in outputs_of(one)]
    place = outputs_of(opened).index(form._id)
    monkeypatch.setattr(tab.races, "opened", lambda _, group: [group])
    visit = gr.Request(query_params={})
    for run in (runs("image", "lora"), runs("image", "full")):
        assert opened.fn(run, visit)[place]["info"] == base_note(run)


def test_page_shows_progress_of_exports(store, runs, monkeypatch):
    run, heard = runs("text", "lora"), []
    monkeypatch.setattr(tab, "find", lambda *_: run)
    monkeypatch.setattr(tab, "prepare", lambda *_: None)  # all that it would fetch is here
    monkeypatch.setattr(Answering, "ask", lambda self, question, **about: heard.append(question))
    with gr.Blocks() as page:
        tab.build(AppState.make(store, RunQueue(store)))
    (take_home,) = [one.fn for one in page.fns.values() if one.name == "take_home"]
    take_home(run.record.id, "adapter", None, lambda share, desc: heard.append((share, desc)))
    assert heard == [(None, "Preparing the download"), "export"]


def test_endpoint_takes_every_format(store):
    with gr.Blocks() as page:
        endpoints.register(AppState.make(store, RunQueue(store)), Answering(store), Answering(store))
    export = next(one.fn for one in page.fns.values() if one.api_name == "export")
    assert typing.get_args(typing.get_type_hints(export)["to"]) == tuple(FORMATS)
    assert "to: adapter, offline, merged, lora or script." in export.__doc__
    for unknown in ("../adapter", "pickle", "", None, ["lora"]):
        with pytest.raises(gr.Error, match="it is one of adapter, offline, merged, lora, script"):
            export("no run", unknown)


def test_command_takes_every_format():
    said = CliRunner().invoke(main.app, ["export", "x", "--to", "pickle"], env={"COLUMNS": "300"})
    assert said.exit_code == 2
    for option in ("folder", "offline", "merged", "lora", "script"):
        assert f"'{option}'" in said.output


@pytest.mark.parametrize("key", FORMATS)
def test_exports_name_no_owner_and_no_folder(key, runs, store, exported, text_rows):
    run = runs("text", "lora")
    folder = exported(run, key, rows=text_rows)
    of_token = (TOKEN, hashlib.sha256(TOKEN.encode()).hexdigest(), "token_hash")
    secrets = (*of_token, str(store.root), run.record.id)
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 3
    held = {(path.name, one) for path in files for one in secrets if one.encode() in path.read_bytes()}
    assert held == set()


def test_export_errors_name_no_folder(runs, answered_here, tmp_path):
    run = runs("text", "lora")
    (tmp_path / "adapter.zip").touch()
    with pytest.raises(ResultsError, match=r"^adapter.zip is already there") as refused:
        answered_here(run).export(run.record.id, "adapter", str(tmp_path / "adapter.zip"))
    assert str(tmp_path) not in str(refused.value)
