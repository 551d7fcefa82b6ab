"""What the run side shows to somebody who has just come: a linked race, the last one, or a recorded one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from ending import end, raced

from benchmarks import record_race
from cdvft_app.events import Evaluation, Step
from cdvft_app.store import recorded
from cdvft_app.ui.shared.state import AppState
from cdvft_app.ui.train.first_shown import first_shown


@pytest.fixture(autouse=True)
def recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the recorded race lies in this test; there is none at first."""
    folder = tmp_path / "recorded_runs"
    for module in (recorded, record_race):
        monkeypatch.setattr(module, "FOLDER", folder)
    monkeypatch.setenv("CDVFT_CACHE", str(tmp_path / "cache"))
    forget_recorded()
    yield folder
    forget_recorded()


def forget_recorded() -> None:
    recorded._groups.cache_clear()
    recorded.database.cache_clear()


def race(app: AppState, token: str) -> list[str]:
    return raced(app, token, methods=("cdvft", "lora"))


def finish(app: AppState, run_id: str, score: float = 0.75) -> None:
    told = Step(1, 0.123456, 0.7, 0.01, 1.0, 100.0), Evaluation(1, 0.2, 0.6, "accuracy", score, final=True)
    end(app, run_id, *told, metric=score)


def test_linked_before_own_before_anybodys(app: AppState) -> None:
    assert first_shown(app, "", "mine")["runs"] == []
    mine, other = race(app, "mine"), race(app, "other")
    assert first_shown(app, "", "mine")["runs"] == mine
    app.store.create([app.store.get(run_id).settings for run_id in mine], "mine", sweep=True)
    assert first_shown(app, "", "mine")["runs"] == mine, "a sweep is no race to watch"
    linked = first_shown(app, f"{other[1]},nobody,../x", "mine")
    assert (linked["runs"], linked["kind"]) == ([other[1]], "linked")
    for run_id in (*mine, *other):
        app.store.set_state(run_id, "stopped")
    assert first_shown(app, "", "mine")["runs"] == mine
    assert first_shown(app, "", "stranger")["runs"] == [], "an aborted race is nobody else's first view"


def test_a_newcomer_sees_the_best_race_that_finished(app: AppState) -> None:
    good, worse, aborted, waiting = (race(app, "somebody") for _ in range(4))
    alone = raced(app, "somebody", methods=("cdvft",))
    for ids, scores in ((good, (0.7, 0.8)), (worse, (0.79, 0.6)), (alone, (0.99,))):
        for run_id, score in zip(ids, scores, strict=True):
            finish(app, run_id, score)
    finish(app, aborted[0], 0.9)
    app.store.set_state(aborted[1], "stopped")
    shown = first_shown(app, "", "stranger")
    assert (shown["runs"], shown["kind"]) == (good, "best")
    assert first_shown(app, waiting[0], "stranger")["runs"] == waiting[:1]
    assert first_shown(app, "", "somebody")["kind"] == "last"


def test_scores_of_other_data_are_not_compared(app: AppState) -> None:
    """A correlation of 0.9 is no better than 80 % of other texts."""
    earlier, best = race(app, "somebody"), race(app, "somebody")
    digits = raced(app, "x", recipe="digits", methods=("cdvft", "lora"))
    latest = race(app, "somebody")
    for ids, score in ((earlier, 0.7), (best, 0.8), (digits, 0.99), (latest, 0.75)):
        for run_id in ids:
            finish(app, run_id, score)
    assert first_shown(app, "", "stranger")["runs"] == best


def test_a_recorded_race_until_there_is_one(app: AppState, recording: Path, monkeypatch) -> None:
    ids = race(app, "mine")
    finish(app, ids[0])
    monkeypatch.setenv("RUNS_DIR", str(app.store.root))
    with pytest.raises(SystemExit, match="is queued"):
        record_race.main("tiny-test", ids)
    with pytest.raises(SystemExit, match="unknown: nobody"):
        record_race.main("tiny-test", ["nobody"])
    record_race.main("tiny-test", ids[:1])
    forget_recorded()
    assert first_shown(app, "", "mine")["recorded"] is None

    for run_id in ids:
        if app.store.state(run_id) == "queued":
            app.store.set_state(run_id, "stopped")
        app.store.delete(run_id, "mine")
    shown = first_shown(app, "", "mine")
    assert shown["runs"] == ["recorded-tiny-test-cdvft"]
    assert "CPU, 2 threads (" in shown["recorded"]
    (run,) = shown["rows"]["runs"]
    assert (run["label"], run["steps"], run["metric"]) == ("CDVFT", [(1, 0.123456, 0.7)], 0.75)
    facts = json.loads((recording / "recorded-tiny-test-cdvft" / "run.json").read_text())
    assert facts["token_hash"] is None
