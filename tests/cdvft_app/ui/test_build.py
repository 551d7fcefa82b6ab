"""The page as a whole: its endpoints and its tabs."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import gradio as gr
import pytest
from gradio.components.state import default_delete_callback
from served import Served

from cdvft_app.ui import serving
from cdvft_app.ui.header import header
from cdvft_app.ui.shared import server_functions
from cdvft_app.ui.shared.component import component
from cdvft_app.ui.shared.state import AppState
from cdvft_app.ui.train import tab as train
from cdvft_app.ui.train.history_file import LOST

ROOT = Path(__file__).parents[3]


def test_only_what_a_process_with_a_model_answers_is_answered_one_after_another(shared_page: Served) -> None:
    public = [call for call in shared_page.page.fns.values() if call.api_visibility == "public"]
    in_turn = {call.api_name: call.concurrency_id for call in public if call.concurrency_limit == 1}
    # Each process has one model in memory; no question waits for a file.
    assert in_turn == {"predict": "use", "export": "use", "apply": "apply"}
    assert all((call.concurrency_limit or 0) > 1 for call in public if call.api_name not in in_turn)


@pytest.mark.parametrize("request_", [{}, {"model": "nothing of that name"}, {"model": 3}, [], None])
def test_a_refused_cost_is_no_fault_in_the_log(shared_page: Served, request_: object) -> None:
    (cost,) = (call for call in shared_page.page.fns.values() if call.api_name == "cost")
    with pytest.raises(gr.Error) as refused:
        cost.fn(request_)
    assert not refused.value.print_exception


def test_a_space_that_keeps_no_history_says_so(app: AppState, monkeypatch, tmp_path) -> None:
    def said() -> bool:
        with gr.Blocks() as page:
            train.build(app)
        texts = [str(block.value) for block in page.blocks.values() if isinstance(block, gr.HTML)]
        return any(LOST in text for text in texts)

    monkeypatch.delenv("CDVFT_KEPT", raising=False)
    assert not said()
    monkeypatch.setenv("SPACE_ID", "ada/studio")
    assert said()
    monkeypatch.setenv("CDVFT_KEPT", str(tmp_path))
    assert not said()


def test_the_header_names_a_processor_at_once_as_it_does_once_torch_is_there(app, monkeypatch) -> None:
    """It said "2 CPU cores", and "CPU, 2 threads" two seconds later."""
    monkeypatch.setattr("cdvft_app.ui.header.kind_of_training", lambda: "cpu")
    with gr.Blocks() as page:
        header(app)
    (head,) = (block for block in page.blocks.values() if getattr(block, "elem_id", "") == "header")
    later = asyncio.run(server_functions.known(page)["page/header/where"].answer({}))
    assert f">{later}</span>" in str(head.html_template) and re.fullmatch(r"CPU, \d+ cores?", later)


def test_the_form_waits_for_whatever_fills_all_of_it(shared_page: Served) -> None:
    """A visit, a shown race's settings, the best that a search found."""
    (seed,) = (one for one in shared_page.page.blocks.values() if getattr(one, "elem_id", "") == "set-seed")
    filling = [call for call in shared_page.page.fns.values() if seed in call.outputs]
    assert len(filling) == 3 and all("formAsked()" in str(call.js) for call in filling)
    for call in filling:
        after = [one for one in shared_page.page.fns.values() if one.trigger_after == call._id]
        ends = [one for one in after if "formAnswered(" in str(one.js)]
        assert {(one.trigger_only_on_success, one.trigger_only_on_failure) for one in ends} == {
            (False, False),
            (False, True),
        }, "an answer and a refusal"


def test_only_the_first_tab_is_filled_when_the_page_opens(shared_page: Served) -> None:
    """Each event costs the browser time for every field that one before it has filled."""
    events = [(event, call) for call in shared_page.page.fns.values() for _, event in call.targets]
    opening = {call.fn.__module__ for event, call in events if event == "load" and call.fn}
    assert opening == {"cdvft_app.ui.train.tab"}
    later = [call.fn.__module__ for event, call in events if call.fn and call.fn.__name__ == "visited"]
    filled = ("compare.tab", "learn.lab", "train.tab", "use.tab")
    assert sorted({*later}) == [f"cdvft_app.ui.{place}" for place in filled]


def test_what_a_visit_is_sent_leads_to_nothing_of_the_server(shared_page: Served) -> None:
    """Gradio copies it for each; with a function of the app it copied the app, a third of a second long."""

    def functions(props: object) -> Iterator[object]:
        if isinstance(props, dict | list | tuple):
            for one in props.values() if isinstance(props, dict) else props:
                yield from functions(one)
        elif callable(props):
            yield props

    components = shared_page.page.config["components"]
    assert {*functions(components)} == {default_delete_callback}  # of every gr.State: it does nothing


def test_gradio_writes_no_stubs_into_the_source() -> None:
    assert not list((ROOT / "cdvft_app").rglob("*.pyi"))


def test_start_names_a_database_of_another_version(tmp_path: Path, monkeypatch) -> None:
    with closing(sqlite3.connect(tmp_path / "history.sqlite")) as connection:
        connection.executescript("CREATE TABLE runs (id TEXT); PRAGMA user_version = 7")
    monkeypatch.setenv("RUNS_DIR", str(tmp_path))
    for owner, name in ((serving.os, "umask"), (serving.logs, "set_up")):  # which are the process's
        monkeypatch.setattr(owner, name, lambda *_: None)
    with pytest.raises(SystemExit, match="format 7"):
        serving.main()


def test_what_never_changes_of_a_part_is_in_its_script_and_not_in_gradios_props() -> None:
    with gr.Blocks():
        part = component("train/history.js", {"token": ""}, lines={"cdvft": {"width": 2}}, elem_id="history")
    assert 'const fixed = {"lines": {"cdvft": {"width": 2}}};' in part.js_on_load
    assert 'name: "train/history"' in part.js_on_load
    assert (part.props, part.elem_id, part.value) == ({}, "history", {"token": ""})
