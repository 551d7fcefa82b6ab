"""Links as the version before wrote them, into a store that it wrote, still open what they name."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from studio import Server, Visit
from synthetic_runs import READY

BEFORE = Path(__file__).parents[1] / "cdvft_app" / "store" / "kept_histories" / "format-11"
# Of that store.
CDVFT, LORA = "660b986bf620b6666aa02c95fc5417d1", "ace2b7a458ba6e8d219a23ab8d3f5fe2"
RANK_4, M_3 = "LoRA r\u00a0=\u00a04", "CDVFT m\u00a0=\u00a03, p\u00a0=\u00a064"
SWEEP = "baefa9b1c00359df5372f0582b1ba31e"


@pytest.fixture(scope="module")
def server(libraries: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("of_before")
    shutil.copytree(BEFORE, folder, dirs_exist_ok=True)
    running = Server(folder)
    running.start()
    yield running
    running.stop()


def lesson(page: Page, key: str, title: str) -> None:
    page.locator(f"#lesson-{key} .question").first.wait_for()
    expect(page.get_by_role("navigation", name="Lessons").locator("[aria-current=step]")).to_contain_text(
        title
    )


def test_links_of_the_version_before_open_what_they_name(visit: Visit, server: Server) -> None:
    page = visit(f"?tab=train&run={LORA},{CDVFT}")
    expect(page.locator("#run .scoreboard tbody th")).to_contain_text([RANK_4, M_3])

    page.goto(f"{server.url}?run={LORA}")  # before any tab was clicked there was no tab in it
    expect(page.locator("#run .scoreboard tbody th")).to_contain_text([RANK_4])

    page.goto(
        f"{server.url}?tab=factors&run={CDVFT}&factors={LORA}&layer=encoder.layer.0.attention.self.query"
    )
    page.locator(READY).wait_for()
    expect(page.locator("#factors-run")).to_have_value(LORA)
    expect(page.locator(".layer-name")).to_have_text("Layer 0 · query")

    page.goto(f"{server.url}?tab=factors&factors=recorded-c3a&layer=encoder.layer.2.attention.self.value")
    page.locator(READY).wait_for()
    expect(page.locator("#factors-run")).to_have_value("recorded-c3a")
    expect(page.locator(".layer-name")).to_have_text("Layer 2 · value")

    page.goto(f"{server.url}?tab=compare&sweep={SWEEP}")
    expect(page.locator("#sweep .status")).to_contain_text("Sweep of 2 runs")
    expect(page).to_have_url(re.compile(SWEEP))

    page.goto(f"{server.url}?tab=learn&lesson=4")
    lesson(page, "reach", "Why more factors")
    page.goto(f"{server.url}?tab=learn#lesson-6")
    lesson(page, "start", "Start with exactly one zero")
