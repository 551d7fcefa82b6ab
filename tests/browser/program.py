"""`python app.py` in a process of its own, over a folder of runs: with real models and real data."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil
from playwright.sync_api import Page
from started_program import StartedProgram
from studio import fill_in


class Program(StartedProgram):
    @contextmanager
    def children_held(self) -> Iterator[None]:
        """What it has started, a training among it, stands still meanwhile."""
        children = self.children()
        for child in children:
            child.suspend()
        yield
        for child in children:
            with suppress(psutil.NoSuchProcess):  # it ended with the program
                child.resume()


def fill(page: Page, fold: str, values: dict[str, str]) -> None:
    page.get_by_role("button", name=re.compile(f"^{fold}")).click()
    for name, value in values.items():
        fill_in(page.locator(f"#set-{name} input"), value)
