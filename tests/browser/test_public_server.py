"""A public server, used by two visitors of a class."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect
from studio import Hold, Server, Visit, start_race, status

pytestmark = pytest.mark.nightly


@pytest.fixture(scope="module", autouse=True)
def public(hub_offline: None) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CDVFT_PUBLIC", "1")
        patch.setenv("CDVFT_CODES", "blue-7, red-9")
        yield


def opened(page: Page) -> Locator:
    page.get_by_role("button", name=re.compile("^Public")).click()
    return page.get_by_role("dialog", name="This server")


def come_as(page: Page, code: str) -> None:
    dialog = opened(page)
    dialog.get_by_label("Code of your class").fill(code)
    dialog.get_by_role("button", name="Use").click()
    expect(dialog).to_contain_text("counted for your code")
    dialog.get_by_role("button", name="Close").click()


def queue(server: Server) -> list[str | None]:
    """Whose the waiting runs are, in the order in which they will be taken."""
    places = {server.store.queue_place(run.id): run.visitor for run in server.store.history()}
    return [places[place] for place in sorted(filter(None, places))]


def test_two_visitors_share_a_server(server: Server, visit: Visit, hold: Hold) -> None:
    hold(10)  # the first run of all trains as long as the others are looked at
    blue, red = visit(), visit()
    expect(blue.get_by_role("button", name="Public · 30 min left")).to_be_visible()
    come_as(blue, "blue-7")
    come_as(red, "red-9")
    start_race(blue)
    expect(status(blue)).to_contain_text("CDVFT running · step 10 of 40")
    start_race(red)
    expect(status(red)).to_contain_text("CDVFT queued")
    # The second of blue's race waits for the first of red's, and for the second, as red had no turn yet.
    assert queue(server) == [f"code {one}" for one in ("red-9", "red-9", "blue-7", "red-9", "blue-7")]

    theirs = next(run.id for run in server.store.history() if run.visitor == "code red-9")
    red.locator("#history tbody tr", has=red.locator("a[aria-current]")).locator("input").check()
    red.locator("#history").get_by_role("button", name="Rename").press("Enter")
    red.get_by_label("New name").fill("secret")
    red.keyboard.press("Enter")
    expect(red.locator("#run h2")).to_have_text("secret")
    blue.goto(f"{server.url}?run={theirs}")
    expect(blue.locator("#run h2")).to_have_text("Sentiment of film reviews")
    expect(blue.locator("#stop")).to_be_hidden()
    expect(blue.locator("#history tbody tr")).to_have_count(2)
    expect(blue.locator("#history")).not_to_contain_text("secret")
