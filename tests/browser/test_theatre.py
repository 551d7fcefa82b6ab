"""The Factors tab as a theatre: a run that trains is followed."""

from __future__ import annotations

import numpy as np
import pytest
import run_events
from playwright.sync_api import expect
from studio import Server, Visit
from synthetic_runs import QUERY, settings, vectors
from visitors import MOVING

from cdvft_app.store import leases, snapshots

pytestmark = pytest.mark.browser


def test_a_run_that_trains_is_followed_to_its_end(
    visit: Visit, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "LEASE_SECONDS", 600.0)  # nobody renews it
    rng = np.random.default_rng(3)
    found = {f"{QUERY.format(0)}/{name}": x for name, x in vectors(rng, 8, 8, 2).items()}
    [run] = server.store.create([settings()], "somebody", "Under way", process="1:1")
    folder = server.store.folder(run.id)
    server.store.append(run.id, run_events.started(9))
    snapshots.write(folder, 0, found)
    page = visit(f"?run=nothing&tab=factors&factors={run.id}", ready=".factors[data-layer]", **MOVING)
    expect(page.locator(".factors .origin")).to_contain_text("Training, followed live: step 0")
    for step in (3, 6):
        server.store.append(run.id, run_events.step(step))
        snapshots.write(folder, step, {name: step * x for name, x in found.items()})
        expect(page.locator(".player .readout")).to_contain_text(f"step {step} of {step}")
    page.get_by_role("slider", name="Training step").focus()
    page.keyboard.press("Home")
    server.store.append(run.id, run_events.done(6, folder))
    expect(page.locator(".factors .origin")).not_to_contain_text("followed live")
    expect(page.locator(".player .readout")).to_contain_text("step 0 of 6")  # where somebody was looking
    expect(page.locator(".compare tbody tr")).to_have_count(1)
