"""How long the page works for a frame: while each lesson's machine is dragged, and while Factors plays.

    python -m benchmarks.frames [--note TEXT] [--only NAME ...]

Chromium (CHROMIUM=/path/to/it where it is not on the PATH) drags the first handle of each lesson in a curve,
plays a run of each method, of d = 768 with 50 snapshots, and drags the slider of one. A task's time is the
thread's own, by the browser's trace, so that other programs hardly change it; the gaps between frames are by
the clock, and do suffer from them. Writes results/frames.json, unless only what has a NAME in its own is
measured. Where a task took more than 50 ms, what ran in it is printed.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Browser, Locator, Page, sync_playwright

from benchmarks.browser import PATIENCE, WINDOW, chromium
from benchmarks.load import RESULTS, served
from benchmarks.machine import machine, write_record
from cdvft_app import events
from cdvft_app.settings import RunSettings
from cdvft_app.store import snapshots
from cdvft_app.store.runs import RunStore
from cdvft_app.ui.learn.lesson_texts import LESSONS

D, SNAPSHOTS = 768, 50
MODULE = "encoder.layer.0.attention.self.query"
MOVES = 90  # of the pointer in a drag, one a frame
TRACED = ["toplevel", "__metadata", "devtools.timeline"]
MOST = 50  # ms of the page's thread that a frame may take
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
    parser.add_argument("--only", nargs="+", default=[""], metavar="NAME")
    arguments = parser.parse_args()
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        store = RunStore(Path(folder))
        runs = {title: trained(store, *drawn) for title, drawn in RUNS.items()}
        with served(Path(folder)) as (address, _), sync_playwright() as playwright:
            browser = chromium(playwright)
            for name, measure in {
                **{
                    f"drag in {lesson.key}": _lesson(address, lesson.key)
                    for lesson in LESSONS
                    if lesson.key != "start"  # where zeros are ticked
                },
                "one column slides": _assembly(address),
                **{f"play {title}, d = {D}": _theatre(address, run, _play) for title, run in runs.items()},
                f"drag the step, d = {D}": _theatre(address, runs["CDVFT"], _drag_step),
            }.items():
                if any(part in name for part in arguments.only):
                    found[name] = measure(browser)
                    print(f"{name:28}", found[name], flush=True)
            browser.close()
    if arguments.only != [""]:
        return
    record = {"machine": machine(), "note": arguments.note, "load": os.getloadavg()[0], "measured": found}
    write_record(RESULTS / "frames.json", record)


def _normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape)


def _places(count: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.stack([rng.integers(0, D, count), rng.integers(0, D, count)]).astype(np.int32)


# Of each run its method's settings and a layer's vectors; the one that is named first grows from zero.
RUNS: dict[str, tuple[dict[str, Any], dict[str, np.ndarray]]] = {
    "CDVFT": (
        {"method": "cdvft"},
        {
            "diagonal.1": _normal(D),
            "circulant.0": _normal(1, 1, D) * D**-0.5,
            "diagonal.0": _normal(D),
        },
    ),
    "m = 3": (
        {"method": "cdvft", "m": 3},
        {
            "diagonal.2": _normal(D),
            **{f"circulant.{k}": _normal(1, 1, D) * D**-0.5 for k in (0, 1)},
            **{f"diagonal.{k}": _normal(D) for k in (0, 1)},
        },
    ),
    "LoRA": ({"method": "lora", "r": 8}, {"B": _normal(D, 8), "A": _normal(8, D)}),
    "FourierFT": (
        {"method": "fourierft", "n": 1000},
        {"spectrum": _normal(1000), "indices": _places(1000)},
    ),
    "C3A": ({"method": "c3a", "block_size": D}, {"kernel": _normal(1, 1, D)}),
}


def trained(store: RunStore, method: dict[str, Any], vectors: dict[str, np.ndarray]) -> str:
    """A finished run whose layer has these vectors, the first of them growing from zero."""
    chosen = {"method": method, "model": "roberta_base", "target_modules": ["attention.self.query"]}
    settings = RunSettings.model_validate(chosen)
    (run,) = store.create([settings], "benchmark", "Frames", process="1:1")
    last, folder = SNAPSHOTS - 1, store.folder(run.id)
    store.append(run.id, events.Started(last, 1, 1, 1, "cpu", "float32", 9, 9, "accuracy"))
    growing = next(iter(vectors))
    for step in range(SNAPSHOTS):
        if step:
            store.append(run.id, events.Step(step, 1.0, 1 / step, 0.1, None, None))
        now = vectors | {growing: vectors[growing] * step / last}
        named = {
            f"{MODULE}/{name}": one if one.dtype == np.int32 else one.astype(np.float32)
            for name, one in now.items()
        }
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
    page = browser.new_context(viewport=WINDOW).new_page()
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
    every = main_thread_tasks(trace)
    tasks = [one["tdur"] / 1000 for one in every]
    for one in every:
        if one["tdur"] > 1000 * MOST:
            print(f"  {one['tdur'] / 1000:.0f} ms: {', '.join(inside(trace, one))}", flush=True)
    gaps = [after - before for before, after in itertools.pairwise(frames)]
    return {
        "frames": len(frames),
        "longest_task": round(max(tasks), 1),
        "work_a_frame": round(sum(tasks) / len(frames), 1),
        "median_gap": round(statistics.median(gaps), 1),
        "longest_gap": round(max(gaps), 1),
    }


def inside(trace: list[dict[str, Any]], task: dict[str, Any]) -> list[str]:
    """What took most of a task, the longest first, with its ms and where in the scripts it stands."""
    end = task["ts"] + task["dur"]
    found = [
        event
        for event in trace
        if (event["pid"], event["tid"]) == (task["pid"], task["tid"])
        and event is not task
        and task["ts"] <= event["ts"] < end
        and event.get("dur", 0) > 5000
    ]
    return [
        f"{event['name']} {event['dur'] / 1000:.0f} "
        + ":".join(
            str(event.get("args", {}).get("data", {}).get(name, ""))
            for name in ("functionName", "url", "lineNumber")
        )
        for event in sorted(found, key=lambda event: -event["dur"])[:6]
    ]


def main_thread_tasks(trace: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each task, with its thread time in microseconds as `tdur`, of the busiest main thread: that of the page
    that was traced."""
    threads = {
        (event["pid"], event["tid"])
        for event in trace
        if event["name"] == "thread_name" and event["args"]["name"] == "CrRendererMain"
    }
    tasks: dict[tuple[int, int], list[dict[str, Any]]] = {thread: [] for thread in threads}
    for event in trace:
        thread = event["pid"], event["tid"]
        if thread in tasks and event["name"].endswith("RunTask") and "tdur" in event:
            tasks[thread].append(event)
    return max(tasks.values(), key=lambda own: sum(task["tdur"] for task in own))


if __name__ == "__main__":
    main()
