"""Time and memory before a race, and what came of it: the forecast on the page, in Chromium."""

from __future__ import annotations

import json
import re

import fake_training
import pytest
from playwright.sync_api import Page, expect
from program import fill
from studio import Visit, axe_violations, downloaded, fill_in, judged

from cdvft_app import prediction
from cdvft_app.training import device

BEYOND = """() => {
  const { documentElement: page } = document;
  window.beyond = [];
  addEventListener("resize", () =>
    requestAnimationFrame(() => window.beyond.push(page.scrollWidth - innerWidth)));
}"""


def test_time_and_memory_are_promised_and_an_ended_run_is_beside_its_forecast(
    visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What earlier runs took is known of none."""
    monkeypatch.setattr(
        prediction, "device_name", lambda kind, many=None: "CPU, fake"
    )  # where the fake runs are trained
    monkeypatch.setattr(fake_training, "WAIT", 0.03)  # so long that starting is little of a run's time
    monkeypatch.setattr(device, "available_bytes", lambda: 2_000_000_000)
    page = visit()
    outlook = page.locator("#counts .outlook")
    expect(outlook).to_contain_text(re.compile(r"^\d+ (s|min) to \d+ min · "))
    expect(outlook).to_contain_text("1.1 GB memory")
    expect(outlook.get_by_title("2.0 GB are free")).to_be_visible()
    expect(page.locator("#counts [role=alert]")).to_have_count(0)
    fill(page, "Training", {"batch_size": "512"})
    fill(page, "More", {"max_length": "512"})
    warning = page.locator("#counts [role=alert]")
    expect(warning).to_contain_text("2.0 GB are free: it will most likely run out of memory")
    expect(warning).to_contain_text("Lower the batch size or the text length")
    expect(page.locator("#start")).to_be_enabled()
    page.locator("#set-batch_size input").fill("8")
    expect(warning).to_have_count(0)
    a_run_that_ended_is_beside_its_forecast_and_teaches_the_next(page)
    page.evaluate(BEYOND)
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_function("() => window.beyond.length")
    assert max(page.evaluate("() => window.beyond")) <= 0, "not even before the curves are drawn anew"
    assert not axe_violations(page, "#run .predicted")


def a_run_that_ended_is_beside_its_forecast_and_teaches_the_next(page: Page) -> None:
    expect(page.locator("#run .predicted")).to_contain_text("Started without a forecast: CDVFT, LoRA")
    page.get_by_role("checkbox", name="FourierFT").uncheck()
    expect(page.locator("#counts .counts li")).to_have_count(1)
    fill_in(page.locator("#set-max_steps input"), "10")
    page.locator("#start").click()
    expect(page.locator("#run .status")).to_have_text("All 2 finished")
    judged(page)
    page.locator("#run .predicted summary").first.click()
    table = page.locator("#run .predicted table")
    expect(table.locator("tbody")).to_have_count(2)
    ours = table.locator("tbody").first
    expect(ours.get_by_role("row", name="Parameters")).to_have_text(re.compile(r"13,824\s*13,824\s*exact"))
    expect(ours.get_by_role("row", name="On disk")).to_contain_text(
        "out of range"
    )  # the fake saves 1,000 bytes
    expect(ours.get_by_role("row", name="Peak memory").locator("td").nth(1)).to_have_text("–")
    expect(page.locator("#counts .outlook")).to_contain_text("About ")  # a range no more: two runs have ended
    how = page.locator("#counts .outlook span").first.get_attribute("title")
    assert how and "of the same method on the same model and data here" in how
    table = downloaded(page.get_by_role("button", name="Save Predicted and measured as JSON"))
    rows = json.loads(table.read_text())
    found = {(row["method"], row["quantity"]): (row["forecast"], row["measured"]) for row in rows}
    assert found["CDVFT", "trainable_parameters"] == (13_824, 13_824)
    assert found["CDVFT", "adapter_bytes"] == (63_768, 1000)
    assert found["CDVFT", "seconds"][1] == pytest.approx(0.2)
