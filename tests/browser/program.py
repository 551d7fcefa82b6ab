"""`python app.py` in a process of its own, over a folder of runs: with real models and real data."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from playwright.sync_api import Page
from ports import free_port
from studio import fill_in
from waiting import wait_for

ROOT = Path(__file__).parents[2]


class Program:
    """`python app.py` in a process of its own."""

    folder = ROOT

    def __init__(self, runs: Path) -> None:
        self.runs, self.log = runs, runs.with_name("server.log")
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
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "app.py"], cwd=self.folder, env=self.environment, stdout=log, stderr=log
            )
        wait_for(self._answers)

    def _answers(self) -> bool:
        assert self.process.poll() is None, f"app.py ended: {self.log.read_text()[-1500:]}"
        try:
            urllib.request.urlopen(self.url, timeout=5).close()
        except OSError:
            return False
        return True

    @contextmanager
    def children_held(self) -> Iterator[None]:
        """What it has started, a training among it, stands still meanwhile."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        for child in children:
            child.suspend()
        yield
        for child in children:
            with suppress(psutil.NoSuchProcess):  # it ended with the program
                child.resume()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


def fill(page: Page, fold: str, values: dict[str, str]) -> None:
    page.get_by_role("button", name=re.compile(f"^{fold}")).click()
    for name, value in values.items():
        fill_in(page.locator(f"#set-{name} input"), value)
