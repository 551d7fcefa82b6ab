"""What is published of a recording that may have been cut off: whole seeds, as the page draws them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import record_sweep
from cdvft_app.settings import RaceRequest, RunSettings
from cdvft_app.sweep import SweepRequest, recorded


@pytest.fixture
def recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SweepRequest:
    """A small grid: two settings with two seeds; the files lie in the test's own folder."""
    small = SweepRequest(
        base=RaceRequest(
            recipe="sentiment", methods=("cdvft",), keep="last", **record_sweep.BUDGETS["sentiment"]
        ),
        m=(2, 3),
        seeds=(0, 1),
    )
    monkeypatch.setattr(record_sweep, "BUDGETS", {"sentiment": record_sweep.BUDGETS["sentiment"]})
    monkeypatch.setattr(
        record_sweep,
        "grid",
        lambda recipe, seeds=(): small.model_copy(update={"seeds": seeds or small.seeds}),
    )
    monkeypatch.setattr(record_sweep, "results", lambda recipe: tmp_path / f"{recipe}.json")
    monkeypatch.setattr(recorded, "FILE", tmp_path / "recorded.json")
    for cached in (recorded.sweeps, recorded._shown):
        monkeypatch.setattr(recorded, cached.__name__, cached.__wrapped__)
    return small


@pytest.mark.parametrize(("ended", "published"), [(1, 1), (2, 2), (3, 2), (4, 4)])
def test_only_whole_seeds_are_published(recording: SweepRequest, ended: int, published: int) -> None:
    settings = [one.model_dump(mode="json", exclude_defaults=True) for one in recording.runs()[:ended]]
    runs = [{"settings": one, "metric": 0.7123456, "trainable_parameters": 13_824} for one in settings]
    record_sweep.keep("sentiment", runs)
    assert record_sweep.recorded("sentiment") == runs
    record_sweep.publish()
    shown = recorded.shown("sentiment")
    assert shown is not None
    assert sum(one["spread"]["runs"] for one in shown["settings"]) == published
    assert shown["settings"][0]["spread"]["mean"] == 0.7123
    assert "512 training examples" in shown["origin"] and " 20" in shown["recorded"]


@pytest.mark.parametrize(("recipe", "runs"), [("sentiment", 180), ("mnist", 180), ("addresses", 24)])
def test_the_recorded_runs_are_those_of_the_grid(recipe: str, runs: int) -> None:
    """Else the next publication leaves them out, and the next recording trains them all again."""
    assert len(record_sweep.recorded(recipe)) == record_sweep.grid(recipe).count() == runs


def test_rows_that_a_run_got_wrong_reach_the_judge(recording: SweepRequest) -> None:
    settings = [one.model_dump(mode="json", exclude_defaults=True) for one in recording.runs()[:2]]
    wrong = [{"metric": 0.75, "rows": 4, "wrong": [2]}, {"metric": 0.5, "rows": 4, "wrong": [0, 2]}]
    runs = [
        {"settings": one, "trainable_parameters": 13_824} | rows
        for one, rows in zip(settings, wrong, strict=True)
    ]
    record_sweep.keep("sentiment", runs)
    record_sweep.publish()
    answers = [one.answers for one in recorded.runs("sentiment")]
    assert [one and one.terms[:, 0].tolist() for one in answers] == [[1, 1, 0, 1], [0, 1, 0, 1]]


def test_a_run_without_its_rows_or_of_a_rate_no_longer_wanted_is_done_again(
    recording: SweepRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = [one.model_dump(mode="json", exclude_defaults=True) for one in recording.runs()]
    whole = {"metric": 0.75, "trainable_parameters": 13_824, "rows": 4, "wrong": [2]}
    old_rate = settings[0] | {"method": settings[0]["method"] | {"learning_rate": 0.123}}
    record_sweep.keep(
        "sentiment",
        [
            {"settings": settings[0], "metric": 0.7},
            {"settings": settings[1]} | whole,
            {"settings": old_rate} | whole,
            {"settings": settings[2], "failed": "nan", "metric": None},
        ],
    )
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
    settings = [one.model_dump(mode="json", exclude_defaults=True) for one in recording.runs()[:2]]
    runs = [
        {"settings": settings[0], "metric": None, "failed": "The loss became nan."},
        {"settings": settings[1], "metric": 0.7, "trainable_parameters": 13_824},
    ]
    record_sweep.keep("sentiment", runs)
    record_sweep.publish()
    shown = recorded.shown("sentiment")
    assert shown is not None
    assert [(one["failed"], one["spread"] is None) for one in shown["settings"]] == [(1, True), (0, False)]
