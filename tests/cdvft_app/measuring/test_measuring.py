"""Measuring in a process of its own: what it tells arrives, it ends whatever happens, visitors take turns."""

from __future__ import annotations

import os
import sys

import psutil
import pytest
from fake_measures import RESULT
from waiting import wait_for

from cdvft_app.costs.request import parse_cost
from cdvft_app.measuring import background as module
from cdvft_app.measuring.background import MeasuringFailed, WaitingLine, measuring
from cdvft_app.settings import InvalidChoice

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
REQUEST = parse_cost({"model": "roberta-base"})


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(module, "POLL_SECONDS", 0.01)


def start(name, line=None, disturbed=lambda: False, **options):
    return measuring(REQUEST, line or WaitingLine(), disturbed, f"fake_measures:{name}", **options)


def lines(name, *arguments, **options):
    """What was told, `on` left out, and the sentence where it failed."""
    heard: list[dict] = []
    try:
        heard.extend(one for one in start(name, *arguments, **options) if one["kind"] != "on")
    except (MeasuringFailed, InvalidChoice) as error:
        return heard, str(error)
    return heard, None


def gone(pid):
    """Waits for the end of the process."""
    return wait_for(
        lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    )


def test_what_is_told_arrives_from_another_process():
    (begin, result), sentence = lines("asked")
    assert begin["model"] == "roberta-base" and result == RESULT and sentence is None
    assert begin["process"] != os.getpid() and gone(begin["process"])


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("fails", "ended early (ValueError: no such layer)"),
        ("is_killed", "most likely because memory ran out"),
        ("crashes", "ended early (exit code -11)"),
        ("refuses", "No such model."),
    ],
)
def test_trouble_is_a_sentence_and_what_came_before_stands(name, sentence):
    heard, said = lines(name)
    assert sentence in said and heard == [RESULT]


def test_one_measures_at_a_time_and_the_first_comes_first():
    line = WaitingLine()
    first, second, third = (start("hangs", line) for _ in range(3))
    assert next(first)["kind"] in ("on", "result")
    assert next(second) == {"kind": "waiting", "place": 1} and next(third) == {"kind": "waiting", "place": 2}
    first.close()
    assert next(third) == {"kind": "waiting", "place": 1}
    assert next(second)["kind"] in ("on", "result")
    for told in (second, third):
        told.close()
