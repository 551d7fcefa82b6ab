"""The real page in Chromium: one studio per worker, and a visitor per test."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from sources import FAILURES

from cdvft_app.executors.queue import warm_up
from walks import fake_training
from walks.pages import Tab
from walks.studio import Studio
from walks.visitors import Visitors

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
LOOP = pytest.StashKey[asyncio.AbstractEventLoop | None]()
FAILED = pytest.StashKey[bool]()
expect.set_options(timeout=60_000)


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


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    item.stash[FAILED] = item.stash.get(FAILED, False) or report.failed
    return report


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    found = filter(None, map(shutil.which, ("chromium-headless-shell", "chromium", "chromium-browser")))
    path = os.environ.get("CHROMIUM") or next(found, None)
    assert path, "Chromium not found. Run `make chromium`, or set CHROMIUM to its path."
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=FLAGS)
        loop = asyncio.get_running_loop()
        yield started
        asyncio._set_running_loop(loop)
        started.close()


@pytest.fixture(scope="session")
def visitors(chromium: Browser) -> Visitors:
    return Visitors(chromium)


@pytest.fixture(scope="package")
def offline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Uploads, histories, and the Hub are the tests' own."""
    folder = tmp_path_factory.mktemp("studio")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RUNS_DIR", str(folder / "runs"))
        patch.setenv("GRADIO_TEMP_DIR", str(folder / "gradio"))
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.delenv("SPACE_ID", raising=False)
        yield


@pytest.fixture(scope="package")
def studio(offline: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    warm_up().join()  # the page's first answers need torch
    running = Studio(tmp_path_factory.mktemp("runs"))
    running.start()
    yield running
    running.stop()


@pytest.fixture
def hold(monkeypatch: pytest.MonkeyPatch) -> Callable[[int | None], None]:
    """`hold(2)` lets every training wait after step 2; `hold(None)` lets it continue."""
    return lambda step: monkeypatch.setattr(fake_training, "hold_at", step)


@pytest.fixture
def troubles(visitors: Visitors) -> list[str]:
    """Console errors and outside requests, which fail a test unless it clears them."""
    return visitors.troubles


@pytest.fixture
def visit(studio: Studio, visitors: Visitors, request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    """`visit(Train, viewport=, color_scheme=, run=...)`: that tab as a new visitor sees it.

    `beside` is a page whose browser is shared. Other names are parts of the address.
    """

    def go(
        tab: type[Tab],
        beside: Page | None = None,
        viewport: Any = None,
        color_scheme: str = "light",
        **address: str,
    ) -> Tab:
        options = {"color_scheme": color_scheme, **({"viewport": viewport} if viewport else {})}
        page = beside.context.new_page() if beside else visitors.new(studio.url, **options)
        return tab(page, studio).open(**address)

    yield go
    troubles = [*visitors.troubles]
    if troubles or request.node.stash.get(FAILED, False):
        visitors.keep(FAILURES / re.sub(r"[^\w.-]+", "-", request.node.nodeid.removeprefix("tests/walks/")))
    visitors.leave()
    assert not troubles, "\n".join(troubles)
