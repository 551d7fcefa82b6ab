"""What the buttons do, for owners and for strangers."""

from __future__ import annotations

import pytest
from form_values import RACE

from cdvft_app import prediction
from cdvft_app.catalog import hub
from cdvft_app.store.replication import SECRET
from cdvft_app.ui.shared import actions
from cdvft_app.ui.shared.state import AppState


def started(app: AppState, token: str = "mine") -> list[str]:
    ids, refused = actions.start(app, RACE, token)
    assert refused is None
    return ids


def test_start_queues_complete_settings_in_the_order_of_methods_and_keeps_what_was_promised(app) -> None:
    runs = [app.store.get(run_id) for run_id in started(app)]
    assert [run.method for run in runs] == ["cdvft", "lora"]
    assert all(run.settings.method.learning_rate and run.settings.epochs for run in runs)
    assert [run.forecast["trainable_parameters"]["value"] for run in runs] == [13_824, 73_728]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"m": "1"}, "Diagonal vectors (m): got 1"),
        ({"lora_r": "512"}, "LoRA rank (r): got 512"),  # of the second run; the first can be
    ],
)
def test_start_refuses_with_a_sentence_before_any_run_is_queued(app: AppState, values, sentence) -> None:
    ids, refused = actions.start(app, RACE | values, "mine")
    assert ids == [] and refused and sentence in refused
    assert app.store.history() == []


def test_what_fits_into_no_memory_here_is_neither_started_nor_resumed(app: AppState, monkeypatch) -> None:
    ids = started(app)
    assert actions.stop(app, ids, "mine") is None
    monkeypatch.setattr(prediction, "kind_of_training", lambda: "cpu")
    monkeypatch.setattr(prediction, "total_bytes", lambda kind: 10**8)
    for refused in (actions.start(app, RACE, "mine")[1], actions.resume(app, ids, "mine")):
        assert refused and refused.startswith("Batch size: got 32") and "this machine has 0.1 GB" in refused
    assert [run.state for run in app.store.history()] == ["stopped"] * 2


def test_what_the_hub_would_have_to_give_is_neither_started_nor_resumed(app, tmp_path, monkeypatch) -> None:
    import huggingface_hub.constants

    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))

    def answers(reached: bool, why: str = "") -> None:
        monkeypatch.setattr(hub, "_ask", lambda address: hub.HubStatus(reached, why))
        monkeypatch.setattr(hub, "_known", {})

    answers(False, "It is silent.")
    ids, refused = actions.start(app, RACE | {"recipe": "sst2"}, "mine")
    assert ids == [] and app.store.history() == []
    assert refused and "GLUE SST-2 are not in the cache and cannot be fetched. It is silent." in refused
    answers(True)
    ids, refused = actions.start(app, RACE | {"recipe": "sst2"}, "mine")
    assert refused is None and actions.stop(app, ids, "mine") is None
    answers(False, "It is away.")
    assert str(actions.resume(app, ids, "mine")).endswith("cannot be fetched. It is away.")
    assert {app.store.state(run_id) for run_id in ids} == {"stopped"}


def test_start_says_when_the_queue_is_full(app: AppState) -> None:
    for _ in range(6):
        started(app)
    ids, refused = actions.start(app, RACE, "mine")
    assert ids == [] and refused and "at most 12" in refused


def test_only_the_owner_stops_and_resumes(app: AppState) -> None:
    ids = started(app)
    assert actions.buttons(app.store, ids, "stranger") == actions.Buttons(
        False, False, "Only the browser that started this race can have it stopped."
    )
    assert "Only the browser that started" in str(actions.stop(app, ids, "stranger"))
    assert [app.store.state(run_id) for run_id in ids] == ["queued", "queued"]

    assert actions.buttons(app.store, ids, "mine").stop
    assert actions.stop(app, ids, "mine") is None
    assert [app.store.state(run_id) for run_id in ids] == ["stopped", "stopped"]

    assert "Only the browser that started" in str(actions.resume(app, ids, "stranger"))
    assert actions.buttons(app.store, ids, "mine") == actions.Buttons(
        False, True, "This race does not train. Resume goes on with CDVFT from where it ended."
    )
    assert actions.resume(app, ids, "mine") is None
    assert [app.store.state(run_id) for run_id in ids] == ["queued", "queued"]


def test_a_race_of_somebody_elses_is_not_resumed_with_ones_own(app: AppState) -> None:
    mine, theirs = started(app), started(app, "somebody")
    assert actions.stop(app, theirs, "somebody") is None
    shown = [*mine, *theirs]
    assert actions.buttons(app.store, shown, "mine") == actions.Buttons(
        True, False, "Stop keeps the adapter. Resume then goes on from there."
    )
    assert actions.stop(app, shown, "mine") is None
    assert actions.resume(app, shown, "mine") is None
    assert [app.store.state(run_id) for run_id in shown] == ["queued"] * 2 + ["stopped"] * 2
    for run_id in mine:
        app.store.set_state(run_id, "preparing")
        app.store.set_state(run_id, "finished")
    assert actions.buttons(app.store, shown, "mine") == actions.Buttons(False, False, "")


@pytest.mark.parametrize("ids", [[], ["nobody"], ["../../etc"]])
def test_buttons_without_a_race(app: AppState, ids: list[str]) -> None:
    assert actions.buttons(app.store, ids, "mine") == actions.Buttons(False, False, "")


def test_the_secret_survives_a_restart_and_is_private(app: AppState) -> None:
    assert AppState.make(app.store, app.queue).secret == app.secret
    file = app.store.root / SECRET
    assert file.stat().st_mode & 0o077 == 0
    assert len(app.secret) == 32
