"""The studio as plain files: opened from the disk with the network cut, and in an iframe of another page."""

from __future__ import annotations

import functools
import http.server
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from studio import axe_violations

from cdvft_app.ui.static.folder import write

MEGABYTE = 1_000_000
STUDIO = "https://studio.example/app"
CHECKED_BY_AXE = ("lesson=lab", "tab=factors", "tab=train")  # each check takes seconds
WIDER_THAN_THE_WINDOW = "document.documentElement.scrollWidth > innerWidth"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files") / "static"
    size = write(folder, STUDIO)
    assert size == sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    assert size < 10 * MEGABYTE
    return folder


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def served(folder: Path) -> Iterator[str]:
    """The address of the folder on a file server, below its root."""
    serve = functools.partial(_Quiet, directory=str(folder.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/{folder.name}/"
        server.shutdown()


@pytest.fixture
def opened(browser: Browser, troubles: list[str], patience: float) -> Iterator[Callable[..., Page]]:
    """`opened(address, **context options)`; whatever it asks of another place is a trouble."""
    contexts = []

    def go(address: str, **options: Any) -> Page:
        contexts.append(context := browser.new_context(**options))
        context.set_default_timeout(patience)
        page = context.new_page()
        own = ("file:", "data:", "blob:", "http://127.0.0.1:", "http://localhost:")
        page.on("pageerror", lambda error: troubles.append(f"page error: {error}"))
        page.on("console", lambda said: said.type == "error" and troubles.append(f"console: {said.text}"))
        page.on(
            "request",
            lambda asked: asked.url.startswith(own) or troubles.append(f"outside: {asked.url}"),
        )
        page.goto(address)
        return page

    yield go
    for context in contexts:
        context.close()


def link_of(page: Page, part: str) -> str:
    link = page.locator(f"{part} .open-in-studio").first
    link.hover()
    return link.get_attribute("href") or ""


def test_it_is_read_and_played_with_from_the_disk_without_a_network(
    folder: Path, opened: Callable[..., Page]
) -> None:
    address = f"{folder.as_uri()}/index.html"
    page = opened(address, offline=True, reduced_motion="reduce")
    first = page.locator("#lesson-circulant")  # the front of the page: a column that slides, before any words
    expect(first.locator(".stage canvas").first).to_be_visible()
    assert first.locator(".assembly").bounding_box()["x"] < first.locator("h2").bounding_box()["x"]
    part = page.locator("#lesson-rank")
    page.get_by_role("navigation", name="Lessons").get_by_role("link", name="The rank machine").click()
    expect(part.locator(".katex").first).to_be_visible()
    part.locator(".question:visible").get_by_role("button", name="See").click()
    expect(part.locator(".feedback").first).to_contain_text("It is 7. ")
    expect(part.locator(".machine-matrix dd").first).to_have_text("7 of 8")
    part.get_by_role("button", name="As at first").click()
    expect(part.locator(".machine-matrix dd").first).to_have_text("8 of 8")
    part.get_by_role("slider", name="FFT(c), 2 turns, a pair").press("0")
    expect(part.locator(".machine-matrix dd").first).to_have_text("6 of 8")
    assert "lesson=rank" in link_of(page, "#play-rank")
    assert "&values=" in link_of(page, "#play-rank")

    # What a server measures and trains: in this browser, or kept.
    page.goto(f"{address}?tab=learn&lesson=fft")
    page.get_by_role("button", name="Show me without a guess").click()
    page.get_by_role("button", name="Measure in this browser").click()
    expect(page.locator("#lesson-fft .measured")).to_contain_text("In this browser, in plain JavaScript")

    page.goto(f"{address}?tab=learn&lesson=lab")
    page.get_by_label("Target", exact=True).select_option("circulant")
    page.get_by_label("Size", exact=True).select_option("16")
    expect(page.locator("#lab-view .status")).to_have_text("Circulant, 16 × 16, up to m = 3")
    expect(page.locator("#lab-view .verdict")).to_contain_text("with no error")
    assert link_of(page, "#lab-view").endswith("tab=learn&lesson=lab&target=circulant&n=16")

    page.get_by_role("link", name="Factors", exact=True).click()
    expect(page.locator("#factors-run option")).to_have_count(6)
    page.locator("#factors-run").select_option("recorded-digits")
    expect(page.locator(".layer-name")).to_contain_text("Layer ")
    page.wait_for_url(re.compile("factors=recorded-digits&layer="))
    assert "factors=recorded-digits&layer=" in link_of(page, ".ranks")
    assert link_of(page, ".ranks").endswith("&show=ranks")

    page.get_by_role("link", name="A race").click()
    expect(page.locator("#run .scoreboard tbody tr")).to_have_count(3)
    expect(page.locator("#run .outcome")).to_contain_text("CDVFT")
    expect(page.locator("#run .main-svg").first).to_be_visible()
    page.get_by_role("link", name="Compare", exact=True).click()
    expect(page.locator("#outcomes .main-svg").first).to_be_visible()
    page.get_by_role("link", name="Settings that matter").click()
    expect(page.locator("#sweep .answer")).not_to_be_empty()
    page.locator("#sweep .segmented label").nth(1).click()
    page.get_by_role("link", name="Evidence").click()
    expect(page.locator("#evidence-settings .main-svg").first).to_be_visible()
    page.locator("#evidence-settings summary", has_text="Why").click()
    again = page.get_by_role("link", name="Open in Train with these settings").first
    again.hover()
    expect(again).to_have_attribute("href", re.compile(rf"^{re.escape(STUDIO)}\?tab=train&recipe="))
    page.get_by_role("link", name="The paper").click()
    expect(page.locator("#paper table").first).to_contain_text("5.33")
    page.go_back()
    expect(page.locator("#evidence-settings")).to_be_visible()


def test_every_page_is_accessible_and_fits_a_narrow_window(served: str, opened: Callable[..., Page]) -> None:
    page = opened(served, viewport={"width": 390, "height": 844})
    for query, ready in (
        ("tab=learn", "#lesson-circulant .katex"),
        ("tab=learn&lesson=rank", "#lesson-rank .katex"),
        ("tab=learn&lesson=lab", "#lab-view canvas"),
        ("tab=factors", "#factors .trail li"),
        ("tab=train", "#run .main-svg"),
        ("tab=compare&page=results", "#outcomes .main-svg"),
        ("tab=compare&page=settings", "#sweep .main-svg"),
        ("tab=compare&page=evidence", "#evidence .main-svg"),
        ("tab=compare&page=paper", "#paper table"),
    ):
        page.goto(f"{served}?{query}")
        page.locator(ready).first.wait_for()
        assert not page.evaluate(WIDER_THAN_THE_WINDOW), query
        if query.endswith(CHECKED_BY_AXE):
            assert axe_violations(page) == [], query


def test_it_works_in_an_iframe_of_another_site(
    folder: Path, served: str, opened: Callable[..., Page]
) -> None:
    inside = f"{served.replace('127.0.0.1', 'localhost')}?tab=factors&amp;embed=1"
    frame = f'<iframe src="{inside}" width="1200" height="900"></iframe>'
    (folder.parent / "around.html").write_text(f'<!doctype html><link rel="icon" href="data:,">{frame}')
    page = opened(served.replace(f"{folder.name}/", "around.html"))
    within = page.frame_locator("iframe")
    expect(within.locator("#factors .layer-name")).to_contain_text("Layer ")
    expect(within.locator(".masthead")).to_be_hidden()
