"""The real page in Chromium, over a store of the test's own and a training that takes seconds."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import Iterator
from typing import Any

import failures
import fake_training
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from sources import FAILURES
from studio import FLAGS, Hold, Server, Visit
from visitors import Visitors
from waiting import pace

from cdvft_app.executors.queue import warm_up
from cdvft_app.ui.factors import tab as factors

SECONDS = 60  # a page's patience on an idle machine: the first answers of a new server load torch
TRAIN = "#train[aria-busy=false]"  # the Train tab, once its form is filled
LONGEST = 0.5  # share of a test's time, whose end keeps nothing of its pages
LOOP = pytest.StashKey[asyncio.AbstractEventLoop | None]()
expect.set_options(timeout=1000 * SECONDS)


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> float:
    """Milliseconds that every wait of the test has; more on a busy machine, as much as that is slower now."""
    slower_by = pace()
    # Whose first question lets torch be imported, for which the others wait.
    monkeypatch.setattr(factors, "PATIENCE", factors.PATIENCE * slower_by)
    marker = request.node.get_closest_marker("timeout")
    test_seconds = marker.args[0] if marker else float(request.config.getini("timeout"))
    allowed = 1000 * min(SECONDS * slower_by, LONGEST * test_seconds)
    expect.set_options(timeout=allowed)
    return allowed


@pytest.fixture(scope="module", autouse=True)
def hub_offline() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.delenv("SPACE_ID", raising=False)
        yield


@pytest.fixture(scope="session")
def libraries() -> None:
    """Torch and its like, which the page imports by itself, but not always within a test's patience."""
    warm_up().join()


@pytest.fixture(scope="module")
def server(libraries: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("runs"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RUNS_DIR", str(running.folder))  # data of one's own lies there
        # A server that ends empties it: in one that all share, also of a file that another was just given.
        patch.setenv("GRADIO_TEMP_DIR", str(running.folder.with_name("gradio")))
        running.start()
        yield running
        running.stop()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    found = filter(None, map(shutil.which, ("chromium-headless-shell", "chromium", "chromium-browser")))
    chromium = os.environ.get("CHROMIUM") or next(found, None)
    assert chromium, "The browser tests need Chromium: `make chromium`, or CHROMIUM=/path/to/it."
    with sync_playwright() as playwright:
        with_flags = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        loop = asyncio.get_running_loop()
        yield with_flags
        asyncio._set_running_loop(loop)
        with_flags.close()


def pytest_itemcollected(item: pytest.Item) -> None:
    item.add_marker(pytest.mark.browser)


# Playwright leaves its loop running in this thread, where tests of other folders have loops of their own.
@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    asyncio._set_running_loop(item.session.stash.get(LOOP, None))


@pytest.hookimpl(trylast=True, wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    yield
    item.session.stash[LOOP] = asyncio._get_running_loop()
    asyncio._set_running_loop(None)


@pytest.fixture(scope="session")
def seen_in_browser() -> list[str]:
    """Everything that no page may do, by any page since the test began."""
    return []


@pytest.fixture(scope="session")
def visitors(browser: Browser, seen_in_browser: list[str]) -> Visitors:
    return Visitors(browser, seen_in_browser)


@pytest.fixture
def troubles(seen_in_browser: list[str]) -> Iterator[list[str]]:
    """Everything that no page may do; a test fails on what is left in it."""
    seen_in_browser.clear()
    yield seen_in_browser
    assert not seen_in_browser, "\n".join(seen_in_browser)


@pytest.fixture
def hold(monkeypatch: pytest.MonkeyPatch) -> Hold:
    """`hold(20)` lets every training wait after step 20; `hold(None)` lets it go on."""
    return lambda step: monkeypatch.setattr(fake_training, "hold_at", step)


FAILED = pytest.StashKey[pytest.TestReport]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    if report.failed:
        item.stash[FAILED] = report
    elif report.when == "setup" and FAILED in item.stash:  # a second try
        del item.stash[FAILED]
    return report


@pytest.fixture
def visit(
    server: Server,
    visitors: Visitors,
    troubles: list[str],
    patience: float,
    request: pytest.FixtureRequest,
) -> Iterator[Visit]:
    """`visit(path, viewport=, color_scheme= ...)`: a page of a new visitor, or in the browser of `context`.

    It is handed over when `ready` is seen: by default, when the Train tab may be used.
    """

    def go(
        path: str = "",
        context: BrowserContext | None = None,
        ready: str = TRAIN,
        **options: Any,
    ) -> Page:
        page = context.new_page() if context else visitors.new(server.url, **options)
        page.context.set_default_timeout(patience)
        page.goto(server.url + path)
        page.locator(ready).first.wait_for()
        if ready == TRAIN:  # the first answer to the form, which follows its filling in
            page.locator("#start:enabled, #counts .problem").first.wait_for(state="attached")
        return page

    yield go
    report = request.node.stash.get(FAILED, None)
    if report or troubles:
        name = re.sub(r"[^\w.-]+", "-", request.node.nodeid.removeprefix("tests/browser/"))
        failures.keep(FAILURES / name, report, visitors, server)
    visitors.leave()
