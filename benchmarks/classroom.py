"""A lesson of a whole class behind one address, on a public server: how long thirty browsers wait.

    python -m benchmarks.classroom [--pupils 30] [--note TEXT]

Chromium (CHROMIUM=/path/to/it where it is not on the PATH) opens the page once for the teacher and once for
each pupil, in contexts of their own. The teacher starts a class; all pupils open its address at the same
time, are led to a lesson, vote, see the votes once the teacher reveals, answer a sealed question, hand in
their state, and are led to the lab, where all press Fit: one fit answers them. Each step is timed until the
last of them has come through it. Browsers and server share this machine, so that the times are upper bounds.
It ends with an error where any request of a page was refused, or failed. Writes results/classroom.json.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import re
import secrets
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
from playwright.sync_api import Browser, Page, Response, ViewportSize, expect, sync_playwright

from benchmarks.browser import WINDOW, chromium
from benchmarks.load import RESULTS, served
from benchmarks.machine import machine, write_record

PATIENCE = 900_000  # milliseconds: browsers share the machine
PHONE: ViewportSize = {"width": 390, "height": 844}
LESSON = "rank"
VOTE = 4  # where the scale of its first question stands


class Class:
    """The teacher's page and the pupils', and what their server answered."""

    def __init__(self, browser: Browser, address: str, pupils: int) -> None:
        self.refused: list[str] = []
        self.shared: list[Response] = []
        self.milliseconds: list[float] = []  # from a request until its answer began
        self.teacher = self._page(browser, WINDOW)
        self.pupils = [self._page(browser, PHONE) for _ in range(pupils)]
        self.teacher.goto(f"{address}/?tab=learn&lesson=teaching")
        self.teacher.get_by_role("button", name="Start a class").click()
        code = self.teacher.locator(".class-code")
        expect(code).to_have_text(re.compile("^[A-Z]{5}$"))
        self.code = code.inner_text()
        self.address = f"{address}/?tab=learn&class={self.code}"

    def _page(self, browser: Browser, size: ViewportSize) -> Page:
        context = browser.new_context(viewport=size)
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.on("response", self._answered)
        page.on("requestfailed", lambda request: self._failed(request.url, request.failure or ""))
        return page

    def _answered(self, response: Response) -> None:
        if response.status >= 400:
            self.refused.append(f"{response.status} {response.url}")
        if response.url.endswith("/cdvft"):  # what several parts asked; a handler may not wait for its body
            self.shared.append(response)
        if re.search("/cdvft(/learn/class|$)", response.url):
            self.milliseconds.append(response.request.timing["responseStart"])

    def _failed(self, url: str, why: str) -> None:
        if "ERR_ABORTED" not in why:  # asked by a page that is left
            self.refused.append(f"{why} {url}")

    def come(self) -> None:
        for page in self.pupils:
            page.goto(self.address, wait_until="commit")
        for page in self.pupils:
            expect(page.locator("#class-bar")).to_contain_text(f"Class {self.code}. In its table you are")

    def follow(self) -> None:
        self._show("rank machine")
        for page in self.pupils:
            expect(page.locator(f"#lesson-{LESSON} .question button.see").first).to_be_visible()

    def _show(self, lesson: str) -> None:
        self.teacher.get_by_role("navigation", name="Lessons").get_by_role("link", name=lesson).click()
        self.teacher.get_by_role("button", name="Show this to all").click()

    def vote(self) -> None:
        for page in self.pupils:
            page.locator(f"#lesson-{LESSON} .question:visible").get_by_role("button", name="See").click()
        for page in self.pupils:
            said = page.locator(f"#lesson-{LESSON} .question:visible .feedback")
            expect(said).to_contain_text("Your vote is in.")
        self._histogram(self.teacher)

    def reveal(self) -> None:
        self.teacher.get_by_role("button", name="Reveal this question").click()
        for page in self.pupils:
            self._histogram(page)

    def _histogram(self, page: Page) -> None:
        expect(page.locator("#class-bar .histogram li")).to_have_text([f"{VOTE}{len(self.pupils)}"])

    def answer(self) -> None:
        for page in self.pupils:
            page.locator("#class-bar").get_by_role("button", name="Sealed question: rank").click()
        for page in self.pupils:
            bar = page.locator("#class-bar")
            bar.get_by_label("Your answer").fill("0")
            bar.get_by_role("button", name="Answer", exact=True).click()
        for page in self.pupils:
            expect(page.locator("#class-bar")).to_contain_text("Not quite. It is ")

    def hand_in(self) -> None:
        for page in self.pupils:
            page.get_by_role("button", name="Hand in this state").click()
        for page in self.pupils:
            expect(page.locator("#class-bar").get_by_label("Receipt")).to_have_value(re.compile(r"\w+\.\w+"))

    def fit(self) -> None:
        self._show("Lab")
        for page in self.pupils:
            page.locator("#lab-fit").click()
        said = [page.locator("#lab-view .status") for page in self.pupils]
        for status in said:
            expect(status).to_have_text(re.compile("^Done in"))
        if len({status.inner_text() for status in said}) > 1:
            self.refused.append("The same fit was computed more than once.")

    def table(self) -> int:
        """The number of rows in the teacher's table."""
        with self.teacher.expect_download() as taken:
            self.teacher.get_by_role("navigation", name="Lessons").get_by_role(
                "link", name="For teachers"
            ).click()
            self.teacher.get_by_role("button", name="Table as CSV").click()
        return len([*csv.DictReader(io.StringIO(taken.value.path().read_text()))])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pupils", type=int, default=30)
    parser.add_argument("--note", default="", help="how the machine was, for the record")
    arguments = parser.parse_args()
    expect.set_options(timeout=PATIENCE)
    public = {"CDVFT_PUBLIC": "1", "CDVFT_CLASS_KEY": secrets.token_hex(16)}
    with (
        tempfile.TemporaryDirectory() as folder,
        served(Path(folder), settings=public) as (address, server),
        sync_playwright() as playwright,
    ):
        browser = chromium(playwright)
        began = server.cpu_times()
        own = Class(browser, address, arguments.pupils)
        seconds = {
            act.__name__: _timed(act)
            for act in (own.come, own.follow, own.vote, own.reveal, own.answer, own.hand_in, own.fit)
        }
        rows, spent = own.table(), server.cpu_times()
        for response in own.shared:
            own.refused += [
                f"{one['status']} {response.url}" for one in response.json() if one["status"] >= 400
            ]
        browser.close()
        megabytes = round(psutil.Process(server.pid).memory_info().rss / 1e6)
    if own.refused or rows != 2 * arguments.pupils:
        raise SystemExit("\n".join([f"The table has {rows} rows.", *own.refused[:20]]))
    record: dict[str, Any] = {
        "machine": machine(),
        "note": arguments.note,
        "load": os.getloadavg()[0],
        "pupils": arguments.pupils,
        "seconds_to_the_last": seconds,
        "requests": len(own.milliseconds),
        "refused": 0,
        "milliseconds_to_an_answer": {
            "median": round(statistics.median(own.milliseconds), 1),
            "p95": round(statistics.quantiles(own.milliseconds, n=20)[18], 1),
            "longest": round(max(own.milliseconds), 1),
        },
        "server_cpu_seconds": round(spent.user + spent.system - began.user - began.system, 1),
        "server_mb": megabytes,
    }
    print(json.dumps(record, indent=1))
    write_record(RESULTS / "classroom.json", record)


def _timed(act: Callable[[], None]) -> float:
    began = time.monotonic()
    act()
    seconds = round(time.monotonic() - began, 1)
    print(f"{act.__name__}: {seconds} s", flush=True)
    return seconds


if __name__ == "__main__":
    main()
