"""What the page is told about finished runs: the latest comparison, the recorded race, no stranger's wish."""

from __future__ import annotations

import pytest
from ending import end

from cdvft_app import catalog
from cdvft_app.settings import RunSettings
from cdvft_app.ui.compare import outcomes as section
from cdvft_app.ui.compare.outcomes import outcomes
from cdvft_app.ui.shared.state import AppState


def finish(app: AppState, metric: float, **settings: object) -> str:
    asked = catalog.resolve(RunSettings.model_validate({"method": "cdvft", **settings})).settings
    (run,) = app.store.create([asked], None)
    end(app, run.id, metric=metric, seconds=4.0)
    return run.id


def test_the_recorded_race_where_nothing_finished(app: AppState) -> None:
    shown = outcomes(app, {})
    assert shown["recorded"] is True and shown["origin"].startswith("recorded on ")
    assert shown["rows"][0]["cells"][0] == "CDVFT m\u00a0=\u00a02"
    assert (shown["counted"], shown["figures"]["flops"], shown["figures"]["memory"]) == (False, None, None)
    assert outcomes(app, {"flops": True})["figures"]["flops"]["data"]


def test_the_latest_comparison_or_the_chosen_one(app: AppState) -> None:
    finish(app, 0.7)
    finish(app, 0.8, seed=1)
    latest = finish(app, 0.9, recipe="mnist")
    shown = outcomes(app, {})
    assert [title.split(" ")[0] for _, title in shown["choices"]] == ["MNIST,", "Rotten", "Recorded:"]
    assert ([run["run"] for run in shown["runs"]], shown["recorded"]) == ([latest], False)
    other = outcomes(app, {"chosen": shown["choices"][1][0]})
    (row,) = other["rows"]
    cells = "CDVFT m~=~2", "2 (seeds 0, 1)", "75.0~%", "70.0~% to 80.0~%", "13,824"
    assert row["cells"][:5] == [cell.replace("~", "\u00a0") for cell in cells]
    assert row["front"] == ["parameters", "seconds"]


def test_no_more_than_so_many_runs(app: AppState, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(section, "MAX_RUNS", 2)
    for seed in range(3):
        finish(app, 0.7, seed=seed)
    for asked in ({}, {"chosen": None}, {"chosen": ""}, {"chosen": "../x"}):  # not offered: the latest
        assert [run["seed"] for run in outcomes(app, asked)["runs"]] == [2, 1]


def test_names_from_people_do_not_become_markup(app: AppState) -> None:
    own = catalog.resolve(RunSettings(method="lora")).settings
    for targets in (("query",), ("<a href='x'>",)):
        (run,) = app.store.create([own.model_copy(update={"target_modules": targets})], None)
        end(app, run.id, metric=0.5, seconds=4.0)
    drawn = str(outcomes(app, {})["figures"]["seconds"])
    assert "&lt;a href" in drawn and "<a href" not in drawn
