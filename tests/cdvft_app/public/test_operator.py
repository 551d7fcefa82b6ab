"""`cdvft admin`: what the operator of a server sees and does."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from cdvft_app.commands.main import app as commands
from cdvft_app.settings import RunSettings
from cdvft_app.store.processes import this_process

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


def test_admin_stops_and_hides_runs(store, runs):
    def said(*arguments):
        ended = CliRunner().invoke(commands, ["admin", *arguments])
        assert ended.exit_code == 0, ended.output
        return ended.output

    first, second, third = (run.id for run in runs)
    said("hide", second, third)
    assert store.get(second).hidden and store.get(third).hidden
    said("show", third)
    assert not store.get(third).hidden
    said("stop", first)
    assert store.state(first) == "stopping"
