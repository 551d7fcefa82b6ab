"""What the buttons do, for owners and for strangers."""

from __future__ import annotations

import pytest

from cdvft_app.catalog import hub, reachability
from cdvft_app.catalog.reachability import HubStatus
from cdvft_app.settings import InvalidChoice, RaceRequest
from cdvft_app.ui import actions, form
from cdvft_app.ui.state import SECRET_FILE, AppState

VALUES = dict.fromkeys(form.FIELDS, "") | {"recipe": "sentiment", "methods": ["cdvft", "lora"]}


def started(app: AppState, token: str = "mine") -> list[str]:
    ids, refused = actions.start(app, VALUES, token)
    assert refused is None
    return ids


def test_start_queues_complete_settings_in_the_order_of_methods(app: AppState) -> None:
    ids = started(app)
    runs = [app.store.get(run_id) for run_id in ids]
    assert [run and run.method for run in runs] == ["cdvft", "lora"]
    assert all(run and run.settings.learning_rate and run.settings.epochs for run in runs)


def test_start_keeps_what_was_promised(app: AppState) -> None:
    promised = [run.forecast for run in map(app.store.get, started(app)) if run]
    assert [made and made["trainable_parameters"]["value"] for made in promised] == [13_824, 73_728]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"m": "1"}, "m, diagonal vectors: got 1"),
        ({"recipe": "gone"}, "There is no recipe 'gone'"),
        ({"block_size": "999"}, "at most 384"),
    ],
)
def test_start_refuses_with_a_sentence(app: AppState, values: dict[str, str], sentence: str) -> None:
    ids, refused = actions.start(app, VALUES | values, "mine")
    assert ids == []
    assert refused and sentence in refused
    assert app.store.history() == []


def test_nobody_starts_what_a_silent_hub_would_have_to_give(
    app: AppState, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = (0.0, HubStatus(False, "It is silent."))
    monkeypatch.setitem(reachability._known, reachability.endpoint(), silent)
    monkeypatch.setattr(hub, "cached", lambda *_: None)
    with pytest.raises(InvalidChoice, match=r"GLUE SST-2 are not in the cache .* It is silent\."):
        actions.submit(app, RaceRequest(recipe="sst2"), "mine", program=True)
    assert app.store.history() == []


def test_start_says_when_the_queue_is_full(app: AppState) -> None:
    for _ in range(6):
        started(app)
    ids, refused = actions.start(app, VALUES, "mine")
    assert ids == []
    assert refused and "at most 12" in refused


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
        False, True, "Nothing trains, so there is nothing to stop."
    )
    assert actions.resume(app, ids, "mine") is None
    assert [app.store.state(run_id) for run_id in ids] == ["queued", "queued"]


@pytest.mark.parametrize("ids", [[], ["nobody"], ["../../etc"]])
def test_buttons_without_a_race(app: AppState, ids: list[str]) -> None:
    assert actions.buttons(app.store, ids, "mine") == actions.Buttons(
        False, False, "Stop and Resume are for a race of yours."
    )


def test_the_secret_survives_a_restart_and_is_private(app: AppState) -> None:
    assert AppState.make(app.store, app.queue).secret == app.secret
    file = app.store.root / SECRET_FILE
    assert file.stat().st_mode & 0o077 == 0
    assert len(app.secret) == 32


def test_submit_checks_every_run_before_any_is_queued(app: AppState) -> None:
    with pytest.raises(ValueError, match="lora_r"):
        actions.submit(app, RaceRequest(methods=("cdvft", "lora"), lora_r=512), "mine")
    assert app.store.history() == []
