"""Visitors who share browser windows, one after the other, and nothing else.

A new window is a new process, which reads and compiles the page's scripts anew: half of what a visit costs.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, CDPSession, Error, Page, ViewportSize

SIZE: ViewportSize = {"width": 1280, "height": 900}
# Pages at rest: whatever moves is drawn sixty times a second, which a visit costs a third more.
USUAL = {
    "media": "screen",
    "color_scheme": "light",
    "reduced_motion": "reduce",
    "forced_colors": "none",
}
MOVING = {"reduced_motion": "no-preference"}
# Else what a failed test keeps does not tell why a press did nothing: what it was on had moved away.
NOTE_LOST_PRESSES = """(() => {
  let on;
  const named = (node) => (node?.outerHTML ?? String(node)).slice(0, 100);
  addEventListener("pointerdown", ({ target }) => (on = target), true);
  addEventListener("pointerup", ({ target }) => {
    if (on && target !== on) console.debug(`pressed on ${named(on)}, let go on ${named(target)}`);
    on = null;  // nothing is kept for its sake
  }, true);
})()"""


@dataclass(frozen=True)
class Window:
    """The first page of a context, kept; a visitor's other pages are closed when he leaves."""

    page: Page
    protocol: CDPSession


class Visitors:
    """`new` lends a window that holds nothing of who had it before, `leave` takes all of them back."""

    def __init__(self, browser: Browser, troubles: list[str]) -> None:
        self._browser, self.troubles = browser, troubles
        self._free: list[Window] = []
        self._lent: list[Window] = []
        self._said: list[str] = []  # by any page since the last visitors left

    def new(self, url: str, viewport: ViewportSize = SIZE, **media: Any) -> Page:
        """An empty page of this size, in a browser that remembers nothing of the server at `url`.

        `media`: what Playwright may emulate of it, where that is not what is usual.
        """
        window = self._free.pop() if self._free else self._open()
        self._lent.append(window)
        window.page.set_viewport_size(viewport)
        window.page.emulate_media(**{**USUAL, **media})
        everything = {"origin": url.rstrip("/"), "storageTypes": "all"}  # but what it fetched
        window.protocol.send("Storage.clearDataForOrigin", everything)
        return window.page

    def keep(self, folder: Path) -> None:
        """What their pages show, and what these said."""
        for number, page in enumerate(page for one in self._lent for page in one.page.context.pages):
            with suppress(Error):  # one that was closed, or whose server is gone in the middle of an answer
                page.screenshot(path=folder / f"page-{number}.png", full_page=True, timeout=20_000)
        (folder / "console.txt").write_text("\n".join(self._said))

    def leave(self) -> None:
        """Empty the windows; those that a test closed are gone.

        A page that is left in the middle of an answer says so, which one that is closed cannot: no trouble.
        """
        before = [*self.troubles]
        self._said.clear()
        while self._lent:
            window = self._lent.pop()
            for page in window.page.context.pages:
                if page != window.page:
                    page.close()
            try:
                self._empty(window)
            except Error:  # a test closed it, or it just loads itself anew, for its server is back
                window.page.context.close()
            else:
                self._free.append(window)
        self.troubles[:] = before

    def _empty(self, window: Window) -> None:
        window.page.unroute_all()
        window.page.evaluate("sessionStorage.clear()")
        window.page.goto("about:blank")
        window.page.mouse.move(0, 0)

    def _open(self) -> Window:
        context = self._browser.new_context(viewport=SIZE)
        context.add_init_script(NOTE_LOST_PRESSES)
        self._watch(context)
        page = context.new_page()
        return Window(page, context.new_cdp_session(page))

    def _watch(self, context: BrowserContext) -> None:
        add, note = self.troubles.append, self._said.append
        context.on("console", lambda said: note(f"{said.type}: {said.text}"))
        context.on("weberror", lambda raised: note(f"page error: {raised.error}"))
        context.on("requestfailed", lambda asked: note(f"failed: {asked.url} ({asked.failure})"))
        context.on("weberror", lambda raised: add(f"page error: {raised.error}"))
        context.on("request", lambda asked: _outside(asked.url) and add(f"outside: {asked.url}"))
        context.on(
            "console",
            lambda said: said.type == "error" and "ERR_" not in said.text and add(f"console: {said.text}"),
        )


def _outside(url: str) -> bool:
    return not url.startswith(("http://127.0.0.1:", "data:", "blob:", "about:"))
