"""Find the settings: what its form asks for, and what its view may ask."""

from __future__ import annotations

import pytest
import run_events
from form_values import RACE, refusal

from cdvft_app.events import Evaluation
from cdvft_app.search import study
from cdvft_app.settings import InvalidChoice
from cdvft_app.ui.shared import form
from cdvft_app.ui.shared.state import AppState
from cdvft_app.ui.train.search import LABELS, best_of, go_on, race_of, request, search, start_search, stop


def asked(typed: dict[str, str] | None = None, **values: object):
    return request(form.race(RACE | values), {"trials": "3"} | (typed or {}))


def end(app: AppState, group: str, loss: float) -> None:
    """Train the run that waits, in no time."""
    run = app.store.leases.next("a process")
    app.store.append(run.id, run_events.started(2, evaluation_examples=50))
    app.store.append(run.id, Evaluation(2, 0.2, loss, "accuracy", 0.8, True))
    app.store.append(run.id, run_events.done(2, metric=0.8))
    study.advance(app.store, group)


def test_the_fold_asks_for_a_search_around_the_race() -> None:
    found = asked({"m": "2, 3", "lora_r": "4,8", "fourierft_n": "99"})
    assert [one.key for one in found.base.methods] == ["cdvft", "lora"]
    assert found.vary == {"cdvft": {"m": (2, 3)}, "lora": {"r": (4, 8)}}, "FourierFT does not race"
    assert found.trials == 3
    around = asked(**{"learning_rate.cdvft": "0.05"})
    assert around.space(0)["learning_rate"] == [0.005, 0.5], "a rate that is typed is searched around"


@pytest.mark.parametrize(
    ("typed", "rate", "sentence"),
    [
        ({"trials": "many"}, "", "Trials per method: got 'many'; it must be a whole number from 1 to 100."),
        ({"m": "two"}, "", "Diagonal vectors (m): got 'two'"),
        ({"m": "2, 2"}, "", "Diagonal vectors (m): got [2, 2]; it names a value twice;"),
        ({}, "5", "Learning rate: got 50.0; it must be 10 or less."),
    ],
)
def test_a_refused_search_names_the_fields_as_the_page_labels_them(typed, rate, sentence) -> None:
    said = refusal(lambda: asked(typed, **{"learning_rate.cdvft": rate}).every_value(), LABELS)
    assert said.startswith(sentence)


def test_a_race_that_is_refused_in_the_fold_names_the_fields_of_the_form() -> None:
    said = refusal(lambda: race_of(RACE | {"epochs": "1, 2"}), LABELS)
    assert said.startswith("Epochs: got '1, 2'; it must be a number")


def test_every_value_is_checked_before_anything_is_queued(app: AppState) -> None:
    with pytest.raises(InvalidChoice, match="at most 384"):
        start_search(app, asked({"block_size": "384, 192, 128, 96, 999"}), "mine")
    assert app.store.history() == []


def test_a_search_is_shown_as_it_goes_and_ends_with_a_race(app: AppState) -> None:
    group = start_search(app, asked(), "mine")
    answer = search(app, {"group": group, "token": "mine", "known": None})
    shown = answer["shown"]
    assert answer["mine"] and shown["running"] and shown["race"] is None
    assert [one["sentences"] for one in shown["methods"]] == [
        ["CDVFT: no trial has finished yet."],
        ["LoRA r\u00a0=\u00a08: no trial has finished yet."],
    ]
    assert "shown" not in search(app, {"group": group, "known": answer["known"]}), "the page has that already"
    for loss in (0.6, 0.5, 0.4, 0.7, 0.5, 0.6):
        end(app, group, loss)
    shown = search(app, {"group": group, "token": "mine"})["shown"]
    assert not shown["running"] and not shown["waits"]
    assert [len(one["trials"]) for one in shown["methods"]] == [3, 3]
    assert [one["best"] for one in shown["methods"]] == [1, 0]
    titles = [[one["title"] for one in method["figures"]] for method in shown["methods"]]
    assert titles == [["Validation loss, trial by trial", "Every trial's settings"]] * 2
    assert all(one["figure"]["data"] for method in shown["methods"] for one in method["figures"])
    assert "tab=train" in shown["race"] and "methods=cdvft,lora" in shown["race"]


def test_the_best_of_each_fill_the_form(app: AppState) -> None:
    group = start_search(app, asked({"m": "2,3"}), "mine")
    nonsense = None, 3, {}, {"group": ["x"]}, {"group": "../../etc"}, {"group": "0" * 32}
    for view in ({"group": group}, *nonsense):
        assert best_of(app, view, "mine") is None
    for loss in (0.6, 0.5, 0.4, 0.7, 0.5, 0.6):
        end(app, group, loss)
    values = best_of(app, {"group": group}, "mine")
    assert values is not None
    race = form.race(values)
    best = study.best_runs(app.store, study.load(app.store, group))
    assert [one.method.model_dump() for one in best] == [one.model_dump() for one in race.methods]
    assert {run.evaluate_on for run in race.runs()} == {"evaluation"}


def test_its_owner_stops_it_and_goes_on(app: AppState) -> None:
    group = start_search(app, asked(), "mine")
    assert not search(app, {"group": group, "token": "another"})["mine"]
    assert stop(app, {"group": group, "token": "mine"}) == {"error": None}
    shown = search(app, {"group": group, "token": "mine"})["shown"]
    assert shown["waits"] and not shown["running"]
    assert study.advance(app.store, group) is None
    assert go_on(app, {"group": group, "token": "mine"}) == {"error": None}
    assert search(app, {"group": group, "token": "mine"})["shown"]["running"]


def test_a_sweep_is_no_search(app: AppState) -> None:
    (run,) = app.queue.submit([form.race(RACE).runs()[0]], "mine", sweep=True)
    assert search(app, {"group": app.store.get(run).group_id}) == {"missing": True}
