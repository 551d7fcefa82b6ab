"""For what is measured in Chromium: how it is started, and what a page asks for over the network."""

from __future__ import annotations

import os
import shutil

from playwright.sync_api import Browser, CDPSession, Playwright, ViewportSize

PATIENCE = 120_000  # ms
WINDOW: ViewportSize = {"width": 1440, "height": 900}


def chromium(playwright: Playwright) -> Browser:
    """Start the one that CHROMIUM names, or that is on the PATH."""
    found = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    return playwright.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])


class Traffic:
    """A page's requests over the network, and their bytes as they travel, from now on."""

    def __init__(self, session: CDPSession) -> None:
        self._addresses: list[str] = []
        self._sizes: list[float] = []
        session.send("Network.enable")
        session.on("Network.requestWillBeSent", lambda event: self._addresses.append(event["request"]["url"]))
        session.on("Network.loadingFinished", lambda event: self._sizes.append(event["encodedDataLength"]))

    @property
    def loaded(self) -> int:
        """The number of answers that have come whole."""
        return len(self._sizes)

    def counts(self) -> dict[str, float]:
        over_network = [one for one in self._addresses if not one.startswith("data:")]
        return {"requests": len(over_network), "kilobytes": round(sum(self._sizes) / 1000)}
