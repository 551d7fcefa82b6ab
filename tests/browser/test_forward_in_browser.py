"""One token or patch followed through a layer, stage by stage, with its real numbers.

Buttons are pressed by keyboard: what the layer does to inputs comes in above them, and would move them from
under a pointer between its press and its release.
"""

from __future__ import annotations

import re
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from playwright.sync_api import Page, expect
from studio import Server, Visit, axe_violations, pick
from synthetic_runs import READY, keep, number, vectors
from timm.models import VisionTransformer

from cdvft_app.catalog.backbones import ImageBackbone
from cdvft_app.catalog.dataset_readers import Rows, Split
from cdvft_app.errors import TooManyRequests
from cdvft_app.inspection import background, frozen, sources
from cdvft_app.settings import RunSettings
from cdvft_app.store.runs import RunStore

TEXT = "a gripping, funny and deeply human film"


@pytest.mark.parametrize(
    ("run", "titles", "text"),  # the text is the first that is recorded
    [
        (
            "recorded-cdvft",
            ["x", "a₁ ⊙ x", "FFT", "× FFT(c₂)", "IFFT", "a₃ ⊙ y", "× α", "check", "answer"],
            TEXT,
        ),
        (
            "recorded-blocks&layer=encoder.layer.0.output.dense",
            ["x", "a₁ ⊙ x", "cut", "FFT", "× FFT(c₂)", "IFFT", "a₃ ⊙ y", "× α", "check", "answer"],
            "dull, but funny",
        ),
    ],
)
def test_step_through_ends_in_the_dense_product(visit: Visit, run: str, titles: list[str], text: str) -> None:
    page = visit(f"?run=nothing&tab=factors&factors={run}", ready=READY)
    stage = page.locator(".stage")
    expect(stage.locator(".trail li")).to_have_text(titles)
    following = page.get_by_role("button", name="Next", exact=True)
    for title in titles[1:]:
        following.press("Enter")
        expect(stage.locator("[aria-current=step]")).to_have_text(title)
        if title == "× FFT(c₂)":
            expect(stage.locator(".part-name:visible")).to_have_text(["in", "× FFT(c₂)", "out"])
    expect(following).to_be_disabled()
    recorded = sources.RecordedRun(run.partition("&")[0].removeprefix("recorded-"))
    known = recorded.walk(page.locator(".factors").get_attribute("data-layer"), text)
    assert known
    expect(stage.locator(".walk-answers dd")).to_have_count(3)
    for place, (label, sure) in enumerate(known["answers"]):
        expect(stage.locator(".walk-answers dd").nth(place)).to_have_text(f"{label} {100 * sure:.1f} %")
    page.get_by_role("button", name="Back", exact=True).press("Enter")
    expect(stage.locator(".verdict")).to_be_visible()
    verdict = stage.locator(".verdict").inner_text()
    error, largest = map(number, re.findall(r"(?:difference|value) is (.+?)[,.] ", verdict))
    assert largest > 0 and error < 1e-12 * max(1, largest)
    pick(page.get_by_role("radio", name=re.compile("funny")))
    expect(stage.locator(".verdict")).not_to_have_text(verdict)
    page.get_by_role("button", name="Back", exact=True).press("Enter")
    expect(stage.locator("[aria-current=step]")).to_have_text("× α")
    page.get_by_label("A sentence of your own").fill("  ")
    page.get_by_role("button", name="Use it").press("Enter")
    expect(page.locator(".forward .problem:visible")).to_have_text("Type a few words first.")


QKV = "blocks.0.attn.qkv"


@pytest.fixture
def asked_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Questions are answered in this process, where what a test puts in place of the model is."""

    def here(
        inspector: background.Inspector, question: str, *, run_id: str, patience: float, **about: Any
    ) -> Any:
        return background.questions()[question](sources.find(RunStore(inspector._root), run_id), **about)

    monkeypatch.setattr(background.Inspector, "ask", here)


@pytest.fixture
def of_images(server: Server, asked_here: None, monkeypatch: pytest.MonkeyPatch) -> str:
    """A run on images of 2 x 2 patches, whose qkv layer has 3 x 1 blocks; its model is small and drawn."""
    torch.manual_seed(0)
    model = VisionTransformer(img_size=28, patch_size=14, embed_dim=8, depth=1, num_heads=2, num_classes=0)
    loaded = ImageBackbone(model, (0.5,) * 3, (0.5,) * 3, None)
    rng = np.random.default_rng(0)
    drawn = list(rng.integers(0, 256, (3, 28, 28)).astype(np.uint8))
    rows = Rows(Split([], np.array([])), Split(drawn, np.array([1, 0, 1])), ("cat", "dog"), None)
    monkeypatch.setattr(frozen, "backbone", lambda _: nullcontext(loaded))
    monkeypatch.setattr(frozen, "load_rows", lambda *_, **__: rows)

    frozen._read_examples.cache_clear()
    settings = RunSettings(recipe="mnist", method="cdvft", target_modules=("attn.qkv",), image_size=28)
    end = {f"{QKV}/{name}": vector for name, vector in vectors(rng, 24, 8, 2, 8).items()}
    return keep(server, [(settings, {1: end})])[0]


def test_a_patch_is_followed_through_blocks_once_a_busy_server_has_answered(
    visit: Visit, of_images: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = asked_again_of_a_busy_server(visit, of_images, monkeypatch)
    stage = page.locator(".stage")
    expect(stage.locator(".trail li")).to_have_text(
        ["x", "a₁ ⊙ x", "FFT", "× FFT(c₂)", "IFFT", "a₃ ⊙ y", "× α", "check", "answer"]
    )
    expect(page.locator("#forward-title")).to_have_text("Follow one patch through this layer")
    expect(page.locator(".thumbnail")).to_have_text(["dog", "cat", "dog"])
    expect(page.locator(".patch")).to_have_count(4)
    stage.get_by_role("button", name="check").press("Enter")
    for width, image in ((1280, "Image 2: cat"), (390, "Image 3: dog")):
        page.set_viewport_size({"width": width, "height": 900})
        any_patch_ends_in_the_dense_product(page, image)
        expect(page.locator(".compare tbody tr").first).not_to_contain_text("unknown")
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width
        assert not axe_violations(page)


def asked_again_of_a_busy_server(visit: Visit, run: str, monkeypatch: pytest.MonkeyPatch) -> Page:
    def busy(_: object) -> None:
        raise TooManyRequests("The server is busy.")

    with monkeypatch.context() as patch:
        patch.setattr(frozen, "backbone", busy)
        page = visit(f"?run=nothing&tab=factors&factors={run}", ready=READY)
        refusal = page.locator(".forward .choice.images .problem")
        without_sizes = page.locator(".factors > .problem")
        for problem in (refusal, without_sizes):
            expect(problem).to_have_text("The server is busy. Try again")
    expect(page.locator(".compare tbody tr").first).to_contain_text("unknown")
    without_sizes.get_by_role("button", name="Try again").press("Enter")
    expect(page.locator(".compare tbody tr").first).not_to_contain_text("unknown")
    expect(without_sizes).to_be_hidden()
    refusal.get_by_role("button", name="Try again").press("Enter")
    expect(page.locator(".stage .trail li")).to_have_count(9)
    expect(refusal).to_be_hidden()
    return page


def any_patch_ends_in_the_dense_product(page: Page, image: str) -> None:
    verdict = page.locator(".stage .verdict")
    expect(verdict).to_be_visible()
    before = verdict.inner_text()
    error, largest = map(number, re.findall(r"(?:difference|value) is (.+?)[,.] ", before))
    assert largest > 0 and error < 1e-12 * max(1, largest)
    assert "for this patch" in before
    for chosen in ("row 1, column 2", "class token", "row 2, column 2", image):
        page.get_by_role("radio", name=chosen).press(" ")
        expect(verdict).not_to_have_text(before)
        before = verdict.inner_text()
    expect(page.get_by_role("radio", name="row 2, column 2")).to_be_checked()


def test_the_recorded_image_run_is_followed_without_its_model(
    visit: Visit, asked_here: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frozen, "backbone", lambda _: pytest.fail("asks for the model"))
    page = visit("?run=nothing&tab=factors&factors=recorded-digits", ready=READY)
    expect(page.locator(".thumbnail")).to_have_count(1)
    expect(page.locator(".forward")).to_contain_text("a run of your own offers more")
    expect(page.locator(".patch")).to_have_count(25)
    page.locator(".stage").get_by_role("button", name="check").press("Enter")
    verdict = page.locator(".stage .verdict")
    expect(verdict).to_contain_text("for this patch")
    before = verdict.inner_text()
    page.get_by_role("radio", name="row 3, column 4").press(" ")
    expect(verdict).not_to_have_text(before)
    expect(page.locator(".forward .problem:visible")).to_have_count(0)
