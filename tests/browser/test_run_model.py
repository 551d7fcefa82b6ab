"""What is known of runs, in words and numbers: the time left of a race, and what is laid over it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page
from studio import Visit, without_app

from cdvft_app import ASSETS
from cdvft_app.ui.shared.component import file_address

pytestmark = pytest.mark.browser


def run(method: str, state: str, group: str = "own", **facts: Any) -> dict[str, Any]:
    return {
        "label": method,
        "state": state,
        "group": group,
        "step": 0,
        "total_steps": None,
        "steps": [],
        "evaluations": [],
    } | facts


def training(**facts: Any) -> dict[str, Any]:
    """One second a step: 10 of 100 are done."""
    steps = [[step, float(step), 0.5] for step in range(1, 11)]
    return run("CDVFT", "running", step=10, total_steps=100, steps=steps, **facts)


def promised(seconds: float, whole: float) -> dict[str, Any]:
    return {"seconds": {"value": seconds}, "whole_seconds": {"value": whole}}


def told(page: Page, runs: list[dict[str, Any]]) -> list[Any]:
    (file,) = Path(ASSETS, "js").rglob("run_model.js")
    return page.evaluate(
        """async ([file, runs]) => {
          const { progress, shownRace, statusText } = await import(new URL(file, document.baseURI).href);
          return [statusText(shownRace(runs)), progress(shownRace(runs))];
        }""",
        [file_address(file), runs],
    )


def test_time_left_is_that_of_the_whole_race(visit: Visit) -> None:
    page = without_app(visit)
    alone, lora = training(), run("LoRA", "queued")
    assert told(page, [alone])[0] == "CDVFT running · step 10 of 100 · 1:30 left"
    three = [alone, lora, run("FourierFT", "queued")]
    status = "CDVFT running · step 10 of 100 · 3:53 to 6:10 left for all 3 · next: LoRA"
    assert told(page, three)[0] == status  # 1:30, and twice 1:40, 1.4 times more or less
    # CDVFT, promised 50 s, will have trained for 100 s: LoRA's 65 s become 130.
    pair = [training(forecast=promised(50, 52)), run("LoRA", "queued", forecast=promised(60, 65))]
    assert told(page, pair)[0] == "CDVFT running · step 10 of 100 · 3:03 to 4:32 left for all 2 · next: LoRA"


def test_a_stopped_race_laid_over_another_changes_nothing_of_it(visit: Visit) -> None:
    page = without_app(visit)
    race = [training(), run("LoRA", "queued")]
    over = [run("LoRA", state, "other", step=3, total_steps=10) for state in ("stopped", "queued")]
    assert told(page, [*race, *over]) == told(page, race)
    assert told(page, race)[1] == pytest.approx(0.05)
    assert told(page, [run("CDVFT", "finished"), *over]) == ["Finished", 1]
