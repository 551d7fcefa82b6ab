"""The real page in Chromium, over a store of the test's own and a training that takes seconds."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

import fake_training
from gradio.context import Context
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from cdvft_app.store.runs import RunStore
from cdvft_app.training.jobs import JobQueue, warm_up
from cdvft_app.ui.build import build
from cdvft_app.ui.state import AppState
from cdvft_app.ui.theme import launch_arguments

expect.set_options(timeout=20_000)  # the machine may be busy with other things

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class Server:
    """The app in this process; `restart` is a new program over the same runs and port."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/"

    def start(self) -> None:
        Context.id = 0  # as in a new process: an open page calls the parts by the numbers it knows
        self.store = RunStore(self.folder)
        self.queue = JobQueue(self.store, train=fake_training.train)
        self.page = build(AppState.make(self.store, self.queue))
        self.page.launch(
            prevent_thread_lock=True,
            quiet=True,
            server_name="127.0.0.1",
            server_port=self.port,
            **launch_arguments(),
        )
        self.queue.start()

    def stop(self) -> None:
        self.page.close(verbose=False)
        self.queue.close()

    def restart(self) -> None:
        self.stop()
        self.start()


@pytest.fixture(scope="session", autouse=True)
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
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    assert chromium, "The browser tests need Chromium: `make chromium`, or CHROMIUM=/path/to/it."
    with sync_playwright() as playwright:
        with_flags = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield with_flags
        with_flags.close()


@pytest.fixture
def troubles() -> Iterator[list[str]]:
    """Everything that no page may do; a test fails on what is left in it."""
    seen: list[str] = []
    yield seen
    assert not seen, "\n".join(seen)


Hold = Callable[[int | None], None]


@pytest.fixture
def hold(monkeypatch: pytest.MonkeyPatch) -> Hold:
    """`hold(20)` lets every training wait after step 20; `hold(None)` lets it go on."""
    return lambda step: monkeypatch.setattr(fake_training, "hold_at", step)


Visit = Callable[..., Page]


@pytest.fixture
def visit(server: Server, browser: Browser, troubles: list[str]) -> Iterator[Visit]:
    """`visit(path, **context options)`: a page in a browser of its own, or in that of `context`.

    It is handed over when `ready` is seen: by default, when the Train tab may be used.
    """
    contexts: list[BrowserContext] = []

    def go(
        path: str = "",
        context: BrowserContext | None = None,
        ready: str = "#choose.ready",
        **options: object,
    ) -> Page:
        if context is None:
            context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
            contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: troubles.append(f"page error: {error}"))
        page.on(
            "request", lambda request: _outside(request.url) and troubles.append(f"outside: {request.url}")
        )
        page.on(
            "console",
            lambda said: (
                said.type == "error" and "ERR_" not in said.text and troubles.append(f"console: {said.text}")
            ),
        )
        page.goto(server.url + path)
        page.locator(ready).first.wait_for(timeout=30_000)
        return page

    yield go
    for context in contexts:
        context.close()


def _outside(url: str) -> bool:
    return not url.startswith(("http://127.0.0.1:", "data:", "blob:"))
