"""Use, Apply to a file: columns found or asked for, progress, stop and go on, the file, the score."""

from __future__ import annotations

import csv
import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path

import made
import pytest
from playwright.sync_api import Page, expect
from studio import Server, Visit, axe_violations, client_of
from waiting import wait_for

from cdvft_app.catalog import MODELS, get_model, resolve
from cdvft_app.catalog.dataset_readers import Rows
from cdvft_app.results import apply as applying
from cdvft_app.results.answering import Answering, Questions
from cdvft_app.settings import RunSettings
from cdvft_app.store.runs import RunStore

sys.path.insert(0, str(Path(__file__).parents[1] / "cdvft_app"))  # where tiny models are made

pytestmark = pytest.mark.browser
HELD: list[int] = []  # after so many rows an answer waits to be stopped
WAITING: list[int] = []  # after how many one does


@pytest.fixture(scope="module")
def run_id(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A finished run, for which this process answers."""
    import tiny_models
    from listening import run

    folder = tiny_models.bert(tmp_path_factory.mktemp("bert"))
    tiny = dataclasses.replace(get_model("minilm"), source="local", location=str(folder))
    rows = Rows(
        tiny_models.reviews(60, seed=1), tiny_models.reviews(24, seed=2), ("negative", "positive"), None
    )
    stopped: list[bool] = []

    def stream_here(self: Answering, question: str, **about: object) -> Iterator[object]:
        stopped.clear()
        questions = Questions(RunStore(self._store.root), lambda: bool(stopped))
        for item in getattr(questions, question)(**about):
            yield item
            if HELD and item == HELD[0]:
                WAITING.append(item)
                wait_for(lambda: stopped)

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(MODELS, "minilm", tiny)  # type: ignore[arg-type]
        patch.setattr(Answering, "stream", stream_here)
        patch.setattr(Answering, "stop", lambda self: stopped.append(True))
        plan = resolve(RunSettings(method="cdvft", max_steps=12, batch_size=8))
        (record,) = server.store.create([plan.settings], "somebody", "Films", "1:1")
        heard, _ = run(plan, rows, server.store.make_folder(record.id))
        for event in heard:
            server.store.append(record.id, event)
        yield record.id


@pytest.fixture(scope="module")
def run_on_pictures(server: Server, run_id: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    import tiny_models
    from listening import run

    folder = tiny_models.vit(tmp_path_factory.mktemp("vit"), "deit_tiny_patch16_224")
    rows = Rows(tiny_models.greys(40, seed=1), tiny_models.greys(16, seed=2), ("dark", "grey", "light"), None)
    plan = resolve(
        RunSettings(
            recipe="mnist", model=str(folder), method="cdvft", max_steps=4, batch_size=8, image_size=32
        )
    )
    (record,) = server.store.create([plan.settings], "somebody", "Greys", "1:2")
    heard, _ = run(plan, rows, server.store.make_folder(record.id))
    for event in heard:
        server.store.append(record.id, event)
    return record.id


def give(page: Page, file: Path) -> None:
    """In place of the file that is there."""
    clear = page.locator("#use-apply-file").get_by_role("button", name="Clear")
    if clear.is_visible():
        clear.click()
    page.locator("#use-apply-file input").set_input_files(file)


def answered(page: Page, tmp_path: Path) -> list[dict[str, str]]:
    with page.expect_download() as download:
        page.locator("#use-apply-answered a[download]").first.click()
    download.value.save_as(tmp_path / "answered.csv")
    return list(csv.DictReader((tmp_path / "answered.csv").open(encoding="utf-8")))


def test_files_come_back_answered_and_scored_and_what_is_stopped_goes_on(
    visit: Visit, run_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    page = visit(f"?tab=use&run={run_id}", ready="#use-apply-file")
    a_file_comes_back_answered_and_scored(page, tmp_path)
    assert not axe_violations(page)
    a_column_of_another_name_is_asked_for(page, tmp_path)
    what_fails_may_be_pressed_again(page, monkeypatch)
    monkeypatch.setattr(applying, "CHUNK", 100)
    monkeypatch.setattr(sys.modules[__name__], "HELD", [500])
    what_is_stopped_goes_on(page, tmp_path)


def a_file_comes_back_answered_and_scored(page: Page, tmp_path: Path):
    give(page, made.written(tmp_path, "text,label,n\ngood film,1,-5\nbad film,0,+49\n,1,7\n", "new.csv"))
    expect(page.locator("#use-apply-said")).to_contain_text("3 rows.")
    expect(page.locator("#use-apply-label input")).to_have_value("label")
    page.locator("#use-apply-start").click()
    said = page.locator("#use-apply-said")
    expect(said).to_contain_text("2 of 3 rows are answered.")
    expect(said).to_contain_text("Not answered: Row 4, column “text”: it is empty. Give it a text, or leave")
    expect(said).to_contain_text("over 2 rows with a label")
    rows = answered(page, tmp_path)
    assert [row["n"] for row in rows] == ["-5", "+49", "7"]
    assert [*rows[0]] == ["text", "label", "n", "answer", "confidence", "correct"]


def a_column_of_another_name_is_asked_for(page: Page, tmp_path: Path):
    give(page, made.written(tmp_path, "id,opinion\n1,good film\n2,bad film\n", "new.csv"))
    expect(page.locator("#use-apply-said")).to_contain_text("“text”, which this file does not have")
    page.locator("#use-apply-read input").click()
    page.get_by_role("option", name="opinion").click()
    page.keyboard.press("Escape")
    page.locator("#use-apply-start").click()
    expect(page.locator("#use-apply-said")).to_contain_text("2 of 2 rows are answered.")


def what_fails_may_be_pressed_again(page: Page, monkeypatch: pytest.MonkeyPatch):
    def broken(*_: object) -> None:
        raise RuntimeError("Nobody thought of this.")

    with monkeypatch.context() as patch:
        patch.setattr("cdvft_app.ui.use.apply.added_columns", broken)
        page.locator("#use-apply-start").click()
        expect(page.locator("#use-apply-stop")).to_be_enabled()
        expect(page.locator("#use-apply-stop")).to_be_disabled()
    page.locator("#use-apply-start").click()
    expect(page.locator("#use-apply-said")).to_contain_text("2 of 2 rows are answered.")


def what_is_stopped_goes_on(page: Page, tmp_path: Path):
    lines = "".join(f"good film {place}\n" for place in range(2000))
    give(page, made.written(tmp_path, "text\n" + lines, "new.csv"))
    expect(page.locator("#use-apply-said")).to_contain_text("2,000 rows.")
    page.locator("#use-apply-start").click()
    expect(page.locator("#use-apply-said")).to_contain_text("of 2,000 rows")
    wait_for(lambda: WAITING)
    page.locator("#use-apply-stop").click()
    expect(page.locator("#use-apply-said")).to_contain_text("Stopped after 500 of 2,000 rows")
    HELD.clear()
    page.locator("#use-apply-start").click()
    expect(page.locator("#use-apply-said")).to_contain_text("2,000 of 2,000 rows are answered.")
    assert len(answered(page, tmp_path)) == 2000


def test_pictures_come_back_answered(visit: Visit, run_on_pictures: str, tmp_path: Path):
    page = visit(f"?tab=use&run={run_on_pictures}", ready="#use-apply-file")
    give(page, made.zipped(tmp_path, {"dark/1.png": made.picture(20), "light/2.png": made.picture(230)}))
    expect(page.locator("#use-apply-said")).to_contain_text("2 rows.")
    page.locator("#use-apply-start").click()
    expect(page.locator("#use-apply-said")).to_contain_text("2 of 2 rows are answered.")


def test_programs_get_answers_and_score(server: Server, run_id: str):
    client = client_of(server)
    found = client.predict(
        run_id, "text,label\ngood film,1\nbad film,0\n", token="somebody", api_name="/apply"
    )
    assert [one["row"] for one in found["answers"]] == [2, 3]
    assert {*found["answers"][0]} == {"row", "answer", "confidence", "correct"}
    assert found["score"]["rows"] == 2 and "accuracy" in found["score"]["sentence"].lower()
    assert found["unanswered"] == found["unscored"] == found["not_read"] == []


def test_programs_are_told_why_a_row_has_no_answer_or_no_score(server: Server, run_id: str):
    client = client_of(server)
    rows = "text,label\ngood film,1\n,0\nbad film,7\n"
    found = client.predict(run_id, rows, token="somebody", api_name="/apply")
    assert [one["answer"] is None for one in found["answers"]] == [False, True, False]
    assert found["unanswered"] == ["Row 3, column “text”: it is empty. Give it a text, or leave the row out."]
    (unscored,) = found["unscored"]
    assert unscored.startswith("Row 4, column “label”: this run does not know it. Give it one of “negative”")
