"""How long after a click on Learn or Factors something can be dragged there, and what opening Learn asks for.

    python -m benchmarks.opening [--rounds 5] [--note TEXT]

Chromium (CHROMIUM=/path/to/it where it is not on the PATH) opens the page in a context of its own each round,
waits for Train, clicks on the tab, and looks at each frame whether the first handle can be dragged. A first
visit, by which the server loads its libraries, does not count. Requests and bytes as they travel are those of
`?tab=learn`, beside those of an empty page of the same Gradio. Writes results/opening.json.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gradio as gr
from playwright.sync_api import Browser, Locator, Page, sync_playwright

from benchmarks.browser import PATIENCE, WINDOW, Traffic, chromium
from benchmarks.load import RESULTS, served
from benchmarks.machine import machine, write_record

MOVES = 90  # of the pointer, one per frame
HANDLES = {
    "learn": "#lesson-circulant [role=slider]",
    "factors": ".factors[data-layer] .player input",
}
PICTURES = "() => [...document.querySelectorAll('canvas')].map((one) => one.toDataURL()).join()"
# Milliseconds from the click to the frame in which the handle is there.
UNTIL_A_HANDLE = """async ([tab, handle]) => {
  const began = performance.now();
  document.querySelector(`#tab-${tab}-button`).click();
  for (;;) {
    const at = await new Promise(requestAnimationFrame);
    if (at - began > 120_000) throw new Error(`No ${handle}`);
    if (document.querySelector(handle)?.getClientRects().length) return at - began;
  }
}"""


def drag(page: Page, handle: Locator) -> None:
    """Press in the handle's middle, and move in a curve about it."""
    handle.scroll_into_view_if_needed(timeout=PATIENCE)
    box = handle.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    for move in range(MOVES):
        turned = 2 * math.pi * move / MOVES
        page.mouse.move(x + 80 * math.sin(turned), y + 40 * math.sin(2 * turned))
        page.evaluate("() => new Promise(requestAnimationFrame)")
    page.mouse.move(x + 30, y - 20)  # the curve ends where it began
    page.mouse.up()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--note", default="", help="how the machine was, for the record")
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        served(Path(folder)) as (address, _),
        empty_page() as empty,
        sync_playwright() as playwright,
    ):
        browser = chromium(playwright)
        found = {tab: _waits(browser, address, tab, arguments.rounds) for tab in HANDLES}
        asked = {"learn": f"{address}/?tab=learn", "empty": empty}
        requests = {name: _asked(browser, one) for name, one in asked.items()}
        browser.close()
    record = {
        "machine": machine(),
        "gradio": gr.__version__,
        "note": arguments.note,
        "load": os.getloadavg()[0],
        "milliseconds_to_first_drag": found,
        "opening": requests,
    }
    print(json.dumps(record, indent=1))
    write_record(RESULTS / "opening.json", record)


@contextmanager
def empty_page() -> Iterator[str]:
    """The address of a page of Gradio with nothing on it."""
    with gr.Blocks(analytics_enabled=False) as page:
        pass
    _, address, _ = page.launch(prevent_thread_lock=True, ssr_mode=False, footer_links=[], quiet=True)
    try:
        yield address
    finally:
        page.close(verbose=False)


def _waits(browser: Browser, address: str, tab: str, rounds: int) -> dict[str, Any]:
    each = [_wait(browser, address, tab) for _ in range(1 + rounds)][1:]
    return {"median": round(statistics.median(each)), "each": [round(one) for one in each]}


def _wait(browser: Browser, address: str, tab: str) -> float:
    page = browser.new_context(viewport=WINDOW).new_page()
    page.goto(f"{address}/?run=nothing", timeout=PATIENCE)
    page.locator("#start:enabled").wait_for(timeout=PATIENCE)
    page.locator("#run [data-settled]").wait_for(timeout=PATIENCE)
    page.wait_for_load_state("load")
    milliseconds: float = page.evaluate(UNTIL_A_HANDLE, [tab, HANDLES[tab]])
    before = page.evaluate(PICTURES)
    drag(page, page.locator(HANDLES[tab]).first)
    if page.evaluate(PICTURES) == before:
        raise RuntimeError(f"Nothing changed while the first handle of {tab} was dragged.")
    page.context.close()
    return milliseconds


def _asked(browser: Browser, address: str) -> dict[str, float]:
    """Requests, and kilobytes as they travel, until nothing has come for a few seconds."""
    page = browser.new_context(viewport=WINDOW).new_page()
    traffic = Traffic(page.context.new_cdp_session(page))
    page.goto(address, timeout=PATIENCE)
    seen = -1
    while seen != traffic.loaded:
        seen = traffic.loaded
        page.wait_for_timeout(5000)
    page.context.close()
    return traffic.counts()


if __name__ == "__main__":
    main()
