"""What a run of the tests says and keeps at its end."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from sources import ROOT
from summary import lacking

TESTS = """
import pytest
@pytest.mark.parametrize("case", [1, 2])
def test_kept(case): ...
@pytest.mark.skip(reason="needs Linux: it forks")
def test_elsewhere(): ...
@pytest.mark.skip(reason="{reason}")
def test_other(): ...
"""


HOOKS = """
import summary
from summary import pytest_collection_modifyitems, pytest_runtest_logreport, pytest_sessionfinish
from summary import pytest_terminal_summary, pytest_unconfigure
summary.FAILURES = summary.ROOT.__class__("failures").absolute()
"""


def run(folder: Path, reason: str, **environment: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_it.py").write_text(TESTS.format(reason=reason))
    (folder / "conftest.py").write_text(HOOKS)
    kept = {name: value for name, value in os.environ.items() if name not in ("CI", "PYTEST_ADDOPTS")}
    command = [sys.executable, "-m", "pytest", "--rootdir", str(folder)]
    told = {**kept, "PYTHONPATH": f"{ROOT}/tests", **environment}
    return subprocess.run(command, cwd=folder, env=told, capture_output=True, text=True, check=False)


def test_skips_are_counted_by_their_reasons_and_times_kept(tmp_path: Path) -> None:
    ended = run(tmp_path, "needs CUDA", CI="true")
    assert ended.returncode == 0
    assert "   1  platform: needs Linux: it forks\n" in ended.stdout
    assert "   1  GPU: needs CUDA\n" in ended.stdout and "failed tests showed" not in ended.stdout
    kept = json.loads((tmp_path / ".pytest_cache" / "v" / "quick" / "seconds").read_text())
    assert set(kept) == {"test_it.py::test_kept"}


@pytest.mark.parametrize(("where", "code"), [({"CI": "true"}, 1), ({}, 0)])
def test_a_skip_for_another_reason_fails_ci_alone(tmp_path: Path, where: dict[str, str], code: int) -> None:
    ended = run(tmp_path, "does not work yet", **where)
    assert ended.returncode == code
    assert "NOT ON THE LIST of tests/summary.py: does not work yet" in ended.stdout


UNLUCKY = """
from pathlib import Path
def test_unlucky():
    tried = Path("tried")
    first = not tried.exists()
    tried.write_text("")
    assert not first, "the page was late"
"""


@pytest.mark.parametrize(
    ("where", "folder", "code"),
    [({"CI": "true"}, "browser", 0), ({}, "browser", 1), ({"CI": "true"}, "training", 1)],
)
def test_ci_tries_the_page_a_second_time_and_says_so(
    tmp_path: Path, where: dict[str, str], folder: str, code: int
) -> None:
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "test_page.py").write_text(UNLUCKY)
    ended = run(tmp_path, "needs CUDA", **where)
    assert ended.returncode == code
    assert ended.stdout.count("E       AssertionError: the page was late") == 1
    assert ("failed at the first try" in ended.stdout) == (code == 0)
    assert code or f"{folder}/test_page.py::test_unlucky" in ended.stdout


def test_what_fails_twice_fails_in_ci(tmp_path: Path) -> None:
    (tmp_path / "browser").mkdir()
    (tmp_path / "browser" / "test_page.py").write_text("def test_broken(): assert 1 == 2")
    ended = run(tmp_path, "needs CUDA", CI="true")
    assert ended.returncode == 1 and "1 failed" in ended.stdout and "1 rerun" in ended.stdout


def test_the_last_line_is_where_failures_are_kept(tmp_path: Path) -> None:
    (tmp_path / "failures" / "test_page.py-test_a").mkdir(parents=True)
    counted, last = run(tmp_path, "needs CUDA").stdout.splitlines()[-2:]
    assert "2 passed, 2 skipped" in counted and last.endswith(str(tmp_path / "failures"))


ORDER = """
import pytest
def test_short(): ...
@pytest.mark.slow
def test_long(): ...
"""


def test_what_takes_long_begins_first(tmp_path: Path) -> None:
    (tmp_path / "test_order.py").write_text(ORDER)
    ended = run(tmp_path, "needs CUDA", PYTEST_ADDOPTS="-v -W ignore test_order.py")
    assert re.findall(r"test_order.py::(\w+) PASSED", ended.stdout) == ["test_long", "test_short"]


def test_a_reason_says_what_is_needed() -> None:
    assert lacking("needs Linux: Triton comes for it alone") == "platform"
    assert lacking("needs bitsandbytes") == "optional package"
    assert lacking("needs an afternoon") is None
    assert lacking("CUDA is there") is None
