"""The Use tab on a race of tiny models: ask, prove, take home, and what is refused."""

from __future__ import annotations

import re
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import run_events
import tiny_races
from PIL import Image
from playwright.sync_api import Page, expect
from studio import Server, Visit, axe_violations, client_of, fill_in, two_frames
from waiting import wait_for

from cdvft_app.catalog import MODELS, resolve
from cdvft_app.results import held_out
from cdvft_app.results.answering import Answering, Questions
from cdvft_app.results.finished_run import ResultsError
from cdvft_app.settings import RunSettings
from cdvft_app.store.records import StoreError
from cdvft_app.store.runs import RunStore


@pytest.fixture(scope="module")
def race(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a finished race of two methods, which this process answers for."""
    import tiny_models

    tiny = tiny_races.entry("minilm", tiny_models.bert(tmp_path_factory.mktemp("bert")))
    rows = tiny_races.films()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(MODELS, "minilm", tiny)  # type: ignore[arg-type]
        patch.setattr(Answering, "ask", ask_here)
        patch.setattr(held_out, "load_rows", lambda entry, **asked: rows)
        runs = [
            RunSettings(method=one, max_steps=12, batch_size=8, max_length=32) for one in ("cdvft", "lora")
        ]
        yield "?tab=use&run=" + ",".join(tiny_races.trained(server, rows, "Films", runs))


def ask_here(self: Answering, question: str, **about: object) -> object:
    try:
        return getattr(Questions(RunStore(self._store.root)), question)(**about)
    except StoreError as error:
        raise ResultsError(str(error)) from None


def rgb(colour: str) -> str:
    """As the browser computes "#0072B2"."""
    red, green, blue = (int(colour.strip()[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgb({red}, {green}, {blue})"


def ask(page: Page, text: str) -> None:
    fill_in(page.locator("#use-texts textarea"), text)
    page.get_by_role("button", name="Ask all methods").click()


def test_from_where_a_race_ends_one_click_leads_to_texts_that_are_asked(visit: Visit, race: str) -> None:
    page = visit(race.replace("tab=use", "tab=train"))
    page.get_by_role("link", name="Use it").click()
    expect(page.locator("#use-texts textarea")).to_be_visible()
    expect(page.locator("#use-race input")).to_have_value(re.compile("^Films"))
    the_keyboard_is_enough(page)
    markup_in_a_text_is_text(page)
    each_method_answers_beside_the_frozen_model(page)
    what_cannot_be_answered_is_a_sentence(page)
    a_held_out_row_is_taken_as_an_example(page)


def the_keyboard_is_enough(page: Page) -> None:
    page.locator("#use-texts textarea").focus()
    page.keyboard.type("good film")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Ask all methods")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("article")).to_have_count(1)


def markup_in_a_text_is_text(page: Page) -> None:
    ask(page, "<img src=x onerror=alert(1)> good")
    expect(page.locator("#use-answers h3")).to_have_text("<img src=x onerror=alert(1)> good")


def each_method_answers_beside_the_frozen_model(page: Page) -> None:
    ask(page, "good very fine film\nawful bad plot")
    answered = page.get_by_role("article")
    expect(answered).to_have_count(2)
    for one in answered.all():
        columns = one.locator("section")
        names = [title.split("\n")[0] for title in columns.locator("h4").all_inner_texts()]
        assert names == ["Frozen", "CDVFT", "LoRA r\u00a0=\u00a08"]
        tops = columns.evaluate_all("(all) => all.map((one) => one.getBoundingClientRect().top)")
        assert len({*tops}) == 1, "side by side"
        for column, colour in zip(columns.all()[1:], ("--method-cdvft", "--method-lora"), strict=True):
            of_method = f"(column) => getComputedStyle(column).getPropertyValue('{colour}')"
            as_rgb = "(column) => getComputedStyle(column).borderTopColor"
            assert rgb(column.evaluate(of_method)) == column.evaluate(as_rgb)
            shares = [
                float(re.findall(r"[\d.]+", text)[-1]) for text in column.locator("li").all_inner_texts()
            ]
            assert sum(shares) == pytest.approx(100, abs=0.2) and shares == sorted(shares, reverse=True)
    assert page.locator("#use-answers").evaluate("(part) => part.getBoundingClientRect().top") < page.locator(
        "#use-scores"
    ).evaluate("(part) => part.getBoundingClientRect().top")
    expect(page.locator("#use-answers h3")).to_have_text(["good very fine film", "awful bad plot"])


def what_cannot_be_answered_is_a_sentence(page: Page) -> None:
    ask(page, "good film " * 200 + "\nshort")
    cut = page.locator("#use-answers article").filter(has_text="cut from the end")
    expect(cut).to_have_count(1)
    expect(cut).to_contain_text(
        re.compile(r"\d+ tokens were cut from the end: the run reads no longer texts\.")
    )
    ask(page, "a\n" * 30)
    expect(page.locator("#use-answers [role=alert]")).to_contain_text("at most 20 are asked")


def a_held_out_row_is_taken_as_an_example(page: Page) -> None:
    page.get_by_role("button", name="Take an example").click()
    told, texts = page.locator("#use-example-said"), page.locator("#use-texts textarea")
    expect(told).to_contain_text(re.compile(r"Row \d+ of those held out; its label: (negative|positive)"))
    any_of_them = "|".join(map(re.escape, tiny_races.films().evaluation.inputs))
    expect(texts).to_have_value(re.compile(f"^({any_of_them})$"))
    text = texts.input_value()
    page.get_by_role("button", name="Ask all methods").click()
    expect(page.locator("#use-answers h3")).to_have_text(text)
    expect(told).to_contain_text("its label")
    texts.press_sequentially(" no")
    expect(told).to_have_text("")
    page.get_by_role("button", name="Take an example").click()
    expect(told).to_contain_text("its label")
    texts.fill("a bad plot")  # at once, as by pasting
    page.get_by_role("button", name="Ask all methods").click()
    expect(page.locator("#use-answers h3")).to_have_text("a bad plot")
    expect(told).to_have_text("")


def test_a_run_that_is_not_there_is_said_and_another_race_is_looked_through_proved_and_taken_home(
    visit: Visit, race: str
) -> None:
    page = visit("?tab=use&run=nonsense", ready="#use-race input")
    expect(page.locator("#use-race")).to_contain_text("The address names a run with nothing to use here")
    expect(page.locator("#use-ask")).to_be_visible()
    expect(page.get_by_role("radio", name="CDVFT")).to_be_checked()
    held_out_rows_are_counted_filtered_and_paged(page)
    an_adapter_s_promises_are_proved(page)
    it_is_taken_home(page)


def test_what_was_asked_of_a_race_that_was_left_is_not_shown_and_the_last_choice_is(
    visit: Visit, race: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go, done = threading.Event(), threading.Event(), threading.Event()

    def late(self: Answering, question: str, **about: object) -> object:
        begun.set()
        wait_for(go.is_set)
        answer = ask_here(self, question, **about)
        done.set()
        return answer

    page = visit(race, ready="#use-texts textarea")
    films = page.locator("#use-race input").input_value()
    with monkeypatch.context() as patch:
        patch.setattr(Answering, "ask", late)
        ask(page, "good film")
        wait_for(begun.is_set)
        choose_race(page, re.compile("recorded"))
        expect(page.get_by_role("radio", name="FourierFT")).to_be_visible()
        go.set()
        wait_for(done.is_set)
        two_frames(page)
        expect(page.get_by_role("article")).to_have_count(0)

        choose_race(page, films)
        expect(page.get_by_role("radio", name="FourierFT")).to_be_hidden()
        for event in (begun, go, done):
            event.clear()
        page.get_by_role("radio", name="All").check()
        wait_for(begun.is_set)
        page.get_by_role("radio", name="Surest mistakes").check()
        go.set()
    rows = page.locator("table.examples tbody tr")
    expect(rows).not_to_have_count(0)
    expect(page.locator("table.examples td:nth-child(4).wrong")).to_have_count(rows.count())
    ask(page, "good film")
    expect(page.get_by_role("article")).to_have_count(1)


def choose_race(page: Page, name: str | re.Pattern[str]) -> None:
    page.locator("#use-race input").click()
    page.get_by_role("option", name=name).first.click()


def held_out_rows_are_counted_filtered_and_paged(page: Page) -> None:
    scores, rows = page.locator("#use-scores"), page.locator("table.examples tbody tr")
    expect(scores.locator("h3")).to_have_count(2)
    expect(scores).to_contain_text(re.compile(r"alone is right on \d+ of 24 rows"))
    cells = [
        int(cell) for cell in scores.locator("table.confusion").first.locator("td[style]").all_inner_texts()
    ]
    assert (len(cells), sum(cells)) == (4, 24)
    ours, beside = scores.locator("table.confusion").evaluate_all(  # in one look
        "(all) => all.map((one) => one.getBoundingClientRect().toJSON())"
    )
    assert ours["y"] == beside["y"] and ours["right"] < beside["x"]
    page.get_by_role("radio", name="All").check()
    expect(rows).to_have_count(10)
    page.get_by_role("button", name="Further").click()
    expect(page.locator("#use-rows")).to_contain_text("11 to 20 of 24 rows")
    page.get_by_role("button", name="Back").click()
    expect(page.locator("#use-rows")).to_contain_text("1 to 10 of 24 rows")
    page.get_by_role("radio", name="Surest mistakes").check()
    wrong = cells[1] + cells[2]
    expect(rows).to_have_count(min(wrong, 10))
    expect(page.locator("table.examples td:nth-child(4).wrong")).to_have_count(min(wrong, 10))


def an_adapter_s_promises_are_proved(page: Page) -> None:
    page.locator("#use-texts textarea").fill("good film")
    page.get_by_role("button", name="Prove it").click()
    rows = page.locator("table.proof tbody tr")
    expect(rows).to_have_count(4)
    assert [row.locator("td").last.inner_text() for row in rows.all()] == ["yes"] * 4


def it_is_taken_home(page: Page) -> None:
    link, before = page.locator("#use-file a[download]").first, ""
    for form, file in (
        ("Adapter, as it was trained", "adapter_model.safetensors"),
        ("Merged: one plain model", "model.safetensors"),
    ):
        page.get_by_role("radio", name=form).check()
        page.get_by_role("button", name="Prepare the zip").click()
        expect(link).not_to_have_attribute("href", before)
        expect(link).to_be_visible()
        with page.expect_download() as taken:
            link.click()
        with zipfile.ZipFile(taken.value.path()) as archive:
            names = {Path(name).name for name in archive.namelist()}
        assert {"README.md", file, "requirements.txt"} <= names, form
        before = link.get_attribute("href") or ""

    page.get_by_role("radio", name="LoRA adapter").check()
    page.get_by_label("Rank").fill("99")  # one that is too large is a sentence
    page.get_by_role("button", name="Prepare the zip").click()
    expect(page.locator("#use-refused [role=alert]")).to_contain_text("ranks from 1 to 32")


def test_the_endpoint_sends_the_zip(server: Server, race: str, tmp_path: Path) -> None:
    client = client_of(server, download_files=tmp_path)
    taken = client.predict(race.rpartition("=")[2].split(",")[0], api_name="/export")
    assert Path(taken).is_relative_to(tmp_path) and zipfile.is_zipfile(taken)


def test_the_latest_race_is_open_at_once_without_axe_violation_on_a_phone(visit: Visit, race: str) -> None:
    page = visit("?tab=use", ready="#use-race", viewport={"width": 390, "height": 844})
    expect(page.locator("#use-race input")).to_have_value(re.compile("^Films"))
    expect(page.locator("#use-texts textarea")).to_be_visible()
    ask(page, "good very fine film")
    expect(page.get_by_role("article")).to_have_count(1)
    page.get_by_role("button", name="Prove it").click()
    page.locator("#use-proof summary").click()
    page.get_by_role("radio", name="All").check()
    expect(page.locator("table.examples tbody tr")).to_have_count(10)
    page.locator("#use-scores summary").click()
    page.get_by_role("button", name="How two methods are compared").click()
    assert not axe_violations(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_the_recorded_race_can_be_used_before_any_other(visit: Visit, race: str) -> None:
    page = visit("?tab=use&run=recorded-sentiment-lora", ready="#use-texts textarea")
    expect(page.locator("#use-race input")).to_have_value(re.compile("recorded .* CDVFT, LoRA"))
    expect(page.get_by_role("radio", name="LoRA r = 8")).to_be_checked()
    page.get_by_label("Repository").fill("ada/films")
    page.get_by_label("Token").fill("hf_mine")
    page.get_by_role("button", name="Push").click()
    expect(page.locator("#push-said [role=alert]")).to_contain_text("HF_HUB_OFFLINE is set")
    expect(page.get_by_label("Token")).to_have_value("")


@pytest.fixture
def digits(server: Server) -> Iterator[str]:
    """The address of a finished run on handwritten digits, whose weights nothing here reads."""
    plan = resolve(RunSettings(recipe="mnist", method="cdvft", max_steps=1))
    (record,) = server.store.create([plan.settings], "somebody", "Digits", "1:1")
    adapter = server.store.make_folder(record.id) / "adapter"
    adapter.mkdir()
    (adapter / "adapter_model.safetensors").write_bytes(b"weights")
    for event in (run_events.started(1), run_events.step(1), run_events.done(1, adapter)):
        server.store.append(record.id, event)
    yield f"?tab=use&run={record.id}"
    server.store.remove(record.id)  # the latest race is that of films


def test_a_digit_is_drawn_shown_as_the_models_see_it_and_heads_its_answers(
    visit: Visit, digits: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    said = {"label": "8", "probabilities": [0.2, 0.8], "value": None}
    sides = [
        {"title": title, "note": note, "method": method, "answers": [said]}
        for title, note, method in (("Frozen", "the pretrained model", "head"), ("CDVFT", "", "cdvft"))
    ]
    monkeypatch.setattr(
        Answering, "ask", lambda self, question, **about: {"labels": ["3", "8"], "cut": [0], "sides": sides}
    )
    monkeypatch.setattr("cdvft_app.ui.use.tab.prepare", lambda run, progress: None)
    page = visit(digits, ready="#use-draw .pad", viewport={"width": 390, "height": 844})
    a_digit_is_drawn_by_keys_and_pointer_and_cleared(page)
    a_digit_is_drawn_by_keys(page)
    page.get_by_role("button", name="Ask all methods").click()
    shown = page.locator("#use-answers").get_by_role("img", name="What was asked about")
    expect(page.locator("#use-answers h3")).to_have_text("Your drawing")
    size = "(image) => [image.naturalWidth, image.naturalHeight]"
    assert shown.evaluate(size) == [140, 140]  # 28 x 28 pixels, each five times as large
    assert not axe_violations(page, "#use-answers")

    Image.new("RGB", (400, 200), (200, 30, 30)).save(tmp_path / "own.png")
    page.locator("#use-image input[type=file]").set_input_files(tmp_path / "own.png")
    expect(page.locator("#use-image")).to_contain_text("own")
    page.get_by_role("button", name="Ask all methods").click()
    expect(page.locator("#use-answers h3")).to_have_text("Your image")
    assert shown.evaluate(size) == [144, 72]
    page.locator("#use-draw").get_by_role("button", name="Clear").click()
    expect(shown).to_be_visible()  # it is of the answers, whatever is drawn next


def a_digit_is_drawn_by_keys(page: Page) -> None:
    pad = page.locator("#use-draw .pad")
    pad.press("ArrowDown")
    pad.press(" ")
    expect(page.locator("#use-draw [role=status]")).to_contain_text(
        "centred and scaled to 28 × 28 pixels, as in MNIST"
    )


def a_digit_is_drawn_by_keys_and_pointer_and_cleared(page: Page) -> None:
    pad, seen, said = (page.locator(f"#use-draw {one}") for one in (".pad", "img", "[role=status]"))
    expect(said).to_have_text("What the models will see stands here.")
    expect(seen).to_be_hidden()
    a_digit_is_drawn_by_keys(page)
    expect(seen).to_have_attribute("src", re.compile("^data:image/png;base64,"))
    by_keys = seen.get_attribute("src")
    pad.drag_to(pad, source_position={"x": 20, "y": 20}, target_position={"x": 90, "y": 60}, steps=5)
    expect(seen).not_to_have_attribute("src", str(by_keys))
    expect(seen).to_be_visible()
    page.locator("#use-draw").get_by_role("button", name="Clear").click()
    expect(said).to_have_text("What the models will see stands here.")
    expect(seen).to_be_hidden()
