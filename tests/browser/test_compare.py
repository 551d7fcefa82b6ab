"""The Compare tab in Chromium: settings change the numbers, matching, growth, export, phone, dark, axe."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Locator, Page, Route, expect
from studio import Visit, axe_violations, fill_in, server_calls
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


WORDS = """(page) => {
  const seen = (node) => node.parentElement?.checkVisibility() && !node.parentElement.closest(
    "option, .hidden-text, [aria-hidden=true], caption.hidden-text");
  const texts = document.createTreeWalker(page, NodeFilter.SHOW_TEXT);
  let words = [];
  while (texts.nextNode())
    if (seen(texts.currentNode)) words = words.concat(texts.currentNode.data.split(/\\s+/));
  return words.filter((word) => /\\p{L}/u.test(word));
}"""


def compare(visit: Visit, **options: object) -> Page:
    page = visit("?tab=compare", ready="#costs h2", **options)
    expect(page.locator("#costs h2")).to_have_text("FacebookAI/roberta-base", timeout=WAIT)
    expect(page.locator("#costs .answers tbody th").first).to_have_text("Fits here", timeout=WAIT)
    return page


def unfold(page: Page) -> None:
    """Open what is folded below the questions."""
    if page.viewport_size and page.viewport_size["width"] < 900:
        page.get_by_role("button", name=re.compile("^Settings")).click()
    page.get_by_role("button", name="Methods, sizes, layers").click()
    page.locator("#cost-m input").wait_for()


def answer(page: Page, key: str) -> Locator:
    return page.locator(f"#costs .answers tr.{key} td")


def growth(visit: Visit, **options: object) -> Page:
    page = visit("?tab=compare&page=growth", ready="#growth .chart svg", **options)
    expect(page.locator("#growth h2")).to_have_text("FacebookAI/roberta-base")
    return page


def paper(visit: Visit, **options: object) -> Page:
    return visit("?tab=compare&page=paper", ready="#paper table", **options)


def test_each_page_has_its_address_and_draws_only_once_it_is_looked_at(visit: Visit) -> None:
    page = compare(visit)
    asked = server_calls(page)
    assert page.locator("#growth svg, #outcomes svg, #sweep svg, #paper table").count() == 0
    page.get_by_role("link", name="Growth").click()
    page.locator("#growth .chart svg").first.wait_for()
    expect(page.locator("#costs")).to_be_hidden()
    assert page.url.endswith("?tab=compare&page=growth")
    assert not asked  # neither runs nor sweeps
    page.get_by_role("link", name="Results").click()
    page.locator("#outcomes .chart svg").first.wait_for(timeout=WAIT)
    page.go_back()
    expect(page.locator("#growth .chart")).to_be_visible()
    expect(page.get_by_role("link", name="Growth")).to_have_attribute("aria-current", "page")
    page.go_forward()
    expect(page.locator("#outcomes .chart")).to_be_visible()
    page.reload()
    expect(page.locator("#outcomes .chart svg").first).to_be_visible(timeout=WAIT)
    expect(page.locator("#growth")).to_be_hidden()
    page.get_by_role("link", name="The paper").click()
    page.get_by_role("tab", name="Learn").click()
    page.go_back()  # to a page of another tab
    expect(page.locator("#outcomes .chart")).to_be_visible()


def test_the_growth_follows_the_settings_that_were_changed_on_another_page(visit: Visit) -> None:
    page = compare(visit)
    page.locator("#cost-model input").click()
    page.get_by_role("option", name="gpt2 ·").click()
    expect(page.locator("#costs h2")).to_have_text("openai-community/gpt2", timeout=WAIT)
    page.get_by_role("link", name="Growth").click()
    expect(page.locator("#growth h2")).to_have_text("openai-community/gpt2", timeout=WAIT)
    page.locator("#cost-batch input").fill("0")
    expect(page.locator("#growth .problem")).to_contain_text("Batch: got 0", timeout=WAIT)
    expect(page.locator("#growth .chart")).to_be_hidden()


def test_numbers_follow_the_settings_and_the_old_answer_goes_with_what_is_unknown(visit: Visit) -> None:
    page = compare(visit)
    unfold(page)
    numbers = answer(page, "parameters")
    expect(numbers.first).to_have_text("55,296")
    fill_in(page.locator("#cost-m input"), "3")
    expect(numbers.first).to_have_text("92,160", timeout=WAIT)
    page.locator("#costs summary", has_text="Why").click()
    expect(page.locator("#costs .seen").first).to_contain_text("LoRA r\u00a0=\u00a08 trains 3.20 times that")
    page.locator("#cost-lora_r input").fill("0")
    expect(page.locator("#costs .problem")).to_contain_text("r, rank: got 0")
    expect(page.locator("#costs .answer")).to_be_hidden()
    expect(numbers.first).to_be_hidden()
    page.locator("#cost-lora_r input").fill("4")
    expect(numbers.nth(1)).to_have_text("147,456")
    expect(page.locator("#costs .problem")).to_have_text("")
    choose(page, "cost-match", "equal parameters")
    expect(page.locator("#costs .answers thead")).to_contain_text("LoRA r\u00a0=\u00a03", timeout=WAIT)
    expect(numbers.nth(2)).to_have_text("92,160")


def choose(page: Page, field: str, option: str) -> None:
    """An answer that is still under way may draw the list anew."""
    control = page.locator(f"#{field} input")
    for _ in range(5):
        control.click()
        page.get_by_role("option", name=option, exact=True).click()
        with suppress(AssertionError):
            expect(control).to_have_value(option, timeout=2000)
            return
    expect(control).to_have_value(option)


def test_eight_billion_weights_on_a_card_are_answered_in_a_sentence(visit: Visit) -> None:
    page = compare(visit)
    page.locator("#cost-model input").click()
    page.get_by_role("option", name="Meta-Llama-3-8B").click()
    said = page.locator("#costs .answer")
    expect(page.locator("#costs h2")).to_have_text("meta-llama/Meta-Llama-3-8B", timeout=WAIT)
    choose(page, "cost-device", "RTX 4090 (24 GB)")
    expect(said).to_contain_text(
        "and an RTX 4090 with 24\u00a0GB is smaller. In 8 bit with checkpointing it takes"
    )
    choose(page, "cost-precision", "4 bit")
    page.locator("#cost-gradient_checkpointing input").check()
    choose(page, "cost-aim", "short steps")
    expect(said).to_contain_text(
        "LoRA r\u00a0=\u00a08 for Meta-Llama-3-8B on an RTX 4090 with 24\u00a0GB in 4 bit with "
        "checkpointing: it adds the fewest FLOPs"
    )
    expect(page.locator("#costs .answers tbody th")).to_have_text(
        ["Fits in 24 GB", "Adapter file", "Trainable numbers", "Extra FLOPs"]
    )
    top, below = said.bounding_box(), page.locator("#costs .answers").bounding_box()
    assert top and below and top["y"] + top["height"] < below["y"] < 900
    page.locator("#costs summary", has_text="Why").click()
    expect(page.locator("#costs tr", has_text="Frozen weights")).to_contain_text("5.70 GB")
    page.locator("#costs summary", has_text="In bars").click()
    page.locator("#costs .chart svg").first.wait_for()
    page.locator("#costs .segmented label", has_text="Peak memory").click()
    expect(page.locator("#costs .undrawn")).to_contain_text("Not measured on this machine yet")


@pytest.mark.parametrize("size", [(1440, 900), (390, 844)], ids=["desk", "phone"])
def test_each_first_screen_makes_its_point_in_few_words(visit: Visit, size: tuple[int, int]) -> None:
    """At most 120 words before anything is opened, and what the page is about lies within the screen."""
    width, height = size
    page = compare(visit, viewport={"width": width, "height": height})
    points = {"Decide": ("#costs .answers", "tbody td"), "Growth": ("#growth .chart", "svg"),
              "Results": ("#outcomes .chart", "svg"), "The paper": ("#paper table", "td.paper"),
              "Settings that matter": ("#sweep table.heat", "tbody td"),
              "Evidence": ("#evidence .chart", "svg")}  # fmt: skip
    for name, (point, inside) in points.items():
        page.get_by_role("link", name=name).click()
        page.locator(f"{point} {inside}").first.wait_for(timeout=WAIT)
        if name == "Evidence":
            expect(page.locator("#evidence .js-plotly-plot")).to_have_count(6)
        words = page.locator("#tab-compare").evaluate(WORDS)
        assert 10 < len(words) <= 120, (name, len(words), " ".join(words))
        box = page.locator(point).first.bounding_box()
        assert box and box["y"] + box["height"] <= height, (name, box)
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width


def test_a_marker_moves_along_the_growth(visit: Visit) -> None:
    page = growth(visit)
    expect(page.locator("#growth .place")).to_have_text("tokens = 2,048 (as set)")
    expect(page.locator("#growth .readout")).to_contain_text("6.26 GFLOP")
    page.locator("#growth .marker input").focus()
    page.keyboard.press("Home")
    expect(page.locator("#growth .place")).to_have_text("tokens = 1")
    expect(page.locator("#growth .readout")).to_contain_text("3.94 MFLOP")
    chart = page.locator("#growth .chart.growth")
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    assert box
    page.mouse.click(box["x"] + box["width"] - 30, box["y"] + box["height"] / 2)
    expect(page.locator("#growth .place")).to_have_text("tokens = 65,536")


def test_tables_are_saved(visit: Visit) -> None:
    page = compare(visit)
    page.locator("#costs summary", has_text="Save").click()
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save costs as JSON").click()
    rows = json.loads(saved.value.path().read_text())
    assert [row["trainable_parameters"] for row in rows] == [55_296, 294_912, 24_000, 18_432]
    page.get_by_role("link", name="The paper").click()
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save paper as CSV").click()
    lines = saved.value.path().read_text().splitlines()
    assert lines[0].startswith("topic,quantity,unit,published,recomputed,verdict") and "5.33" in lines[1]
    page.get_by_role("link", name="Growth").click()
    page.locator("#growth summary", has_text="Show as table").click()
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save Growth of cost as CSV").click()
    assert saved.value.suggested_filename == "growth-of-cost.csv"
    assert "CDVFT m\u00a0=\u00a02,1,3937992" in saved.value.path().read_text()  # numbers, without units


def test_letters_are_explained_where_one_points(visit: Visit) -> None:
    page = growth(visit)
    titles = {
        label.inner_text(): label.get_attribute("title")
        for label in page.locator("#growth .segmented label").all()
    }
    assert titles["Width d"] == "d, width of the layers"
    assert titles["CDVFT p"] == "p, CDVFT's block size"
    assert all(titles.values())


def test_the_paper_is_beside_ours(visit: Visit) -> None:
    page = paper(visit)
    row = page.locator("#paper tr", has_text="LoRA's parameters over CDVFT's")
    expect(row.locator(".verdict")).to_have_text("equal")
    expect(row.locator(".value")).to_have_text(["5.33", "5.33"])
    many = page.locator("#paper tr", has_text="real FFTs' constants, very many tokens")
    expect(many.locator(".value")).to_have_text(["51.8", "29.0"])
    alone = page.locator("#paper tr", has_text="CDVFT, p = 4096").first
    expect(alone).to_be_hidden()
    page.locator("#paper summary", has_text="Without a known figure").click()
    expect(alone.locator(".value")).to_have_text(["–", "786,432"])


def test_no_axe_violation(visit: Visit) -> None:
    page = compare(visit)
    for name, part in (
        ("Decide", "#costs"),
        ("Growth", "#growth"),
        ("Evidence", "#evidence"),
        ("The paper", "#paper"),
    ):
        page.get_by_role("link", name=name).click()
        if name == "Evidence":
            expect(page.locator("#evidence .js-plotly-plot")).to_have_count(6)
        for fold in page.locator(f"{part} summary").all():
            fold.click()
        assert not axe_violations(page)


def test_fits_a_phone(visit: Visit) -> None:
    page = compare(visit, viewport={"width": 390, "height": 844})
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
    page.get_by_role("link", name="The paper").click()
    page.locator("#paper table").first.wait_for()
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
    page.get_by_role("link", name="Growth").click()
    page.locator("#growth .readout li").first.wait_for()
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
    for amount in page.locator("#growth .readout li span").all():
        box = amount.bounding_box()
        assert box is None or box["x"] + box["width"] <= 390 - 16


def test_on_a_phone_the_answer_stands_first_and_the_form_one_tap_away(visit: Visit) -> None:
    page = compare(visit, viewport={"width": 390, "height": 844})
    said = page.locator("#costs .answer").bounding_box()
    assert said and said["y"] + said["height"] < 500
    settings = page.get_by_role("button", name=re.compile("^Settings"))
    expect(settings).to_have_attribute("aria-expanded", "false")
    expect(page.locator("#cost-model")).to_be_hidden()
    unfold(page)
    expect(settings).to_have_attribute("aria-expanded", "true")
    fill_in(page.locator("#cost-m input"), "3")
    expect(answer(page, "parameters").first).to_have_text("92,160", timeout=WAIT)
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
    settings.click()
    expect(page.locator("#cost-model")).to_be_hidden()


@pytest.mark.parametrize("width", [390, 320])
def test_no_line_of_a_phone_ends_between_an_amount_and_its_unit(visit: Visit, width: int) -> None:
    page = compare(visit, viewport={"width": width, "height": 844})
    for name, part in (("Decide", "#costs"), ("Growth", "#growth"), ("Settings that matter", "#sweep")):
        page.get_by_role("link", name=name).click()
        for fold in page.locator(f"{part} summary").all():
            fold.click()
        if part == "#growth":
            expect(page.locator("#growth table.numbers")).to_contain_text("3.94 MFLOP")
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


def measure_of(page: Page, model: str, batch: str = "2") -> None:
    unfold(page)
    for method in ("FourierFT", "C3A"):
        page.locator("#cost-methods").get_by_role("checkbox", name=method).uncheck()
    page.locator("#cost-batch input").fill(batch)
    page.locator("#cost-sequence input").fill("8" if batch == "2" else "64")
    page.locator("#cost-model input").fill(model)
    page.keyboard.press("Enter")
    expect(page.locator("#costs h2")).to_have_text(model, timeout=WAIT)


def test_steps_are_measured_kept_and_saved(visit: Visit, tiny: str) -> None:
    page = compare(visit)
    measure_of(page, tiny)
    said = page.locator("#measure [role=status]")
    age = page.locator("#costs p.age")
    page.locator("#costs summary", has_text="What is assumed").click()
    expect(age).to_contain_text("not measured on this machine yet")
    page.get_by_role("button", name="Measure on this machine").click()
    expect(page.get_by_role("button", name="Measure on this machine")).to_be_disabled()
    expect(said).to_contain_text(re.compile(r"Measuring LoRA.*, 2 of 2, about \d+ s left"), timeout=WAIT)
    expect(said).to_contain_text(re.compile(r"Done: 2 step times on \w+"), timeout=WAIT)
    seconds = answer(page, "seconds")
    expect(seconds).to_have_text([re.compile(r"\d\sm?s$")] * 2)
    expect(age).to_contain_text("measured just now on")
    expect(page.locator("#costs .answer")).to_contain_text(re.compile(r"and its step takes [\d.]+\sm?s here"))
    page.locator("#costs summary", has_text="In bars").click()
    page.locator("#costs .segmented label", has_text="Step time").click()
    expect(page.locator("#costs .part-of .seen")).to_contain_text("a step with CDVFT m\u00a0=\u00a02 takes")
    expect(page.locator("#costs .part-of .chart").first).to_contain_text("Frozen model")
    page.locator("#costs summary", has_text="Save").click()
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save costs as CSV").click()
    header, *rows = saved.value.path().read_text().splitlines()
    assert "measured_seconds" in header and "measured_device" in header and len(rows) == 2

    again = compare(visit)  # somebody else, later
    measure_of(again, tiny)
    expect(answer(again, "seconds")).to_have_text(seconds.all_inner_texts())


def test_lora_is_given_the_rank_whose_step_takes_as_long(visit: Visit, tiny: str) -> None:
    page = compare(visit)
    measure_of(page, tiny)
    choose(page, "cost-match", "equal seconds")
    expect(page.locator("#costs")).to_contain_text("Press Measure: times cannot be computed", timeout=WAIT)
    page.get_by_role("button", name="Measure on this machine").click()
    said = page.locator("#measure [role=status]")
    expect(said).to_contain_text(re.compile(r"Measuring LoRA r.*at most about \d+ s left"), timeout=WAIT)
    expect(said).to_contain_text(re.compile(r"Done: \d step times on \w+"), timeout=2 * WAIT)
    expect(page.locator("#costs .answers thead")).to_contain_text(re.compile(r"LoRA r\u00a0=\u00a0\d+"))
    expect(answer(page, "seconds").nth(1)).to_have_text(re.compile(r"\d\sm?s$"))
    page.locator("#costs summary", has_text="Why").click()
    first = page.locator("#costs .seen p").first
    expect(first).to_contain_text(
        re.compile(r"LoRA r\u00a0=\u00a0\d+ (comes closest|takes).* times CDVFT's step")
    )


def test_only_who_measures_can_cancel_and_others_wait(visit: Visit, slow: str) -> None:
    mine, theirs, before = compare(visit), compare(visit), computing()
    for page in (mine, theirs):
        measure_of(page, slow, MANY)
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
    measure_of(page, tiny)
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
