"""A benchmark that goes on with its record can read it again after it was killed while it wrote."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmarks import hub_times, judge, race_time


def simulate(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Path:
    monkeypatch.setattr(judge, "RESULTS", folder / "judge.json")
    monkeypatch.setattr(judge, "share", lambda *_, **__: 0.05)
    monkeypatch.setattr(sys, "argv", ["judge"])
    judge.main()
    return judge.RESULTS


def time_a_race(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Path:
    monkeypatch.setattr(race_time, "RESULTS", folder)
    monkeypatch.setattr(
        race_time, "race", lambda recipe, precision: {"recipe": recipe, "precision": precision}
    )
    monkeypatch.setattr(sys, "argv", ["race_time"])
    race_time.main()
    return folder / "race_time.json"


def time_a_recipe(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Path:
    monkeypatch.setattr(hub_times, "RESULT", folder / "hub_times.json")
    step = {"kind": "result", "seconds": 0.5, "forward_seconds": 0.1}
    monkeypatch.setattr(hub_times, "measure", lambda request, report, seconds: report(step))
    hub_times.main(["rte"] if hub_times.RESULT.is_file() else [])
    return hub_times.RESULT


@pytest.mark.parametrize("record", [simulate, time_a_race, time_a_recipe])
def test_what_was_recorded_before_a_kill_is_still_there(record, monkeypatch, tmp_path):
    kept = record(monkeypatch, tmp_path).read_text(encoding="utf-8")
    write = Path.write_text

    def killed(self: Path, text: str, *args: str, **more: str) -> int:
        write(self, text[: len(text) // 2], *args, **more)
        raise KeyboardInterrupt

    with monkeypatch.context() as writing, pytest.raises(KeyboardInterrupt):
        writing.setattr(Path, "write_text", killed)
        if record is simulate:
            (tmp_path / "judge.json").unlink()  # a whole one is not written again
        record(monkeypatch, tmp_path)
    again = record(monkeypatch, tmp_path)
    assert json.loads(again.read_text(encoding="utf-8")).keys() == json.loads(kept).keys()
