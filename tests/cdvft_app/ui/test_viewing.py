"""A private race, looked for by its owner and by others at everything that shows runs."""

from __future__ import annotations

import json
import sqlite3
from types import SimpleNamespace

import pytest
from served import asking

from cdvft_app.errors import UserError
from cdvft_app.results.answering import Answering
from cdvft_app.settings import RunSettings
from cdvft_app.store.owners import token_hash, viewer_key
from cdvft_app.store.records import UnknownRun
from cdvft_app.store.runs import RunStore
from cdvft_app.ui import api
from cdvft_app.ui.compare import finished_races
from cdvft_app.ui.header import standing
from cdvft_app.ui.shared.state import AppState
from cdvft_app.ui.shared.viewing import acting_as
from cdvft_app.ui.train.first_shown import first_shown
from cdvft_app.ui.train.history import races
from cdvft_app.ui.train.run_view import Feed, poll


@pytest.fixture
def run(app: AppState):
    (made,) = app.store.create([RunSettings(method="lora")], "mine", "secret name", private=True)
    for state in ("preparing", "running", "finished"):
        app.store.set_state(made.id, state)
    return made


def shows(app: AppState, run) -> list[bool]:
    try:
        known = api.state(app, run.id)["run_id"] == run.id
    except UserError as refused:
        assert "there is no run" in str(refused)
        known = False
    return [
        known,
        bool(races(app.store, {})["races"]),
        bool(json.loads(poll(app.store, Feed(app.store), {"cursors": {run.id: 0}}).body)["runs"]),
        run.id in first_shown(app, run.id, "")["runs"],
        bool(finished_races.choices(app.store)),
        bool(finished_races.measured(app.store, run.group_id)),
    ]


@pytest.mark.parametrize(("token", "sees"), [("mine", True), ("theirs", False), ("", False), (None, False)])
def test_a_token_shows_its_owners_private_run(app, run, token, sees):
    with acting_as(token):
        assert shows(app, run) == [sees] * 6


@pytest.mark.parametrize(
    ("cookie", "sees"),
    [
        (viewer_key("mine"), True),
        (token_hash("mine"), False),
        (token_hash("mine").partition(":")[2], False),
        ("mine", False),
        ("", False),
    ],
)
def test_the_cookie_shows_it_too_but_cannot_change_it(app, run, cookie, sees):
    with asking(SimpleNamespace(cookies={"cdvft-viewer": cookie})):
        assert shows(app, run) == [sees] * 6
        assert not app.store.owner(run.id, viewer_key("mine"))
        assert not app.store.owner(run.id, token_hash("mine"))


def test_what_another_program_changes_is_seen_at_the_next_look(app, run):
    other = RunStore(app.store.root)

    def seen(token):
        with acting_as(token):
            listed = [(race["name"], race["mine"]) for race in races(app.store, {"token": token})["races"]]
            offered = [name.partition(" · ")[0] for name, _ in finished_races.choices(app.store)]
            polled = json.loads(poll(app.store, Feed(app.store), {"cursors": {run.id: 0}}).body)["runs"]
        assert [name for name, _ in listed] == offered == [one["name"] for one in polled]
        return listed

    assert (seen("mine"), seen("theirs")) == ([("secret name", True)], [])
    other.set_private(run.id, False, "mine")
    assert seen("theirs") == [("secret name", False)]
    other.rename(run.id, "known name", "mine")
    assert (seen("mine"), seen("theirs")) == ([("known name", True)], [("known name", False)])
    other.hide(run.id, True)
    assert (seen("mine"), seen("theirs")) == ([("known name", True)], [])
    with sqlite3.connect(app.store.root / "history.sqlite") as connection:
        connection.execute("UPDATE runs SET token_hash = ?", (token_hash("theirs"),))
    assert (seen("mine"), seen("theirs")) == ([], [("known name", True)])
    other.remove(run.id)
    assert (seen("mine"), seen("theirs")) == ([], [])


def test_what_it_learned_is_not_asked_or_taken_by_others(app, run):
    asked = Answering(app.store)
    for about in ({"run_id": run.id}, {"run_ids": [run.id]}):
        with pytest.raises(UnknownRun, match="There is no run"):
            asked.ask("prove", **about)


def test_names_are_hidden_on_a_public_server(app, run, monkeypatch):
    app.store.create([RunSettings(method="lora", recipe="mnist")], "theirs", "their name")
    assert [race["name"] for race in races(app.store, {})["races"]] == ["their name"]
    monkeypatch.setenv("CDVFT_PUBLIC", "1")
    with acting_as("mine"):
        names = [race["name"] for race in races(app.store, {})["races"]]
    assert names == ["Handwritten digits (MNIST)", "secret name"]


@pytest.mark.parametrize(("given", "said"), [("blue-7", False), ("blue-8", True), ("", False)])
def test_a_code_that_nobody_gave_out_is_said(app, monkeypatch, given, said):
    monkeypatch.setenv("CDVFT_PUBLIC", "1")
    monkeypatch.setenv("CDVFT_CODES", "blue-7")
    page = SimpleNamespace(cookie_id="0", tokens={})
    asked = {"cookies": {"cdvft-code": given}, "headers": {}, "client": SimpleNamespace(host="192.0.2.1")}
    with asking(SimpleNamespace(**asked, app=page)):
        told = standing(app.queue.budget, None)
    assert ("not one of this class" in told["text"]) is said
    assert told["visitor"] == ("your code" if given == "blue-7" else "your network address")
