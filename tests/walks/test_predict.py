"""Predict: finished runs answer inputs and files, are checked, and are taken home."""

from __future__ import annotations

import csv
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import made
import pytest
from playwright.sync_api import expect
from waiting import wait_for

from cdvft_app import catalog
from cdvft_app.catalog.dataset_readers import Rows
from cdvft_app.results import held_out
from cdvft_app.results.answering import Answering, Questions
from cdvft_app.results.finished_run import ResultsError
from cdvft_app.settings import RunSettings
from cdvft_app.store.records import StoreError
from cdvft_app.store.runs import RunStore
from walks import runs
from walks.pages import Predict, Visit, downloaded, fill
from walks.studio import Studio
from walks.visitors import PHONE

STOPPED = threading.Event()
HELD = threading.Event()
"""While it is set, an answer in pieces waits after its second piece until it is stopped."""


def ask_here(self: Answering, question: str, **about: object) -> object:
    """Answer in this process, where the models are tiny."""
    try:
        return getattr(Questions(RunStore(self._store.root)), question)(**about)
    except StoreError as error:
        raise ResultsError(str(error)) from None


def stream_here(self: Answering, question: str, **about: object) -> Iterator[object]:
    STOPPED.clear()
    asked = Questions(RunStore(self._store.root), STOPPED.is_set)
    for place, item in enumerate(getattr(asked, question)(**about)):
        yield item
        if HELD.is_set() and place >= 1:
            wait_for(STOPPED.is_set)


@pytest.fixture(scope="module")
def answering(studio: Studio) -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Answering, "ask", ask_here)
        patch.setattr(Answering, "stream", stream_here)
        patch.setattr(Answering, "stop", lambda self: STOPPED.set())
        yield patch


@pytest.fixture(scope="module")
def films(studio: Studio, answering: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The ids of a race on a tiny BERT."""
    import tiny_models

    folder = tiny_models.bert(tmp_path_factory.mktemp("bert"))
    rows = Rows(tiny_models.reviews(60, seed=1), tiny_models.reviews(24, seed=2), ("bad", "good"), None)
    answering.setitem(catalog.MODELS, "minilm", runs.tiny("minilm", folder))
    answering.setattr(held_out, "load_rows", lambda entry, **asked: rows)
    settings = [RunSettings(method=one, max_steps=2, batch_size=8) for one in ("cdvft", "lora")]
    return ",".join(runs.train(studio, rows, "Films", settings))


@pytest.fixture(scope="module")
def stories(studio: Studio, answering: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The ids of a race on a tiny language model."""
    import tiny_models

    folder = tiny_models.causal(tmp_path_factory.mktemp("llama"))
    rows = Rows(tiny_models.numbers(24, seed=1), tiny_models.numbers(8, seed=2), (), None)
    answering.setitem(catalog.MODELS, "smollm2", runs.tiny("smollm2", folder))
    chosen = {"recipe": "addresses", "max_steps": 2, "batch_size": 8, "max_length": 128}
    settings = [RunSettings(method=one, own_prompt="go go", **chosen) for one in ("cdvft", "lora")]
    return ",".join(runs.train(studio, rows, "Stories", settings))


def test_each_method_answers_next_to_the_base_model(visit: Visit, films: str) -> None:
    predict = visit(Predict, run=films)
    predict.find("#use-texts textarea").focus()
    predict.page.keyboard.type("good <b>film</b>")
    predict.page.keyboard.press("Tab")
    predict.page.keyboard.press("Enter")
    expect(predict.answers).to_have_count(1)
    expect(predict.answers.locator("h3")).to_have_text("good <b>film</b>")
    expect(predict.answers.locator("section")).to_have_count(3)
    for column in predict.answers.locator("section").all():
        shares = [float(text.split()[-2]) for text in column.locator("li").all_inner_texts()]
        assert sum(shares) == pytest.approx(100, abs=0.2) and shares == sorted(shares, reverse=True)
    predict.ask("a\n" * 30)
    expect(predict.find("#use-answers [role=alert]")).to_be_visible()
    predict.find("#use-example").click()
    expect(predict.find("#use-texts textarea")).not_to_have_value("a\n" * 30)


def test_evaluation_rows_are_counted_and_filtered(visit: Visit, films: str) -> None:
    predict = visit(Predict, run=films)
    confusion = predict.find("#use-scores table.confusion").first
    expect(confusion.locator("td[style]")).to_have_count(4)
    counts = [int(cell) for cell in confusion.locator("td[style]").all_inner_texts()]
    assert sum(counts) == 24
    filters = predict.find("#use-show input")
    filters.last.check()
    expect(predict.rows).to_have_count(10)
    predict.find("#use-further").click()
    expect(predict.find("#use-back")).to_be_enabled()
    filters.first.check()
    expect(predict.rows).to_have_count(min(10, counts[1] + counts[2]))


def test_adapter_is_checked_exported_and_not_pushed(visit: Visit, films: str) -> None:
    predict = visit(Predict, run=films)
    fill(predict.find("#use-texts textarea"), "good film")
    predict.find("#use-prove").click()
    expect(predict.find("table.proof tbody tr")).to_have_count(4)
    predict.find("#use-take").click()
    with zipfile.ZipFile(downloaded(predict.find("#use-file a[download]").first)) as archive:
        names = {Path(name).name for name in archive.namelist()}
    assert {"README.md", "adapter_model.safetensors"} <= names
    predict.find("#use-form input[value=lora]").check()
    fill(predict.find("#use-rank input"), "99")
    predict.find("#use-take").click()
    expect(predict.find("#use-refused [role=alert]")).to_contain_text("32")
    fill(predict.find("#push-name :is(input, textarea)"), "ada/films")
    token = predict.find("#push-token input")
    fill(token, "hf_mine")
    predict.find("#push").click()
    expect(predict.find("#push-said [role=alert]")).to_contain_text("HF_HUB_OFFLINE")
    expect(token).to_have_value("")


def test_file_is_predicted_stopped_and_resumed(visit: Visit, films: str, tmp_path: Path) -> None:
    predict = visit(Predict, run=films.split(",", maxsplit=1)[0])
    rows = "text,label,n\ngood film,1,-5\nbad film,0,+49\n,1,7\n"
    predict.upload(made.written(tmp_path, rows, "new.csv"))
    expect(predict.find("#use-apply-label input")).to_have_value("label")
    predict.find("#use-apply-start").click()
    answered = downloaded(predict.find("#use-apply-answered a[download]").first)
    found = [*csv.DictReader(answered.read_text(encoding="utf-8").splitlines())]
    assert [row["n"] for row in found] == ["-5", "+49", "7"]
    assert [bool(row["prediction"]) for row in found] == [True, True, False]

    predict.upload(made.written(tmp_path, "id,opinion\n" + "1,good film\n" * 600, "new.csv"))
    expect(predict.find("#use-apply-said")).to_contain_text("opinion")
    predict.find("#use-apply-read input").click()
    predict.page.get_by_role("option", name="opinion").click()
    predict.page.keyboard.press("Escape")
    HELD.set()
    predict.find("#use-apply-start").click()
    stop = predict.find("#use-apply-stop")
    expect(stop).to_be_enabled()
    stop.click()
    expect(stop).to_be_disabled()
    HELD.clear()
    predict.find("#use-apply-start").click()
    expect(predict.find("#use-apply-said")).to_contain_text("600")
    answered = downloaded(predict.find("#use-apply-answered a[download]").first)
    assert len(answered.read_text().splitlines()) == 601


def test_text_is_generated_side_by_side_and_stopped(visit: Visit, stories: str) -> None:
    predict = visit(Predict, run=stories)
    prompt = predict.find("#use-prompt textarea")
    expect(prompt).to_have_value("go go")
    predict.find("#use-write").click()
    expect(predict.find("#use-written [data-ended]")).to_have_count(1)
    columns = predict.find("#use-written section")
    expect(columns).to_have_count(3)  # the base model and two methods
    for column in columns.all():
        expect(column.locator(".token").first).to_be_attached()
    HELD.set()
    predict.find("#use-write").click()
    stop = predict.find("#use-stop")
    expect(stop).to_be_enabled()
    stop.click()
    expect(stop).to_be_disabled()
    HELD.clear()
    fill(prompt, "  ")
    predict.find("#use-write").click()
    expect(predict.find("#use-written [role=alert]")).to_be_visible()


def test_digit_is_drawn_and_asked_about(
    visit: Visit, studio: Studio, answering: pytest.MonkeyPatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = {"label": "8", "probabilities": [0.2, 0.8], "value": None}
    side = {"title": "CDVFT", "note": "", "method": "cdvft", "answers": [said]}
    answer = {"labels": ["3", "8"], "cut": [0], "sides": [side]}
    monkeypatch.setattr(Answering, "ask", lambda self, question, **about: answer)
    monkeypatch.setattr("cdvft_app.ui.use.tab.prepare", lambda run, progress: None)
    (run,) = runs.build(studio, method="cdvft", recipe="mnist", name="Digits")
    adapter = studio.store.folder(run) / "adapter"
    adapter.mkdir()
    (adapter / "adapter_model.safetensors").write_bytes(b"weights")
    predict = visit(Predict, run=run, viewport=PHONE)
    pad, seen = predict.find("#use-draw .pad"), predict.find("#use-draw img")
    expect(seen).to_be_hidden()
    pad.press("ArrowDown")
    pad.press(" ")
    expect(seen).to_be_visible()
    by_keys = str(seen.get_attribute("src"))
    pad.drag_to(pad, source_position={"x": 20, "y": 20}, target_position={"x": 90, "y": 60}, steps=5)
    expect(seen).not_to_have_attribute("src", by_keys)
    predict.find("#use-ask").click()
    shown = predict.answers.locator("img")
    expect(shown).to_be_visible()
    assert shown.evaluate("(image) => image.naturalWidth") == 5 * 28


def test_another_run_replaces_one_that_is_gone(visit: Visit, films: str) -> None:
    predict = visit(Predict, run="nonsense")
    expect(predict.find("#use-race .info, #use-race")).not_to_have_count(0)
    expect(predict.find("#use-run input").first).to_be_attached()
    predict.page.goto(f"{predict.studio.url}?tab=use&run=recorded-sentiment-lora")
    expect(predict.find("#use-run input").nth(1)).to_be_checked()
