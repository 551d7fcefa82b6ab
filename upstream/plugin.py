"""For pytest in PEFT's tree: leaves out the tests that `tests/conformance` leaves out, and says why."""

from __future__ import annotations

import re

import pytest
from left_out import DESELECTED


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    dropped = [item for item in items if any(re.search(pattern, item.name) for pattern in DESELECTED)]
    config.hook.pytest_deselected(items=dropped)
    items[:] = [item for item in items if item not in dropped]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.section("CDVFT")
    for pattern, reason in DESELECTED.items():
        terminalreporter.line(f"left out {pattern}: {reason}")
