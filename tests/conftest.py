"""Hooks for every test: one temporary history, cheap garbage collection, and no unknown skips in CI."""

from __future__ import annotations

import gc
import os
import re
import shutil
from collections.abc import Iterator

import pytest
from sources import FAILURES

KNOWN_SKIPS = (
    r"(a CUDA or MPS device|two CUDA devices|CUDA|an accelerator|no accelerator)\b",
    r"(Linux|POSIX|fork|to mount a small disk|a system that says when it was started)\b",
    r"nginx$",
    r"(an environment without )?(torchao|bitsandbytes|hqq|gptqmodel|a C.* compiler)$",
    r"transformers 5\.24:",
    r"SmolLM2 in the cache$",
)
"""What a machine may lack. A skip reason reads "needs ..."; in CI any other reason is a failure."""

# torch, transformers, and gradio create a million objects. Collecting them took a third of the tests' time.
gc.disable()


@pytest.fixture(scope="session", autouse=True)
def temporary_history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep tests away from the history of the person who runs them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RUNS_DIR", str(tmp_path_factory.mktemp("history")))
        yield


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput") and "PYTEST_CURRENT_TEST" not in os.environ:
        shutil.rmtree(FAILURES, ignore_errors=True)


@pytest.hookimpl(trylast=True)  # after pytest-randomly
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # Start the longest tests first, so that no worker ends last with one of them.
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


def pytest_collection_finish() -> None:
    gc.enable()
    gc.freeze()


@pytest.hookimpl(trylast=True)  # after the file's fixtures
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    if nextitem is None or nextitem.path != item.path:
        gc.collect()
        gc.freeze()


def unknown_skips(reporter: pytest.TerminalReporter) -> set[str]:
    reasons = {report.longrepr[2] for report in reporter.stats.get("skipped", [])}
    known = re.compile("|".join(rf"Skipped: needs {reason}" for reason in KNOWN_SKIPS))
    return {reason for reason in reasons if not known.match(reason)}


def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if not reporter or not os.environ.get("CI") or hasattr(session.config, "workerinput"):
        return
    if unknown_skips(reporter) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if seed := getattr(terminalreporter.config.option, "randomly_seed", None):
        terminalreporter.line(f"Repeat this order: -p randomly --randomly-seed={seed}")
    for reason in sorted(unknown_skips(terminalreporter)):
        terminalreporter.line(f"Skip reason missing from KNOWN_SKIPS in tests/conftest.py: {reason}")
    if FAILURES.is_dir() and any(FAILURES.iterdir()):
        terminalreporter.line(f"Screenshots and logs of failed tests: {FAILURES}")
