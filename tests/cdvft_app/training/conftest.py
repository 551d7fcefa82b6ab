from __future__ import annotations

import pytest
from in_process import InProcess
from listening import run

from cdvft_app.training.jobs import JobQueue


@pytest.fixture(scope="session")
def whole(text_plan, text_rows, tmp_path_factory):
    """One run from start to end, as it was heard, and its folder."""
    folder = tmp_path_factory.mktemp("whole")
    heard, _ = run(text_plan(checkpoint_every=5), text_rows, folder)
    return heard, folder


@pytest.fixture
def queue(store):
    queues = []

    def make(train, workers=1, start=True):
        queues.append(JobQueue(store, workers, InProcess(train)))
        if start:
            queues[-1].start()
        return queues[-1]

    yield make
    for one in queues:
        one.close()
