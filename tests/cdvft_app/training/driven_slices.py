"""Slices of runs, driven as a page would: see the fixture `start_slices`."""

from __future__ import annotations

from queued_runs import wait_for

from cdvft_app.settings import RunSettings
from cdvft_app.store.states import FINAL

RUN = RunSettings(method="cdvft", max_steps=40)


def drive(slices, run_id):
    """One slice to its end; what it told, None where there was none to drive."""
    return list(slices.drive(run_id)) or None


def drive_to_the_end(slices, store, run_id):
    wait_for(lambda: not drive(slices, run_id) and store.state(run_id) in FINAL)
