"""What every run of the tests keeps for the next, and what it says at its end.

How long each test function took, which `make quick` goes by; the reasons of what was skipped; where what the
pages of failed tests showed is kept. Where CI is set, a skip for a reason that `SKIPS` does not know fails,
and tests with a browser or a server have a second try: whatever needed it is named, with what failed.
"""

from __future__ import annotations

import os
import re
import shutil
from collections import Counter

import pytest
from quick import KEPT, function_id
from sources import ROOT

FAILURES = ROOT / "build" / "failures"
# What a machine may lack, and how the reasons speak of it.
SKIPS = {
    "GPU": r"(a CUDA or MPS device|two CUDA devices|CUDA|an accelerator|no accelerator)\b",
    "platform": r"(Linux|POSIX|fork|to mount a small disk|a system that says when it was started)\b",
    "program": r"nginx$",
    "optional package": (r"(an environment without )?(torchao|bitsandbytes|hqq|gptqmodel|a C.* compiler)$"),
    "newer package": r"transformers 5\.24:",
    "optional download": r"SmolLM2 in the cache$",
}
RETRIED = {"browser", "attack"}  # folders of tests; other tests have nothing to be unlucky with
seconds: Counter[str] = Counter()
called: set[str] = set()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.passed or report.failed:
        name = function_id(report.nodeid)
        seconds[name] += report.duration
        called.update([name] if report.when == "call" else [])


@pytest.hookimpl(trylast=True)  # after they were shuffled
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)  # none ends last
    if os.environ.get("CI"):
        for item in items:
            if RETRIED & set(item.path.relative_to(item.config.rootpath).parts):
                item.add_marker(pytest.mark.flaky(reruns=1))


def skips(terminalreporter: pytest.TerminalReporter) -> Counter[str]:
    """How many tests were skipped for which reason."""
    return Counter(
        report.longrepr[2].removeprefix("Skipped: ") for report in terminalreporter.stats.get("skipped", [])
    )


def lacking(reason: str) -> str | None:
    """What this machine lacks, by the reason of a skip; None where no list knows it."""
    return next((what for what, words in SKIPS.items() if re.match(f"needs {words}", reason)), None)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workerinput"):
        return
    if cache := getattr(session.config, "cache", None):
        known = {name: took for name, took in cache.get(KEPT, {}).items() if name not in seconds}
        cache.set(KEPT, known | {name: round(took, 2) for name, took in seconds.items() if name in called})
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    unknown = [reason for reason in skips(reporter) if not lacking(reason)] if reporter else []
    if unknown and os.environ.get("CI") and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if seed := getattr(terminalreporter.config.option, "randomly_seed", None):
        terminalreporter.line(f"Shuffled: the same order comes with -p randomly --randomly-seed={seed}")
    found = skips(terminalreporter)
    if found:
        terminalreporter.section("skipped")
    for reason, count in sorted(found.items(), key=lambda item: (lacking(item[0]) or "", item[0])):
        what = lacking(reason)
        terminalreporter.line(f"{count:4d}  {what or 'NOT ON THE LIST of tests/summary.py'}: {reason}")

    flaky = terminalreporter.stats.get("rerun", [])
    if flaky:
        terminalreporter.section("failed at the first try")
    for report in flaky:
        terminalreporter.line(f"{report.nodeid}\n{report.longreprtext}")


def pytest_unconfigure(config: pytest.Config) -> None:
    """The last line of all: where to look."""
    if not hasattr(config, "workerinput") and FAILURES.is_dir() and any(FAILURES.iterdir()):
        print(f"What the pages of failed tests showed, their console and runs: {FAILURES}")


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput") and "PYTEST_CURRENT_TEST" not in os.environ:  # nor a run of a test
        shutil.rmtree(FAILURES, ignore_errors=True)
