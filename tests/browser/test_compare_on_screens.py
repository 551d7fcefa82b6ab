"""The Compare tab on a desk and on a phone: few words, the point within the screen, nothing wider than it."""

from __future__ import annotations

import re

from comparing import answer, compare, no_names_in_a_figure_overlap, unfold
from playwright.sync_api import Page, expect
from studio import Visit, fill_in, server_calls, two_frames

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


def open_tab(page: Page, name: str) -> None:
    """Until it has its entry in the browser's history, to go back from."""
    page.get_by_role("tab", name=name).click()
    page.wait_for_url(f"**tab={name.lower()}*")


def test_on_a_desk_each_page_has_its_address_is_drawn_once_looked_at_and_makes_its_point_in_few_words(
    visit: Visit,
) -> None:
    page = compare(visit, viewport={"width": 1440, "height": 900})
    asked = server_calls(page)
    assert page.locator("#growth svg, #outcomes svg, #sweep svg, #paper table").count() == 0
    page.get_by_role("link", name="Growth").click()
    page.locator("#growth .chart svg").first.wait_for()
    expect(page.locator("#costs")).to_be_hidden()
    expect(page).to_have_url(re.compile(r"\?tab=compare&page=growth$"))
    assert not asked  # neither runs nor sweeps
    page.get_by_role("link", name="Results").click()
    page.locator("#outcomes .chart svg").first.wait_for()
    page.go_back()
    expect(page.locator("#growth .chart")).to_be_visible()
    expect(page.get_by_role("link", name="Growth")).to_have_attribute("aria-current", "page")
    page.go_forward()
    expect(page.locator("#outcomes .chart")).to_be_visible()
    page.reload()
    expect(page.locator("#outcomes .chart svg").first).to_be_visible()
    expect(page.locator("#growth")).to_be_hidden()
    page.get_by_role("link", name="The paper").click()
    open_tab(page, "Learn")
    page.go_back()  # to a page of another tab
    expect(page.locator("#paper table").first).to_be_visible()
    page.go_back()
    expect(page.locator("#outcomes .chart")).to_be_visible()
    open_tab(page, "Use")
    expect(page.locator("#use-race")).to_contain_text(
        "No race has finished here yet: this one ran elsewhere. Start one on the Train tab"
    )
    expect(page.locator("#use-texts")).to_be_visible()
    open_tab(page, "Train")
    page.go_back()
    expect(page.get_by_role("tab", name="Use")).to_have_attribute("aria-selected", "true")
    page.go_back()
    expect(page.locator("#outcomes .chart")).to_be_visible()
    each_first_screen_makes_its_point_in_few_words(page, 1440, 900)


def test_on_a_phone_points_and_answers_come_first_and_no_line_ends_within_an_amount(visit: Visit) -> None:
    page = compare(visit, viewport={"width": 390, "height": 844})
    said = page.locator("#costs .answer").bounding_box()
    assert said and said["y"] + said["height"] < 500
    each_first_screen_makes_its_point_in_few_words(page, 390, 844)
    page.get_by_role("link", name="Evidence").click()
    no_names_in_a_figure_overlap(page)
    page.get_by_role("link", name="Growth").click()
    the_growths_legend_has_a_line_a_method(page)
    page.get_by_role("link", name="Decide").click()
    the_form_is_one_tap_away(page)
    no_line_ends_between_an_amount_and_its_unit(page)


def each_first_screen_makes_its_point_in_few_words(page: Page, width: int, height: int) -> None:
    """At most 120 words before anything is opened, and what the page is about lies within the screen."""
    points = {"Decide": ("#costs .answers", "tbody td"), "Growth": ("#growth .chart", "svg"),
              "Results": ("#outcomes .chart", "svg"), "The paper": ("#paper table", "td.paper"),
              "Settings that matter": ("#sweep table.heat", "tbody td"),
              "Evidence": ("#evidence .chart", "svg")}  # fmt: skip
    for name, (point, inside) in points.items():
        page.get_by_role("link", name=name).click()
        page.locator(f"{point} {inside}").first.wait_for()
        if name == "Growth":
            page.locator("#growth .readout li").first.wait_for()
            for amount in page.locator("#growth .readout li span").all():
                place = amount.bounding_box()
                assert place is None or place["x"] + place["width"] <= width - 16
        if name == "Evidence":
            expect(page.locator("#evidence .js-plotly-plot")).to_have_count(5)
        if name == "Settings that matter":
            expect(page.locator("#sweep .status")).to_be_empty()
        words = page.locator("#tab-compare").evaluate(WORDS)
        assert 10 < len(words) <= 120, (name, len(words), " ".join(words))
        box = page.locator(point).first.bounding_box()
        assert box and box["y"] + box["height"] <= height, (name, box)
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width


def the_growths_legend_has_a_line_a_method(page: Page) -> None:
    page.locator("#growth .readout li b").first.wait_for()
    # In one look, once all are seen: the numbers are drawn anew once they are measured.
    lines = page.wait_for_function(
        """() => {
          const lines = [...document.querySelectorAll("#growth .readout li")].map((line) => {
            const parts = [...line.children].map((part) => part.getBoundingClientRect());
            const middles = parts.filter(({ height }) => height).map(({ top, bottom }) => (top + bottom) / 2);
            const end = Math.round(line.querySelector("b").getBoundingClientRect().right);
            return { text: line.innerText, middles, end };
          });
          return lines.every(({ middles }) => middles.length) && lines;
        }"""
    ).json_value()
    assert len(lines) > 2
    for line in lines:
        assert max(line["middles"]) - min(line["middles"]) < 4, line["text"]
    assert len({line["end"] for line in lines}) == 1, "numbers stand one under the other"


def the_form_is_one_tap_away(page: Page) -> None:
    settings = page.get_by_role("button", name=re.compile("^Settings"))
    expect(settings).to_have_attribute("aria-expanded", "false")
    expect(page.locator("#cost-model")).to_be_hidden()
    unfold(page)
    expect(settings).to_have_attribute("aria-expanded", "true")
    fill_in(page.locator("#cost-m input"), "3")
    expect(answer(page, "parameters").first).to_have_text("92,160")
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
    fill_in(page.locator("#cost-m input"), "2")
    expect(answer(page, "parameters").first).to_have_text("55,296")
    settings.click()
    expect(page.locator("#cost-model")).to_be_hidden()


def no_line_ends_between_an_amount_and_its_unit(page: Page) -> None:
    for name, part in (("Decide", "#costs"), ("Growth", "#growth"), ("Settings that matter", "#sweep")):
        page.get_by_role("link", name=name).click()
        page.locator(f"{part} summary").first.wait_for()
        for fold in page.locator(f"{part} summary").all():
            fold.click()
        if part == "#growth":
            expect(page.locator("#growth table.numbers")).to_contain_text("3.94 MFLOP")
        for width in (390, 320):
            page.set_viewport_size({"width": width, "height": 844})
            two_frames(page)
            assert page.evaluate(BROKEN_AMOUNTS) == [], (name, width)
