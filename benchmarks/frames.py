"""How long the page works for a frame: while each lesson's machine is dragged, and while Factors plays.

    python -m benchmarks.frames [--note TEXT]

Chromium (CHROMIUM=/path/to/it where it is not on the PATH) drags the first handle of each lesson in a curve,
plays a run of d = 768 with 50 snapshots, and drags its slider. A task's time is the thread's own, by the
browser's trace, so that other programs hardly change it; the gaps between frames are by the clock, and do
suffer from them. Writes results/frames.json.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import shutil
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Browser, Locator, Page, Playwright, sync_playwright

from benchmarks.load import RESULTS, served
from benchmarks.machine import machine
from cdvft_app import events
from cdvft_app.settings import RunSettings
from cdvft_app.store import snapshots
from cdvft_app.store.runs import RunStore
from cdvft_app.ui.learn.lesson_texts import LESSONS

D, SNAPSHOTS = 768, 50
MODULE = "encoder.layer.0.attention.self.query"
MOVES = 90  # of the pointer in a drag, one a frame
PATIENCE = 120_000  # ms
TRACED = ["toplevel", "__metadata"]
COUNT_FRAMES = """() => {
  window.frames_at = [];
  const note = (now) => { window.frames_at.push(now); window.noting = requestAnimationFrame(note); };
  window.noting = requestAnimationFrame(note);
}"""
SEEN = "(part) => part.innerText + [...part.querySelectorAll('canvas')].map((one) => one.toDataURL())"
PLAY = "document.querySelector('.factors .play').textContent"
END_FRAMES = "() => { cancelAnimationFrame(window.noting); return window.frames_at; }"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--note", default="", help="how the machine was, for the record")
    arguments = parser.parse_args()
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        run = trained(RunStore(Path(folder)))
        with served(Path(folder)) as (address, _), sync_playwright() as playwright:
            browser = chromium(playwright)
            for name, measure in {
                **{
                    f"drag in {lesson.key}": _lesson(address, lesson.key)
                    for lesson in LESSONS
                    if lesson.key != "start"  # where zeros are ticked
                },
                "one column slides": _assembly(address),
                f"play, d = {D}": _theatre(address, run, _play),
                f"drag the step, d = {D}": _theatre(address, run, _drag_step),
            }.items():
                found[name] = measure(browser)
                print(f"{name:24}", found[name], flush=True)
            browser.close()
    record = {"machine": machine(), "note": arguments.note, "load": os.getloadavg()[0], "measured": found}
    (RESULTS / "frames.json").write_text(json.dumps(record, indent=1) + "\n")


def chromium(playwright: Playwright) -> Browser:
    found = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    return playwright.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])


def trained(store: RunStore) -> str:
    """A finished CDVFT run whose layer has drawn vectors, the output diagonal growing from zero."""
    rng = np.random.default_rng(0)
    chosen = {"method": "cdvft", "model": "roberta_base", "target_modules": ["attention.self.query"]}
    settings = RunSettings.model_validate(chosen)
    (run,) = store.create([settings], "benchmark", "Frames", process="1:1")
    last, folder = SNAPSHOTS - 1, store.folder(run.id)
    store.append(run.id, events.Started(last, 1, 1, 1, "cpu", "float32", 9, 9, "accuracy"))
    c = rng.normal(size=(1, 1, D)) * D**-0.5
    a1, a3 = rng.normal(size=D), rng.normal(size=D)
    for step in range(SNAPSHOTS):
        if step:
            store.append(run.id, events.Step(step, 1.0, 1 / step, 0.1, None, None))
        vectors = {"diagonal.0": a1, "circulant.0": c, "diagonal.1": a3 * step / last}
        named = {f"{MODULE}/{name}": vector.astype(np.float32) for name, vector in vectors.items()}
        snapshots.write(folder, step, named)
    done = events.Done("finished", last, 1.0, "accuracy", 0.5, 0.1, 1.0, 1, None, folder)
    store.append(run.id, done)
    return run.id


def _lesson(address: str, key: str) -> Callable[[Browser], dict[str, float]]:
    def measure(browser: Browser) -> dict[str, float]:
        page = _page(browser, f"{address}/?tab=learn&lesson={key}")
        lesson = page.locator(f"#lesson-{key}")
        lesson.get_by_role("button", name="Show me without a guess").click(timeout=PATIENCE)
        handle = lesson.locator(".lesson-play").get_by_role("slider").first
        page.wait_for_timeout(1500)  # what the answer reveals moves into its place
        before = lesson.evaluate(SEEN)
        found = _traced(browser, page, lambda: drag(page, handle))
        if lesson.evaluate(SEEN) == before:
            raise RuntimeError(f"Nothing changed while the first handle of lesson {key} was dragged.")
        page.context.close()
        return found

    return measure


def _assembly(address: str) -> Callable[[Browser], dict[str, float]]:
    def measure(browser: Browser) -> dict[str, float]:
        page = _page(browser, f"{address}/?tab=learn")
        column = page.get_by_role("slider", name="The column that slides")
        page.wait_for_function(
            "(one) => one.getAttribute('aria-valuenow') === '8'", arg=column.element_handle()
        )

        def play() -> None:
            page.get_by_role("button", name="Slide again").click()
            page.wait_for_timeout(5000)

        found = _traced(browser, page, play)
        page.context.close()
        return found

    return measure


def _theatre(address: str, run: str, act: Callable[[Page], None]) -> Callable[[Browser], dict[str, float]]:
    def measure(browser: Browser) -> dict[str, float]:
        page = _page(browser, f"{address}/?run=nothing&tab=factors&factors={run}")
        page.locator(".factors[data-compared]").wait_for(timeout=PATIENCE)
        found = _traced(browser, page, lambda: act(page))
        page.context.close()
        return found

    return measure


def _play(page: Page) -> None:
    # To look the button up by its role while one waits would take the page's thread 40 ms each time.
    page.locator(".factors .play").click()
    page.wait_for_function(f"{PLAY} === 'Pause'")
    page.wait_for_function(f"{PLAY} === 'Play'", timeout=PATIENCE)


def _drag_step(page: Page) -> None:
    drag(page, page.get_by_role("slider", name="Training step"))


def _page(browser: Browser, address: str) -> Page:
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.goto(address, timeout=PATIENCE)
    return page


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


def _traced(browser: Browser, page: Page, act: Callable[[], None]) -> dict[str, float]:
    """What the main thread of the page did meanwhile; ms."""
    browser.start_tracing(page=page, categories=TRACED)
    page.evaluate(COUNT_FRAMES)
    act()
    frames = page.evaluate(END_FRAMES)
    trace = json.loads(browser.stop_tracing())["traceEvents"]
    tasks = main_thread_tasks(trace)
    gaps = [after - before for before, after in itertools.pairwise(frames)]
    return {
        "frames": len(frames),
        "longest_task": round(max(tasks), 1),
        "work_a_frame": round(sum(tasks) / len(frames), 1),
        "median_gap": round(statistics.median(gaps), 1),
        "longest_gap": round(max(gaps), 1),
    }


def main_thread_tasks(trace: list[dict[str, Any]]) -> list[float]:
    """Thread time in ms of each task of the busiest main thread: that of the page that was traced."""
    threads = {
        (event["pid"], event["tid"])
        for event in trace
        if event["name"] == "thread_name" and event["args"]["name"] == "CrRendererMain"
    }
    times: dict[tuple[int, int], list[float]] = {thread: [] for thread in threads}
    for event in trace:
        thread = event["pid"], event["tid"]
        if thread in times and event["name"].endswith("RunTask") and "tdur" in event:
            times[thread].append(event["tdur"] / 1000)
    return max(times.values(), key=sum)


if __name__ == "__main__":
    main()
