"""Measuring in a process of its own: its lines arrive, it ends whatever happens, and visitors take turns."""

from __future__ import annotations

import json
import sys
from contextlib import closing

import psutil
import pytest

from cdvft_app.costs.request import parse_cost
from cdvft_app.measuring import background as module
from cdvft_app.measuring.background import MeasuringFailed, WaitingLine, measuring

REQUEST = parse_cost({"model": "roberta-base"})
RESULT = {"kind": "result", "method": "lora"}
NONE_SUCH = json.dumps({"kind": "refused", "method": None, "why": "No such model."})
HANG = "; import time; time.sleep(60)"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(module, "EVERY", 0.01)


def program(code):
    return sys.executable, "-c", f"import json, os, sys{code}"


def lines(code, line=None, disturbed=lambda: False, **options):
    """What the program told, `on` left out, and the sentence where it failed."""
    told = measuring(REQUEST, line or WaitingLine(), disturbed, program(code), **options)
    heard: list[dict] = []
    try:
        heard.extend(one for one in told if one["kind"] != "on")
    except MeasuringFailed as error:
        return heard, str(error)
    return heard, None


def children():
    return [process for process in psutil.Process().children() if process.status() != psutil.STATUS_ZOMBIE]


def test_lines_arrive_and_the_request_is_the_programs_last_argument():
    code = "; print(json.dumps({'kind': 'begin', 'asked': json.loads(sys.argv[-1])}))"
    code += f"; print('{json.dumps(RESULT)}')"
    (begin, result), sentence = lines(code)
    assert begin["asked"]["model"] == "roberta-base" and result == RESULT and sentence is None


@pytest.mark.parametrize(
    ("code", "options", "sentence"),
    [
        ("; raise ValueError('no such layer')", {}, "ended early (ValueError: no such layer)"),
        ("; os.kill(os.getpid(), 9)", {}, "most likely because memory ran out"),
        (HANG, {"limit": 0.2}, "the limit; what was measured is kept"),
        (f"; print('{NONE_SUCH}')", {}, "No such model."),
        ("", {"disturbed": lambda: True}, "A run is training on this machine"),
    ],
)  # fmt: skip
def test_trouble_is_a_sentence_and_leaves_no_process(code, options, sentence):
    before = children()
    heard, said = lines(f"; print('{json.dumps(RESULT)}', flush=True){code}" if code else code, **options)
    assert sentence in said
    assert heard == ([RESULT] if code else [])  # what came before stands
    assert children() == before


def test_a_run_that_begins_meanwhile_ends_it():
    answers = iter([False, False])
    _, said = lines(HANG, disturbed=lambda: next(answers, True))
    assert said.startswith("A run is training on this machine")


def test_closing_ends_the_process_and_the_turn():
    line, before = WaitingLine(), children()
    with closing(measuring(REQUEST, line, lambda: False, program(HANG))) as told:
        assert next(told) == {"kind": "on"}
        assert len(children()) == len(before) + 1
    assert children() == before
    assert lines("", line) == ([], None)


def test_one_measures_at_a_time_and_the_first_comes_first():
    line = WaitingLine()
    first, second, third = (measuring(REQUEST, line, lambda: False, program(HANG)) for _ in range(3))
    assert next(first)["kind"] == "on"
    assert next(second) == {"kind": "waiting", "place": 1} and next(third) == {"kind": "waiting", "place": 2}
    first.close()
    assert next(third) == {"kind": "waiting", "place": 1}
    assert next(second)["kind"] == "on"
    for told in (second, third):
        told.close()


def test_the_line_has_an_end(monkeypatch):
    monkeypatch.setattr(module, "MOST_WAITING", 1)
    line = WaitingLine()
    waiting = [measuring(REQUEST, line, lambda: False, program(HANG)) for _ in range(2)]
    for told in waiting:
        next(told)
    assert "1 others wait" in lines(HANG, line)[1]
    for told in waiting:
        told.close()
