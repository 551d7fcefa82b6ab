"""Answers that are held back while a page waits for them, and a form that cannot be used meanwhile."""

from __future__ import annotations

from playwright.sync_api import APIResponse, Page, Route
from studio import two_frames
from waiting import wait_for

Held = list[tuple[Route, APIResponse]]


def hold_back(page: Page, addresses: str, mark: str) -> Held:
    """Hold back what the server answers at such addresses, if the mark is in it."""
    held: Held = []

    def hold(route: Route) -> None:
        answer = route.fetch()
        if mark in answer.text():
            held.append((route, answer))
        else:
            route.fulfill(response=answer)

    page.route(addresses, hold)
    return held


def until_held(page: Page, held: Held) -> None:
    wait_for(lambda: page.wait_for_timeout(50) or held)  # Playwright answers requests while it waits itself


def let_go(page: Page, held: Held) -> None:
    ((route, answer),) = held
    route.fulfill(response=answer)
    page.unroute_all(behavior="wait")


def nothing_of_the_form_takes_a_click_or_the_keyboard(page: Page) -> None:
    chooses_a_file: list[object] = []
    page.on("filechooser", lambda asked: chooses_a_file.append(asked.page))
    for one in (
        page.locator("#own-file"),
        page.locator("label.recipe", has_text="Tiny handwritten digits"),
        page.locator("#set-methods label", has_text="C3A"),
        page.locator(".fold > button", has_text="Method settings"),
    ):
        one.scroll_into_view_if_needed()
        box = one.bounding_box()
        assert box
        page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    two_frames(page)
    assert page.locator("#set-m").is_hidden()
    for _ in range(40):
        page.keyboard.press("Tab")
        assert not page.evaluate("() => document.activeElement.matches('.begin *, #choose *')")
    assert not chooses_a_file
