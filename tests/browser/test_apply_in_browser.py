"""Use, Apply to a file: columns found or asked for, progress, stop and go on, the file, the score."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from pathlib import Path

import made
import pytest
import tiny_races
from playwright.sync_api import Page, expect
from studio import Server, Visit, axe_violations, client_of, downloaded
from waiting import wait_for

from cdvft_app.catalog import MODELS
from cdvft_app.catalog.dataset_readers import Rows
from cdvft_app.results import apply as applying
from cdvft_app.results.answering import Answering, Questions
from cdvft_app.settings import RunSettings
from cdvft_app.store.runs import RunStore

HELD: list[int] = []  # after so many rows an answer waits to be stopped
WAITING: list[int] = []  # after how many one does


@pytest.fixture(scope="module")
def run_id(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A finished run, for which this process answers."""
    import tiny_models

    tiny = tiny_races.entry("minilm", tiny_models.bert(tmp_path_factory.mktemp("bert")))
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
        runs = [RunSettings(method=one, max_steps=12, batch_size=8) for one in ("cdvft", "lora")]
        yield tiny_races.trained(server, tiny_races.films(), "Films", runs)[0]


@pytest.fixture(scope="module")
def run_on_pictures(server: Server, run_id: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    import tiny_models

    folder = tiny_models.vit(tmp_path_factory.mktemp("vit"), "deit_tiny_patch16_224")
    rows = Rows(tiny_models.greys(40, seed=1), tiny_models.greys(16, seed=2), ("dark", "grey", "light"), None)
    settings = RunSettings(
        recipe="mnist", model=str(folder), method="cdvft", max_steps=4, batch_size=8, image_size=32
    )
    (run_id,) = tiny_races.trained(server, rows, "Greys", [settings])
    return run_id


def give(page: Page, file: Path) -> None:
    """In place of the file that is there."""
    clear = page.locator("#use-apply-file").get_by_role("button", name="Clear")
    if clear.is_visible():
        clear.click()
    page.locator("#use-apply-file input").set_input_files(file)


def answered(page: Page) -> list[dict[str, str]]:
    file = downloaded(page.locator("#use-apply-answered a[download]").first)
    return [*csv.DictReader(file.read_text(encoding="utf-8").splitlines())]


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
    rows = answered(page)
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
    another_run_ends_it_and_the_former_goes_on(page)


def another_run_ends_it_and_the_former_goes_on(page: Page):
    HELD[:] = [900]
    page.locator("#use-apply-start").click()
    wait_for(lambda: WAITING[-1] == 900)
    page.locator("#use-run").get_by_label("LoRA").click()
    expect(page.locator("#use-apply-said")).to_contain_text("Stopped, as another run was chosen")
    Answering.stop(None)  # type: ignore[arg-type]
    expect(page.locator("#use-apply-start")).to_be_enabled()
    HELD.clear()
    page.locator("#use-run").get_by_label("CDVFT").click()
    expect(page.locator("#use-apply-said")).to_have_text("")
    page.locator("#use-apply-start").click()
    expect(page.locator("#use-apply-said")).to_contain_text("2,000 of 2,000 rows are answered.")
    assert len(answered(page)) == 2000


def test_pictures_come_back_answered(visit: Visit, run_on_pictures: str, tmp_path: Path):
    page = visit(f"?tab=use&run={run_on_pictures}", ready="#use-apply-file")
    give(page, made.zipped(tmp_path, {"dark/1.png": made.picture(20), "light/2.png": made.picture(230)}))
    expect(page.locator("#use-apply-said")).to_contain_text("2 rows.")
    page.locator("#use-apply-start").click()
    expect(page.locator("#use-apply-said")).to_contain_text("2 of 2 rows are answered.")


def test_programs_get_answers_their_score_and_why_a_row_has_none(server: Server, run_id: str):
    rows = "text,label\ngood film,1\n,0\nbad film,7\n"
    found = client_of(server).predict(run_id, rows, token="somebody", api_name="/apply")
    assert [one["row"] for one in found["answers"]] == [2, 3, 4]
    assert {*found["answers"][0]} == {"row", "answer", "confidence", "correct"}
    assert [one["answer"] is None for one in found["answers"]] == [False, True, False]
    assert found["score"]["rows"] == 1 and "accuracy" in found["score"]["sentence"].lower()
    assert found["not_read"] == []
    assert found["unanswered"] == ["Row 3, column “text”: it is empty. Give it a text, or leave the row out."]
    (unscored,) = found["unscored"]
    assert unscored.startswith("Row 4, column “label”: this run does not know it. Give it one of “negative”")
