"""The program itself, with a real model and real data: `python app.py`, a short race, a kill and a resume."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect
from program import PATIENCE, Program, fill
from studio import Visit

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Program]:
    program = Program(tmp_path)
    program.start()
    yield program
    program.kill()


def test_a_real_race_survives_a_kill(visit: Visit, server: Program) -> None:
    page = visit()
    expect(page.locator("#start")).to_be_enabled(timeout=PATIENCE)
    for method in ("LoRA", "FourierFT"):
        page.get_by_role("checkbox", name=method).uncheck()
    fill(page, "Training: epochs", {"max_steps": "90", "batch_size": "8"})
    fill(page, "More", {"train_examples": "64", "evaluation_examples": "8", "max_length": "16",
                        "checkpoint_every": "5"})  # fmt: skip
    expect(page.locator("#start")).to_be_enabled(timeout=PATIENCE)
    page.locator("#start").click()
    status = page.locator("#run .status")
    expect(status).to_contain_text(re.compile(r"running · step [1-8]\d of 90"), timeout=PATIENCE)
    server.kill()
    expect(page.locator("#run .notice")).to_be_visible()
    server.start()
    expect(page.locator("#run .notice")).to_be_hidden(timeout=PATIENCE)
    expect(status).to_have_text("Interrupted", timeout=PATIENCE)
    page.locator("#resume").click()
    expect(status).to_have_text("Finished", timeout=PATIENCE)
    row = page.locator("#run .scoreboard tbody tr")
    expect(row).to_contain_text("13,824")
    expect(row.locator(".metric")).to_have_text(re.compile(r"^\d+\.\d %$"))
    assert page.locator("#run .chart").evaluate("(chart) => chart.data[1].x") == list(range(1, 91))
