"""How the page looks: few words at first, few sizes of text, its own faces, colours that mean one thing."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect
from studio import Visit
from visitors import SIZE

pytestmark = pytest.mark.nightly

SEEN = """(everywhere) => {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), seen = [];
  for (let node; (node = walker.nextNode()); ) {
    const holder = node.parentElement;
    if (!node.data.trim() || holder.closest(".hidden-text, legend, script, style, .katex")) continue;
    if (!holder.checkVisibility({ visibilityProperty: true })) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    const visible = [...range.getClientRects()].some(({ left, top, width, height }) => {
      if (width <= 1 || height <= 1) return false;
      if (everywhere) return true;
      if (top < 0 || left < 0 || top + height > innerHeight || left > innerWidth) return false;
      const at = document.elementFromPoint(left + Math.min(4, width / 2), top + height / 2);
      return holder.closest("svg") || at?.contains(node) || holder.contains(at)
        || at?.closest("label")?.contains(node);
    });
    if (visible) seen.push([node.data.trim(), getComputedStyle(holder).fontSize]);
  }
  return seen;
}"""


def words(page: Page) -> list[str]:
    """What is read in the window without scrolling; a number is one, a sign is none."""
    texts = " ".join(text for text, _ in page.evaluate(SEEN, False))
    return [word for word in texts.split() if any(letter.isalnum() for letter in word)]


def test_the_first_screen_has_few_words_few_sizes_of_text_and_colours_that_mean_one_thing(
    visit: Visit,
) -> None:
    page = visit(viewport={"width": 1440, "height": 900})
    expect(page.locator("#start")).to_be_enabled()
    expect(page.locator("#counts .outlook")).to_be_visible()
    page.locator("#run .chart svg").first.wait_for()
    read = words(page)
    assert len(read) <= 120, f"{len(read)} words: {' '.join(read)}"
    its_faces_come_with_it(page)
    no_method_has_the_colour_of_positive_or_negative_numbers(page)
    a_page_has_at_most_five_sizes_of_text_and_shows_nothing_hidden(page)


PAGES = {
    "Train": "#run .chart svg",
    "Compare": "#costs .answer",
    "Use": "#use-race",
    "Factors": ".factors[data-compared]",
    "Learn": "#lesson-rank, .lesson-text",
}


SHOWN_THOUGH_HIDDEN = """() => {
  const nodes = [...document.querySelectorAll(".part *:not(svg, svg *)")];
  const before = nodes.map(({ hidden }) => hidden);
  for (const node of nodes) node.hidden = true;
  const shown = nodes.filter((node) => getComputedStyle(node).display !== "none");
  nodes.forEach((node, place) => (node.hidden = before[place]));
  return [...new Set(shown.map(({ tagName, className }) => `${tagName} ${className}`))];
}"""


def a_page_has_at_most_five_sizes_of_text_and_shows_nothing_hidden(page: Page) -> None:
    page.set_viewport_size(SIZE)
    for tab, ready in PAGES.items():
        page.get_by_role("tab", name=tab, exact=True).click()
        page.locator(ready).first.wait_for()
        sizes: dict[str, str] = {}
        for text, size in page.evaluate(SEEN, True):
            sizes.setdefault(size, text[:30])
        assert 0 < len(sizes) <= 5, (tab, sizes)
    for width in (1280, 600, 320):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate(SHOWN_THOUGH_HIDDEN) == []
        names = page.locator("#tabs button[role=tab]:visible").evaluate_all(
            "(all) => all.map((one) => [one.innerText, one.scrollWidth - one.clientWidth])"
        )
        assert len(names) == len(PAGES) and all(beyond <= 1 for _, beyond in names), (width, names)


def its_faces_come_with_it(page: Page) -> None:
    assert page.evaluate("() => document.fonts.ready.then(() => document.fonts.check('15px Inter'))")
    fetched = page.evaluate(
        """() => performance.getEntriesByType("resource").filter(({ name }) => name.endsWith(".woff2"))
             .map(({ name, transferSize, decodedBodySize }) => [new URL(name).origin, decodedBodySize])"""
    )
    assert {origin for origin, _ in fetched} == {page.evaluate("() => location.origin")}
    assert sum(size for _, size in fetched) < 150_000


def no_method_has_the_colour_of_positive_or_negative_numbers(page: Page) -> None:
    for dark in (True, False):
        page.evaluate("(dark) => document.body.classList.toggle('dark', dark)", dark)
        colours = page.evaluate(
            """() => {
              const style = getComputedStyle(document.querySelector(".gradio-container"));
              const names = [...document.querySelectorAll(".method-chips input")].map(({ name }) => name);
              const of = (name) => style.getPropertyValue(name).trim().toUpperCase();
              const methods = names.map((name) => of(`--method-${name}`));
              return { methods, signs: ["--positive", "--negative"].map(of) };
            }"""
        )
        assert len({*colours["signs"]}) == 2 and "" not in colours["signs"]
        assert len(colours["methods"]) >= 6 and not {*colours["methods"]} & {*colours["signs"]}
