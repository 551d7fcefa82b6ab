"""The program itself, `python app.py`, with a real model: own data, a race, a kill, a resume, and Use."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import made
import pytest
from playwright.sync_api import expect
from program import Program, fill
from studio import Visit, all_is_asked
from uploaded_data import give, learns, mine
from waiting import wait_for

from cdvft_app.store.runs import RunStore

pytestmark = [
    pytest.mark.nightly,
    pytest.mark.slow,
    pytest.mark.timeout(1800),
]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Program]:
    program = Program(tmp_path / "runs")
    program.start()
    yield program
    program.kill()


def test_a_race_on_own_data_and_its_results_outlive_a_kill(
    visit: Visit, server: Program, tmp_path: Path
) -> None:
    page = visit()
    expect(page.locator("#start")).to_be_enabled()
    said = give(page, made.clean_csv(tmp_path / "reviews.csv", made.reviews(500)))
    assert "CSV, UTF-8, separated by comma: 500 rows" in said and "Left out" not in said
    assert "400 rows to learn from, 100 to evaluate on" in said
    assert "learning rates are those of “Sentiment of film reviews”" in said
    learns(page, "reviews")
    for method in ("LoRA", "FourierFT", "Head only"):
        page.get_by_role("checkbox", name=method).uncheck()
    fill(page, "Training", {"max_steps": "40", "batch_size": "8"})
    fill(page, "More", {"evaluation_examples": "16", "max_length": "16", "checkpoint_every": "5"})
    expect(page.locator("#start")).to_be_enabled()
    page.locator("#start").click()
    status = page.locator("#run .status")
    store = RunStore(tmp_path / "runs")
    wait_for(lambda: any(run.step >= 10 for run in store.history()), every=0.02)  # of forty
    with server.children_held():
        expect(status).to_contain_text(re.compile(r"running · step [1-3]\d of 40"))
        server.kill()
    expect(page.locator("#run .notice")).to_be_visible()
    server.start()
    expect(page.locator("#run .notice")).to_be_hidden()
    expect(status).to_have_text("Interrupted")

    learns(page, "reviews")
    page.locator("#resume").click()
    expect(status).to_have_text("Finished")
    expect(page.locator("#run h2")).to_have_text("reviews")
    expect(page.locator("#run")).to_contain_text(re.compile(r"Always answering “\w+”, the commonest"))
    row = page.locator("#run .scoreboard tbody tr").first
    expect(row).to_contain_text("13,824")
    expect(row.locator(".metric")).to_have_text(re.compile(r"^\d+\.\d %$"))
    assert page.locator("#run .chart").evaluate("(chart) => chart.data[1].x") == list(range(1, 41))

    (size,) = mine(page)
    assert re.search(r"reviews · 500 rows · \d\d[\d.]* kB$", size)
    asked = page.url.partition("?")[2]
    stranger = visit("?" + asked)
    expect(stranger.locator("#run")).to_contain_text("names a run that is not kept here")
    all_is_asked(stranger)
    assert mine(stranger) == []
    page.goto(server.url + "?" + asked.replace("tab=train", "tab=use"))
    page.locator("#use-show").get_by_text("All", exact=True).click()
    expect(page.locator("#use-rows tbody tr")).to_have_count(10)
