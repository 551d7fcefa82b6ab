"""The program itself, with a real model and real data: `python app.py`, a short race, a kill and a resume."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from ports import free_port
from studio import Visit, fill_in
from waiting import wait_for

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
PATIENCE = 180_000  # milliseconds, for what takes a few seconds on an idle machine


class Program:
    """`python app.py` in a process of its own."""

    def __init__(self, runs: Path) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}/"
        self.environment = {
            **os.environ,
            "RUNS_DIR": str(runs),
            "GRADIO_SERVER_NAME": "127.0.0.1",
            "GRADIO_SERVER_PORT": str(port),
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",
        }

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "app.py"], cwd=ROOT, env=self.environment, stdout=subprocess.DEVNULL
        )
        wait_for(self._answers)

    def _answers(self) -> bool:
        assert self.process.poll() is None, "app.py ended"
        try:
            urllib.request.urlopen(self.url, timeout=5).close()
        except OSError:
            return False
        return True

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Program]:
    program = Program(tmp_path)
    program.start()
    yield program
    program.kill()


def fill(page: Page, fold: str, values: dict[str, str]) -> None:
    page.get_by_role("button", name=re.compile(f"^{fold}")).click()
    for name, value in values.items():
        fill_in(page.locator(f"#set-{name} input"), value)


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
