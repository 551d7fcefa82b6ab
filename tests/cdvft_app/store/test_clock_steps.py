"""The system's clock is set while runs train: nobody is taken for dead, and nobody pays for the step."""

from __future__ import annotations

import time

import psutil
import pytest
from clocks import set_clock
from stored_runs import STARTED

from cdvft_app.public import budget
from cdvft_app.store import leases, queue, runs
from cdvft_app.store.processes import moment, this_process

pytestmark = pytest.mark.skipif(moment() is None, reason="needs a system that says when it was started")


@pytest.fixture(params=[3600.0, -3600.0])
def step_clock(request, monkeypatch):
    """Sets the clock, and with it what the system says of when processes began."""
    created = psutil.Process.create_time

    def step() -> None:
        set_clock(monkeypatch, (budget, leases, queue, runs), time=lambda: time.time() + request.param)
        monkeypatch.setattr(psutil.Process, "create_time", lambda self: created(self) + request.param)

    return step


def test_a_lease_holds_across_a_step(store, run_id, step_clock):
    run = store.leases.acquire(run_id, this_process())
    step_clock()
    assert store.leases.expire() == []
    store.append(run_id, STARTED, run.epoch)
    store.leases.renew(run_id, run.epoch)
    assert store.leases.expire() == [] and store.state(run_id) == "running"
