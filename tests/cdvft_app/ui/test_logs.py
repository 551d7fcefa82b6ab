"""The server's log as lines that a program reads, by which a run is followed and nobody is known."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from cdvft_app.settings import parse_race
from cdvft_app.ui import logs
from cdvft_app.ui.shared.actions import submit
from cdvft_app.ui.shared.state import AppState


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """What pytest has set up."""
    root, own = logging.getLogger(), logging.getLogger("cdvft_app")
    before = root.handlers[:], root.level, own.level
    yield
    root.handlers[:], root.level = before[0], before[1]
    own.setLevel(before[2])


def test_a_run_is_told_by_its_id_and_its_visitor_by_a_hash(app: AppState, monkeypatch, capsys) -> None:
    monkeypatch.setenv("CDVFT_LOG", "json")
    monkeypatch.setenv("CDVFT_PUBLIC", "1")
    logs.set_up()
    race = parse_race({"methods": ["cdvft"], "max_steps": 3})
    (run_id,) = submit(app, race, "the owner's token", program=True)
    told = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    (queued,) = (line for line in told if line["message"] == "A run was queued.")
    assert queued["run_id"] == run_id and queued["level"] == "info" and queued["time"].endswith("Z")
    assert len(queued["visitor"]) == 12
    assert "the owner's token" not in str(told) and "address" not in str(told)


def test_an_error_is_one_line_with_where_it_was(monkeypatch, capsys) -> None:
    monkeypatch.setenv("CDVFT_LOG", "json")
    logs.set_up()
    try:
        raise RuntimeError("first\nsecond")
    except RuntimeError:
        logging.getLogger("cdvft_app.any").exception("It failed.")
    (line,) = capsys.readouterr().err.splitlines()
    assert "first\nsecond" in json.loads(line)["exception"]


def test_a_person_reads_text_and_warnings_alone(monkeypatch, capsys) -> None:
    monkeypatch.delenv("CDVFT_LOG", raising=False)
    logs.set_up()
    logging.getLogger("cdvft_app.any").info("not told")
    logging.getLogger("cdvft_app.any").warning("told")
    assert capsys.readouterr().err == "WARNING: told\n"


def test_another_kind_is_refused_with_a_sentence(monkeypatch) -> None:
    monkeypatch.setenv("CDVFT_LOG", "xml")
    with pytest.raises(ValueError, match="CDVFT_LOG: got 'xml'"):
        logs.set_up()


def test_an_error_of_a_script_is_one_line_without_addresses_and_few_are_kept(monkeypatch, caplog) -> None:
    monkeypatch.setattr(logs, "_script_errors", set())
    error = "TypeError: no\nname at http://somebody.example/?run=secret"
    told = {"error": error, "where": "assets/js/a.js:3"}
    for asked in (told, told, {"error": "", "where": "y"}, {"error": "x" * 10**6}):
        logs.script_error(asked)
    said = [one.getMessage() for one in caplog.records]
    assert said[0] == "A script of the page failed: TypeError: no name at (an address) (assets/js/a.js:3)"
    assert len(said) == 2 and len(said[1]) < 400
    for number in range(3 * logs.MAX_SCRIPT_ERRORS):
        logs.script_error({"error": f"number {number}"})
    assert len(caplog.records) == logs.MAX_SCRIPT_ERRORS
