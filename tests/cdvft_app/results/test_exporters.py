"""Every format can be asked for on the page, by the endpoint and by the command; none tells who asked."""

from __future__ import annotations

import hashlib
import typing

import gradio as gr
import pytest
from typer.testing import CliRunner

from cdvft_app.commands import main
from cdvft_app.results import answering, exporters
from cdvft_app.results.answering import Answering, Questions
from cdvft_app.results.exporters import EXPORTERS, Export
from cdvft_app.results.finished_run import ResultsError
from cdvft_app.training.queue import RunQueue
from cdvft_app.ui.shared.state import AppState
from cdvft_app.ui.use import endpoints, tab

FORMATS = {
    "adapter": "Adapter, as it was trained",
    "offline": "Adapter with its base model",
    "merged": "Merged: one plain model",
    "lora": "LoRA adapter",
    "script": "Python script",
    "notebook": "Notebook",
}
TOKEN = "the visitor's own"  # of the fixture `trained`


@pytest.fixture(scope="module")
def run(trained, text_plan, text_rows):
    return trained(text_plan("lora", max_steps=2), text_rows)


@pytest.fixture(scope="module")
def of_pictures(trained, image_plan, image_rows):
    return trained(image_plan("lora", max_steps=2), image_rows)


def test_the_page_offers_every_format(store):
    app = AppState.make(store, RunQueue(store))
    with gr.Blocks() as page:
        tab.build(app)
    (offered,) = [one for one in page.blocks.values() if getattr(one, "elem_id", "") == "use-form"]
    assert {key: title for title, key in offered.choices} == FORMATS


def test_the_page_says_where_an_adapter_comes_with_its_base_model(store, run, of_pictures, monkeypatch):
    with gr.Blocks() as page:
        tab.build(AppState.make(store, RunQueue(store)))
    (form,) = [one._id for one in page.blocks.values() if getattr(one, "elem_id", "") == "use-form"]
    (opened,) = [one for one in page.fns.values() if one.name == "open_race" and form in outputs_of(one)]
    place = outputs_of(opened).index(form)
    monkeypatch.setattr(tab.races, "opened", lambda _, group: [group])
    assert "comes with that base model" in opened.fn(of_pictures)[place]["info"]
    assert opened.fn(run)[place]["info"] == ""


def outputs_of(function):
    return [one._id for one in function.outputs]


def test_the_endpoint_takes_every_format(store):
    with gr.Blocks() as page:
        endpoints.register(AppState.make(store, RunQueue(store)), Answering(store), Answering(store))
    export = next(one.fn for one in page.fns.values() if one.api_name == "export")
    assert typing.get_args(typing.get_type_hints(export)["to"]) == tuple(FORMATS)
    assert "to: adapter, offline, merged, lora, script or notebook." in export.__doc__
    for unknown in ("../adapter", "pickle", "", None, ["lora"]):
        with pytest.raises(gr.Error, match="it is one of adapter, offline, merged, lora, script, notebook"):
            export("no run", unknown)


def test_the_command_takes_every_format():
    said = CliRunner().invoke(
        main.app, ["export", "x", "--to", "pickle", "--out", "x"], env={"COLUMNS": "300"}
    )
    assert said.exit_code == 2
    for option in ("folder", "zip", "offline", "merged", "lora", "script", "notebook"):
        assert f"'{option}'" in said.output


@pytest.mark.parametrize("key", FORMATS)
def test_no_export_holds_who_asked_or_where_it_was_trained(key, run, store, tmp_path, text_rows):
    EXPORTERS[key].write_folder(Export(store, run, 2, text_rows), tmp_path / "out")
    secrets = [
        TOKEN,
        hashlib.sha256(TOKEN.encode()).hexdigest(),
        str(store.root),
        run.record.id,
        "token_hash",
    ]
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert len(files) > 3
    held = {(path.name, one) for path in files for one in secrets if one.encode() in path.read_bytes()}
    assert held == set()


def test_what_the_page_is_told_names_no_folder_of_the_machine(run, store, tmp_path, monkeypatch):
    monkeypatch.setattr(answering, "find", lambda *_: run)
    (tmp_path / "adapter.zip").touch()
    with pytest.raises(ResultsError, match=r"^adapter.zip is already there") as refused:
        Questions(store).export(run.record.id, "adapter", str(tmp_path / "adapter.zip"))
    assert str(tmp_path) not in str(refused.value)
    with pytest.raises(ResultsError, match="it is one of adapter, offline, merged"):
        exporters.exporter("../../adapter")
