"""What is published of a recording that may have been cut off: whole seeds, as the page draws them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import record_sweep
from cdvft_app.settings import RaceRequest, RunSettings
from cdvft_app.sweep import SweepRequest, recorded


@pytest.fixture
def recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SweepRequest:
    """A small grid: two settings with two seeds; the files lie in the test's own folder."""
    budget = record_sweep.BUDGETS["sentiment"]
    base = RaceRequest(recipe="sentiment", methods=("cdvft",), keep="last", **budget)
    small = SweepRequest(base=base, m=(2, 3), seeds=(0, 1))

    def grid(recipe: str, seeds: tuple[int, ...] = ()) -> SweepRequest:
        return small.model_copy(update={"seeds": seeds or small.seeds})

    monkeypatch.setattr(record_sweep, "BUDGETS", {"sentiment": budget})
    monkeypatch.setattr(record_sweep, "grid", grid)
    monkeypatch.setattr(record_sweep, "results", lambda recipe: tmp_path / f"{recipe}.json")
    monkeypatch.setattr(recorded, "FILE", tmp_path / "recorded.json")
    for cached in (recorded.sweeps, recorded._shown):
        monkeypatch.setattr(recorded, cached.__name__, cached.__wrapped__)
    return small


def settings_of(recording: SweepRequest) -> list[dict[str, Any]]:
    return [one.model_dump(mode="json", exclude_defaults=True) for one in recording.runs()]


def published(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """What the page shows once these runs are kept."""
    record_sweep.keep("sentiment", runs)
    record_sweep.publish()
    shown = recorded.shown("sentiment")
    assert shown is not None
    return shown


@pytest.mark.parametrize(("ended", "count"), [(1, 1), (2, 2), (3, 2), (4, 4)])
def test_only_whole_seeds_are_published(recording: SweepRequest, ended: int, count: int) -> None:
    result = {"metric": 0.7123456, "trainable_parameters": 13_824}
    runs = [{"settings": one, **result} for one in settings_of(recording)[:ended]]
    shown = published(runs)
    assert record_sweep.recorded("sentiment") == runs
    assert sum(one["spread"]["runs"] for one in shown["settings"]) == count
    assert shown["settings"][0]["spread"]["mean"] == 0.7123
    assert "512 training examples" in shown["origin"] and " 20" in shown["recorded"]


@pytest.mark.parametrize(("recipe", "runs"), [("sentiment", 180), ("mnist", 180), ("addresses", 24)])
def test_the_recorded_runs_are_those_of_the_grid(recipe: str, runs: int) -> None:
    """Else the next publication leaves them out, and the next recording trains them all again."""
    assert len(record_sweep.recorded(recipe)) == record_sweep.grid(recipe).count() == runs


def test_rows_that_a_run_got_wrong_reach_the_judge(recording: SweepRequest) -> None:
    first, second, *_ = settings_of(recording)
    facts = {"trainable_parameters": 13_824, "rows": 4}
    one_wrong = {"settings": first, "metric": 0.75, "wrong": [2], **facts}
    published([one_wrong, {"settings": second, "metric": 0.5, "wrong": [0, 2], **facts}])
    answers = [one.answers for one in recorded.runs("sentiment")]
    assert [one and one.terms[:, 0].tolist() for one in answers] == [[1, 1, 0, 1], [0, 1, 0, 1]]


def test_a_run_without_its_rows_or_of_a_rate_no_longer_wanted_is_done_again(recording, monkeypatch) -> None:
    settings = settings_of(recording)
    whole = {"metric": 0.75, "trainable_parameters": 13_824, "rows": 4, "wrong": [2]}
    old_rate = settings[0] | {"method": settings[0]["method"] | {"learning_rate": 0.123}}
    without_rows = {"settings": settings[0], "metric": 0.7}
    failed = {"settings": settings[2], "failed": "nan", "metric": None}
    kept = [without_rows, {"settings": settings[1]} | whole, {"settings": old_rate} | whole, failed]
    record_sweep.keep("sentiment", kept)
    done: list[RunSettings] = []

    def train(wanted, ended, cluster):
        for one in wanted:
            done.append(one)
            ended(one, {"settings": one.model_dump(mode="json", exclude_defaults=True)} | whole)

    monkeypatch.setattr(record_sweep, "train", train)
    monkeypatch.setattr("sys.argv", ["record_sweep", "--recipes", "sentiment"])
    record_sweep.main()
    first, _, _, fourth = recording.runs()
    assert done == [first, fourth]
    kept = json.loads(record_sweep.results("sentiment").read_text())["runs"]
    assert [one["settings"] for one in kept] == settings
    assert "failed" in kept[2]


def test_a_failed_run_is_published_as_failed(recording: SweepRequest) -> None:
    first, second, *_ = settings_of(recording)
    failed = {"settings": first, "metric": None, "failed": "The loss became nan."}
    shown = published([failed, {"settings": second, "metric": 0.7, "trainable_parameters": 13_824}])
    assert [(one["failed"], one["spread"] is None) for one in shown["settings"]] == [(1, True), (0, False)]
