"""A pytest plugin: runs what concerns CDVFT, says what it leaves out and why, puts faults in on demand."""

from __future__ import annotations

import os
import re
from collections import Counter

import pytest
from faults import FAULTS
from left_out import DESELECTED
from suite import TABLES

from cdvft import CDVFTConfig


class Selection:
    def __init__(self) -> None:
        self.left_out: Counter[str] = Counter()
        self.selected: Counter[str] = Counter()

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        kept, dropped = [], []
        for item in items:
            reason = reason_to_leave_out(item)
            (dropped if reason else kept).append(item)
            if reason:
                self.left_out[reason] += 1
        config.hook.pytest_deselected(items=dropped)
        items[:] = kept
        modules = [item.cls.__module__.rpartition(".")[2] for item in kept]
        self.selected.update(modules)
        unused = set(TABLES) - set(modules)
        if unused and not config.option.keyword:
            raise pytest.UsageError(
                f"CDVFT's rows are not used in {sorted(unused)}: PEFT's tables were renamed?"
            )

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        terminalreporter.section("CDVFT")
        for reason, count in self.left_out.most_common():
            terminalreporter.line(f"left out {count:4d}: {reason}")
        skips = Counter(report.longrepr[2] for report in terminalreporter.stats.get("skipped", []))
        for reason, count in skips.most_common():
            terminalreporter.line(f"skipped by PEFT {count:4d}: {reason.removeprefix('Skipped: ')}")
        by_module = ", ".join(f"{module} {count}" for module, count in self.selected.items())
        terminalreporter.line(f"selected {self.selected.total()}: {by_module}")


def reason_to_leave_out(item: pytest.Item) -> str | None:
    values = item.callspec.params.values() if hasattr(item, "callspec") else ()
    if not any(value is CDVFTConfig or isinstance(value, CDVFTConfig) for value in values):
        return "not about CDVFT: tests of other methods, or of none"
    return next((reason for pattern, reason in DESELECTED.items() if re.search(pattern, item.name)), None)


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Selection(), "cdvft-selection")
    if fault := os.environ.get("CDVFT_FAULT"):
        FAULTS[fault]()
