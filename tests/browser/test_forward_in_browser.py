"""One token or patch followed through a layer, stage by stage, with its real numbers."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect
from studio import Visit
from synthetic_runs import READY, number

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(
    ("run", "titles"),
    [
        ("recorded-cdvft", ["x", "a₁ ⊙ x", "FFT", "× FFT(c₂)", "IFFT", "a₃ ⊙ y", "× α", "check"]),
        ("recorded-blocks", ["x", "a₁ ⊙ x", "cut", "FFT", "× FFT(c₂)", "IFFT", "a₃ ⊙ y", "× α", "check"]),
    ],
)
def test_step_through_ends_in_the_dense_product(visit: Visit, run: str, titles: list[str]) -> None:
    page = visit(f"?run=nothing&tab=factors&factors={run}", ready=READY)
    stage = page.locator(".stage")
    expect(stage.locator(".trail li")).to_have_text(titles)
    following = page.get_by_role("button", name="Next", exact=True)
    for title in titles[1:]:
        following.press("Enter")
        expect(stage.locator("[aria-current=step]")).to_have_text(title)
    expect(following).to_be_disabled()
    verdict = stage.locator(".verdict").inner_text()
    error, largest = map(number, re.findall(r"(?:difference|value) is (\S+?)[,.]? ", verdict))
    assert largest > 0 and error < 1e-12 * max(1, largest)
    page.get_by_role("radio", name=re.compile("funny")).check(force=True)
    expect(stage.locator(".verdict")).not_to_have_text(verdict)
    page.get_by_role("button", name="Back", exact=True).click()
    expect(stage.locator("[aria-current=step]")).to_have_text("× α")
    page.get_by_label("A sentence of your own").fill("  ")
    page.get_by_role("button", name="Use it").click()
    expect(page.locator(".forward .problem")).to_have_text("Type a few words first.")
