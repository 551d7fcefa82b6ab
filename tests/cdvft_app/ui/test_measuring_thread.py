"""What lessons measure on the server: by one thread, as what a thread has measured with stays in memory."""

from __future__ import annotations

import asyncio
import threading

import pytest

from cdvft_app.store.runs import RunStore
from cdvft_app.training.queue import RunQueue
from cdvft_app.ui.learn import tab
from cdvft_app.ui.shared.state import AppState


def test_every_measurement_is_made_by_the_same_thread(tmp_path, monkeypatch: pytest.MonkeyPatch):
    made_by = []

    def measured():
        made_by.append(threading.get_ident())
        return {"lengths": []}

    monkeypatch.setattr("cdvft_app.lessons.crossover.measured", measured)
    monkeypatch.setattr(tab, "SHARED_SECONDS", -1)  # each who asks has it measured anew
    store = RunStore(tmp_path)
    crossover = tab.server_functions(AppState.make(store, RunQueue(store)))["products"]["crossover"]

    async def ask():
        return await crossover({})

    for _ in range(3):
        thread = threading.Thread(target=lambda: asyncio.run(ask()))
        thread.start()
        thread.join()
    store.close()
    assert len(made_by) == 3 and len(set(made_by)) == 1
