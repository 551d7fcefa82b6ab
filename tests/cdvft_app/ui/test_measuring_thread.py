"""What lessons measure on the server: by one thread, as what a thread has measured with stays in memory."""

from __future__ import annotations

import asyncio
import threading

from cdvft_app.ui.learn import tab


def test_every_measurement_is_made_by_the_same_thread(app, monkeypatch):
    made_by = []

    def measured():
        made_by.append(threading.get_ident())
        return {"lengths": []}

    monkeypatch.setattr("cdvft_app.lessons.crossover.measured", measured)
    monkeypatch.setattr(tab, "SHARED_SECONDS", -1)  # each who asks has it measured anew
    crossover = tab.server_functions(app)["products"]["crossover"]

    async def ask():
        return await crossover({})

    for _ in range(3):
        thread = threading.Thread(target=lambda: asyncio.run(ask()))
        thread.start()
        thread.join()
    assert len(made_by) == 3 and len(set(made_by)) == 1
