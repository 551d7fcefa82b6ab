"""What the operator may do, by the key on the page and from a terminal, and what nobody else may."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from cdvft_app.commands.main import app as commands
from cdvft_app.events import Placed
from cdvft_app.settings import RunSettings
from cdvft_app.store.owners import Viewer, token_hash
from cdvft_app.store.processes import this_process
from cdvft_app.training.executors import Executor, Node
from cdvft_app.ui.header import operate

KEY = "open, sesame seed"
RUN = RunSettings(method="lora")


@pytest.fixture(autouse=True)
def public(tmp_path, monkeypatch):
    monkeypatch.setenv("CDVFT_PUBLIC", "1")
    monkeypatch.setenv("RUNS_DIR", str(tmp_path))


@pytest.fixture
def runs(store):
    """Ada's run trains and is private, two of Bob's wait."""
    (first,) = store.create([RUN], "ada's", "Ada's own", visitor="account ada", private=True)
    store.leases.next(this_process())
    return [first, *store.create([RUN] * 2, "bob's", "Bob's", visitor="address 192.0.2.1")]


@pytest.mark.parametrize("key", ["", KEY[:-1], KEY + " ", KEY.upper(), "\ud800"])
@pytest.mark.parametrize("kept", [KEY, ""])
def test_without_the_key_nothing_is_told_or_done(store, runs, monkeypatch, key, kept):
    monkeypatch.setenv("CDVFT_OPERATOR_KEY", kept)
    said = operate(store, {"key": key, "act": "clear"})
    assert "not the operator's key" in said["error"] and (said["visitors"], said["runs"]) == ([], [])
    assert [run.state for run in store.history()] == ["queued", "queued", "preparing"]


def test_the_operator_sees_all_and_acts_on_anybodys_runs(store, runs, monkeypatch):
    monkeypatch.setenv("CDVFT_OPERATOR_KEY", KEY)
    first, second, third = (run.id for run in runs)
    page = store.seen_by(lambda: Viewer(token_hash("bob's"), name=lambda run: "a race"))  # on Bob's page

    def act(act, run=""):
        return operate(page, {"key": KEY, "act": act, "run": run})

    said = operate(page, {"key": KEY})
    assert {(one["name"], one["visitor"], one["private"]) for one in said["runs"]} == {
        ("Ada's own", "account ada", True),
        ("Bob's", "address 192.0.2.1", False),
    }
    assert [(one["visitor"], one["runs"]) for one in said["visitors"]] == [
        ("account ada", 1),
        ("address 192.0.2.1", 2),
    ]
    assert "stop it first" in act("delete", first)["error"]
    assert act("stop", first)["error"] is None and store.state(first) == "stopping"
    act("hide", third)
    assert store.get(third).hidden and not act("show", third)["error"] and not store.get(third).hidden
    assert act("clear")["error"] is None
    assert [store.state(one) for one in (second, third)] == ["stopped", "stopped"]
    assert act("delete", second)["error"] is None and store.get(second) is None
    for unknown in ("none", "", "../.."):
        assert "There is no run" in act("delete", unknown)["error"]


class TwoNodes(Executor):
    def start(self, store, run, limit=None):
        raise NotImplementedError

    def nodes(self):
        return [Node("lab-1", "8 CPUs, 1 GPU"), Node("lab-2", "8 CPUs", "It has torch 2.6.0.")]

    def asks(self):
        return "1 CPU, 1 GPU"


def test_of_a_cluster_the_operator_sees_what_runs_where_and_who_waits_for_what(store, runs, monkeypatch):
    monkeypatch.setenv("CDVFT_OPERATOR_KEY", KEY)
    store.append(runs[0].id, Placed(1, "lab-1"))
    said = operate(store, {"key": KEY}, TwoNodes())
    where = {one["name"]: one["where"] for one in said["runs"]}
    assert where == {"Ada's own": "lab-1", "Bob's": "waits for 1 CPU, 1 GPU"}
    assert said["nodes"] == [
        {"name": "lab-1", "has": "8 CPUs, 1 GPU", "runs": 1, "problem": None},
        {"name": "lab-2", "has": "8 CPUs", "runs": 0, "problem": "It has torch 2.6.0."},
    ]
    assert operate(store, {"key": "wrong"}, TwoNodes())["nodes"] == []


def test_the_same_from_a_terminal(store, runs):
    def said(*arguments):
        ended = CliRunner().invoke(commands, ["admin", *arguments])
        assert ended.exit_code == 0, ended.output
        return ended.output

    first, second, third = (run.id for run in runs)
    assert "account ada" in said("visitors") and "192.0.2.1" in said("visitors")
    listed = said("runs").splitlines()
    assert [line.split()[0] for line in listed[1:]] == [third, second, first]
    assert "Ada's own" in listed[3] and "owner, operator" in listed[3] and "owner" not in listed[1]
    said("hide", second, third)
    assert store.get(second).hidden and store.get(third).hidden
    said("show", third)
    assert not store.get(third).hidden
    said("stop", first)
    assert store.state(first) == "stopping"
    assert "stopped 2 waiting runs" in said("clear")
    said("delete", second)
    assert store.get(second) is None
