"""Visitors of the page, who share browser windows one after the other.

A new window is a new process that compiles the page's scripts again, which is half of the cost of a visit.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, CDPSession, Error, Page, ViewportSize

DESK: ViewportSize = {"width": 1280, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}
MEDIA = {"media": "screen", "color_scheme": "light", "reduced_motion": "reduce", "forced_colors": "none"}


@dataclass(frozen=True)
class Window:
    """The first page of a browser context. A visitor's other pages close when the visitor leaves."""

    page: Page
    protocol: CDPSession


class Visitors:
    """`new` lends an empty window; `leave` takes all of them back.

    Attributes:
        troubles: What no page may do: errors in its console, and requests to other hosts.
    """

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self.troubles: list[str] = []
        self._console: list[str] = []
        self._free: list[Window] = []
        self._lent: list[Window] = []

    def new(self, url: str, viewport: ViewportSize = DESK, **media: Any) -> Page:
        window = self._free.pop() if self._free else self._open()
        self._lent.append(window)
        window.page.set_viewport_size(viewport)
        window.page.emulate_media(**{**MEDIA, **media})
        window.protocol.send("Storage.clearDataForOrigin", {"origin": url.rstrip("/"), "storageTypes": "all"})
        return window.page

    def keep(self, folder: Path) -> None:
        """Save screenshots and the console of the current visitors."""
        folder.mkdir(parents=True, exist_ok=True)
        for number, page in enumerate(page for one in self._lent for page in one.page.context.pages):
            with suppress(Error):  # a closed page, or one whose server has ended
                page.screenshot(path=folder / f"page-{number}.png", full_page=True, timeout=20_000)
        (folder / "console.txt").write_text("\n".join([*self.troubles, *self._console]))

    def leave(self) -> None:
        for window in self._lent:
            try:
                for page in window.page.context.pages:
                    if page != window.page:
                        page.close()
                window.page.unroute_all()
                window.page.evaluate("sessionStorage.clear()")
                window.page.goto("about:blank")
                window.page.mouse.move(0, 0)
                self._free.append(window)
            except Error:  # the test closed it, or it is reloading
                window.page.context.close()
        self._lent.clear()
        self._console.clear()
        self.troubles.clear()

    def _open(self) -> Window:
        context = self._browser.new_context(viewport=DESK)
        context.set_default_timeout(60_000)
        context.on("console", lambda said: self._said(said.type, said.text))
        context.on("weberror", lambda raised: self.troubles.append(f"page error: {raised.error}"))
        context.on("request", lambda asked: self._asked(asked.url))
        page = context.new_page()
        return Window(page, context.new_cdp_session(page))

    def _said(self, kind: str, text: str) -> None:
        self._console.append(f"{kind}: {text}")
        if kind == "error" and "ERR_" not in text:
            self.troubles.append(f"console: {text}")

    def _asked(self, url: str) -> None:
        if not url.startswith(("http://127.0.0.1:", "data:", "blob:", "about:")):
            self.troubles.append(f"outside: {url}")
