"""The Compare tab in Chromium: settings change the numbers, matching, growth, export, phone, dark, axe."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Locator, Page, Route, expect
from studio import Visit, axe_violations
from waiting import wait_for

pytestmark = pytest.mark.browser

WAIT = 60_000  # the first change waits for torch

BROKEN_AMOUNTS = """() => {
  const top = (node, at) => {
    const range = document.createRange();
    range.setStart(node, at);
    range.setEnd(node, at + 1);
    return range.getBoundingClientRect();
  };
  const found = [];
  const texts = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const node = texts.currentNode;
    const amounts = node.data.matchAll(/[\\d.]+\\s(?=(%|[kMGTPE]?(B|FLOP)|m?s)(?!\\w))/g);
    for (const { index, 0: { length } } of amounts) {
      const [number, unit] = [top(node, index), top(node, index + length)];
      if (number.height && unit.top > number.top + 4) found.push(node.data.slice(0, index + length + 5));
    }
  }
  return found;
}"""


def compare(visit: Visit, **options: object) -> Page:
    page = visit("?tab=compare", ready="#costs h2", **options)
    expect(page.locator("#costs h2").first).to_have_text("FacebookAI/roberta-base", timeout=WAIT)
    page.locator("#costs .chart svg").first.wait_for(timeout=WAIT)
    return page


def parameters(page: Page, method: str) -> Locator:
    return page.locator("#costs .costs-table tbody tr", has_text=method).locator("td.parameters")


def test_numbers_follow_the_settings(visit: Visit) -> None:
    page = compare(visit)
    expect(parameters(page, "CDVFT")).to_have_text("55,296")
    page.locator("#cost-m input").fill("3")
    expect(parameters(page, "CDVFT")).to_have_text("92,160", timeout=WAIT)
    expect(page.locator("#costs .seen")).to_contain_text("LoRA r\u00a0=\u00a08 trains 3.20 times that")
    page.locator("#cost-lora_r input").fill("0")
    expect(page.locator("#costs .problem")).to_contain_text("r, rank: got 0")
    expect(parameters(page, "CDVFT")).to_have_text("92,160")
    page.locator("#cost-lora_r input").fill("4")
    expect(parameters(page, "LoRA")).to_have_text("147,456")
    expect(page.locator("#costs .problem")).to_have_text("")


def test_match_gives_the_rank_that_comes_closest(visit: Visit) -> None:
    page = compare(visit)
    page.locator("#cost-match input").click()
    page.get_by_role("option", name="equal parameters").click()
    expect(page.locator("#costs .costs-table")).to_contain_text("LoRA r\u00a0=\u00a02", timeout=WAIT)
    expect(parameters(page, "LoRA")).to_have_text("73,728")
    expect(parameters(page, "FourierFT")).to_have_text("55,296")


def test_a_marker_moves_along_the_growth(visit: Visit) -> None:
    page = compare(visit)
    expect(page.locator("#costs .place")).to_have_text("tokens = 2,048 (as set)")
    expect(page.locator("#costs .readout")).to_contain_text("6.26 GFLOP")
    page.locator("#costs .marker input").focus()
    page.keyboard.press("Home")
    expect(page.locator("#costs .place")).to_have_text("tokens = 1")
    expect(page.locator("#costs .readout")).to_contain_text("3.94 MFLOP")
    chart = page.locator("#costs .chart.growth")
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    assert box
    page.mouse.click(box["x"] + box["width"] - 30, box["y"] + box["height"] / 2)
    expect(page.locator("#costs .place")).to_have_text("tokens = 65,536")


def test_tables_are_saved(visit: Visit) -> None:
    page = compare(visit)
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save costs as JSON").click()
    rows = json.loads(saved.value.path().read_text())
    assert [row["trainable_parameters"] for row in rows] == [55_296, 294_912, 24_000, 18_432]
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save paper as CSV").click()
    lines = saved.value.path().read_text().splitlines()
    assert lines[0].startswith("topic,quantity,unit,published,recomputed,verdict") and "5.33" in lines[1]
    page.locator("#costs summary", has_text="Show as table").click()
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save Growth of cost as CSV").click()
    assert saved.value.suggested_filename == "growth-of-cost.csv"
    assert "CDVFT m\u00a0=\u00a02,1,3937992" in saved.value.path().read_text()  # numbers, without units


def test_the_answer_stands_first_and_its_reasons_under_the_bars(visit: Visit) -> None:
    page = compare(visit)
    page.locator("#cost-model input").click()
    page.get_by_role("option", name="Meta-Llama-3-8B").click()
    advice = page.locator("#costs .advice")
    expect(advice).to_contain_text("takes about 254 TFLOP and 94.2 GB of memory in float32", timeout=WAIT)
    expect(advice).to_contain_text("The model's weights alone are 32.1 GB")
    expect(advice).to_contain_text(re.compile(r"On this machine it would take [\d.]+\s\w+ to [\d.]+\s\w+: "))
    top, below = advice.bounding_box(), page.locator("#costs .costs-table").bounding_box()
    assert top and below and top["y"] + top["height"] < below["y"] < 900
    heads = page.locator("#costs .costs-table thead th")
    expect(heads).to_have_text(["Method", "Parameters", "File", "Extra FLOPs a step", "Extra memory"])
    page.locator("#costs .segmented label", has_text="Extra FLOPs a step").click()
    expect(page.locator("#costs .seen")).to_contain_text("LoRA r\u00a0=\u00a08 adds 0.489 times that")
    page.locator("#costs .segmented label", has_text="Peak memory").click()
    expect(page.locator("#costs .seen")).to_have_text("")


def test_letters_are_explained_where_one_points(visit: Visit) -> None:
    page = compare(visit)
    titles = {
        label.inner_text(): label.get_attribute("title")
        for label in page.locator("#costs .segmented label").all()
    }
    assert titles["Width d"] == "d, width of the layers"
    assert titles["CDVFT p"] == "p, CDVFT's block size"
    assert all(titles.values())


def test_the_paper_is_beside_ours(visit: Visit) -> None:
    page = compare(visit)
    row = page.locator("#paper tr", has_text="LoRA's parameters over CDVFT's")
    expect(row.locator(".verdict")).to_have_text("equal")
    expect(row.locator(".value")).to_have_text(["5.33", "5.33"])
    many = page.locator("#paper tr", has_text="real FFTs' constants, very many tokens")
    expect(many.locator(".value")).to_have_text(["51.8", "29.0"])
    alone = page.locator("#paper tr", has_text="CDVFT, p = 4096").first
    expect(alone).to_be_hidden()
    page.locator("#paper summary").click()
    expect(alone.locator(".value")).to_have_text(["–", "786,432"])


def test_no_axe_violation(visit: Visit) -> None:
    page = compare(visit)
    for fold in page.locator("#costs summary").all():
        fold.click()
    assert not axe_violations(page)


def test_fits_a_phone(visit: Visit) -> None:
    page = compare(visit, viewport={"width": 390, "height": 844})
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
    for amount in page.locator("#costs .readout li span").all():
        box = amount.bounding_box()
        assert box is None or box["x"] + box["width"] <= 390 - 16


def test_on_a_phone_the_answer_stands_first_and_the_form_one_tap_away(visit: Visit) -> None:
    page = compare(visit, viewport={"width": 390, "height": 844})
    advice = page.locator("#costs .advice p").first.bounding_box()
    assert advice and advice["y"] + advice["height"] < 844
    settings = page.get_by_role("button", name=re.compile("^Settings"))
    expect(settings).to_have_attribute("aria-expanded", "false")
    expect(page.locator("#cost-model")).to_be_hidden()
    settings.click()
    expect(settings).to_have_attribute("aria-expanded", "true")
    page.locator("#cost-m input").fill("3")
    expect(page.locator("#costs td.parameters").first).to_have_text("92,160", timeout=WAIT)
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
    settings.click()
    expect(page.locator("#cost-model")).to_be_hidden()


@pytest.mark.parametrize("width", [390, 320])
def test_no_line_of_a_phone_ends_between_an_amount_and_its_unit(visit: Visit, width: int) -> None:
    page = compare(visit, viewport={"width": width, "height": 844})
    expect(page.locator("#costs .advice")).to_contain_text("alone are 496 MB")
    for fold in page.locator("#costs summary, #sweep summary").all():
        fold.click()
    expect(page.locator("#costs table.numbers")).to_contain_text("3.94 MFLOP")
    assert page.evaluate(BROKEN_AMOUNTS) == []


def bert(folder: Path, width: int) -> str:
    """A model by its configuration alone."""
    config = {"model_type": "bert", "hidden_size": width, "intermediate_size": 2 * width,
              "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 100,
              "max_position_embeddings": 64}  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    return str(folder)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Its step takes milliseconds."""
    return bert(tmp_path_factory.mktemp("tiny"), 32)


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Its step takes a second or more with `MANY` sequences."""
    return bert(tmp_path_factory.mktemp("slow"), 1024)


MANY = "64"


def choose(page: Page, model: str, batch: str = "2") -> None:
    for method in ("FourierFT", "C3A"):
        page.locator("#cost-methods").get_by_role("checkbox", name=method).uncheck()
    page.locator("#cost-batch input").fill(batch)
    page.locator("#cost-sequence input").fill("8" if batch == "2" else "64")
    page.locator("#cost-model input").fill(model)
    page.keyboard.press("Enter")
    expect(page.locator("#costs h2").first).to_have_text(model, timeout=WAIT)


def test_steps_are_measured_kept_and_saved(visit: Visit, tiny: str) -> None:
    page = compare(visit)
    choose(page, tiny)
    said = page.locator("#measure [role=status]")
    age = page.locator("#costs .age").first
    expect(age).to_contain_text("not measured on this machine yet")
    page.get_by_role("button", name="Measure on this machine").click()
    expect(page.get_by_role("button", name="Measure on this machine")).to_be_disabled()
    expect(said).to_contain_text(re.compile(r"Measuring LoRA.*, 2 of 2, about \d+ s left"), timeout=WAIT)
    expect(said).to_contain_text(re.compile(r"Done: 2 step times on \w+"), timeout=WAIT)
    seconds = page.locator("#costs td.seconds")
    expect(seconds).to_have_text([re.compile(r"\d m?s$")] * 2)
    expect(age).to_contain_text("measured just now on")
    expect(page.locator("#costs .advice")).to_contain_text("a step with CDVFT m\u00a0=\u00a02 takes")
    page.locator("#costs .segmented label", has_text="Step time").click()
    expect(page.locator("#costs .seen")).to_contain_text("a step with CDVFT m\u00a0=\u00a02 takes")
    expect(page.locator("#costs .part-of .chart").first).to_contain_text("Frozen model")
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save costs as CSV").click()
    header, *rows = saved.value.path().read_text().splitlines()
    assert "measured_seconds" in header and "measured_device" in header and len(rows) == 2

    again = compare(visit)  # somebody else, later
    choose(again, tiny)
    expect(again.locator("#costs td.seconds")).to_have_text(seconds.all_inner_texts())


def test_lora_is_given_the_rank_whose_step_takes_as_long(visit: Visit, tiny: str) -> None:
    page = compare(visit)
    choose(page, tiny)
    match = page.locator("#cost-match input")
    for _ in range(5):  # an answer that is still under way may draw the list anew
        match.click()
        page.get_by_role("option", name="equal seconds").click()
        with suppress(AssertionError):
            expect(match).to_have_value("equal seconds", timeout=2000)
            break
    expect(match).to_have_value("equal seconds")
    lora = page.locator("#costs .costs-table tbody tr", has_text="LoRA")
    expect(lora).to_contain_text("Press Measure: times cannot be computed", timeout=WAIT)
    page.get_by_role("button", name="Measure on this machine").click()
    said = page.locator("#measure [role=status]")
    expect(said).to_contain_text(re.compile(r"Measuring LoRA r.*at most about \d+ s left"), timeout=WAIT)
    expect(said).to_contain_text(re.compile(r"Done: \d step times on \w+"), timeout=2 * WAIT)
    expect(lora.locator(".label")).to_have_text(re.compile(r"^LoRA r\u00a0=\u00a0\d+$"))
    expect(lora.locator("td.seconds")).to_have_text(re.compile(r"\d m?s$"))
    first = page.locator("#costs .advice p").first
    expect(first).to_contain_text(
        re.compile(r"LoRA r\u00a0=\u00a0\d+ (comes closest|takes).* times CDVFT's step")
    )


def test_only_who_measures_can_cancel_and_others_wait(visit: Visit, slow: str) -> None:
    mine, theirs, before = compare(visit), compare(visit), computing()
    for page in (mine, theirs):
        choose(page, slow, MANY)
    mine.get_by_role("button", name="Measure on this machine").click()
    expect(mine.locator("#measure [role=status]")).to_contain_text("Measuring CDVFT", timeout=WAIT)
    theirs.get_by_role("button", name="Measure on this machine").click()
    expect(theirs.locator("#measure [role=status]")).to_contain_text("You are next")
    theirs.get_by_role("button", name="Cancel").click()
    expect(theirs.locator("#measure [role=status]")).to_contain_text("Cancelled")
    expect(mine.get_by_role("button", name="Cancel")).to_be_enabled()  # mine goes on
    wait_for(lambda: len(computing() - before) == 1)
    mine.get_by_role("button", name="Cancel").click()
    expect(mine.locator("#measure [role=status]")).to_contain_text("Cancelled")
    wait_for(lambda: computing() <= before)
    theirs.get_by_role("button", name="Measure on this machine").click()
    expect(theirs.locator("#measure [role=status]")).to_contain_text("Measuring CDVFT", timeout=WAIT)
    wait_for(lambda: len(computing() - before) == 1)
    theirs.close()
    wait_for(lambda: computing() <= before)


def test_measuring_can_be_asked_for_again_only_once_the_server_has_heard_of_the_cancel(
    visit: Visit, tiny: str
) -> None:
    page = compare(visit)
    choose(page, tiny)
    again = page.get_by_role("button", name="Measure on this machine")
    disabled_before: list[bool] = []

    def tell(route: Route) -> None:
        disabled_before.append(again.is_disabled())
        route.continue_()

    page.route("**/cancel", tell)
    again.click()
    expect(page.locator("#measure [role=status]")).to_contain_text("Measuring CDVFT", timeout=WAIT)
    page.get_by_role("button", name="Cancel").click()
    again.click()
    expect(page.locator("#measure [role=status]")).to_contain_text("Measuring CDVFT", timeout=WAIT)
    assert disabled_before == [True]


def computing() -> set[int]:
    """What the fork server started, by way of which every process comes that computes."""
    us, found = psutil.Process(), set[int]()
    for one in us.children(recursive=True):
        with suppress(psutil.Error):  # it has just ended
            found |= {one.pid} if one.parent() != us and one.exe() == us.exe() else set()
    return found
