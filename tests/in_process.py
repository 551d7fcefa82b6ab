"""An executor in this process, for tests that look into what trains, or do not care where it does."""

from __future__ import annotations

import threading

from cdvft_app.events import Halt
from cdvft_app.store.records import RunRecord
from cdvft_app.store.runs import RunStore
from cdvft_app.training.execution import Train, execute


class InProcess:
    """`JobQueue(store, executor=InProcess(train))` trains in threads; what cannot be ended is left."""

    def __init__(self, train: Train) -> None:
        self._train = train

    def __call__(self, store: RunStore, run: RunRecord, limit: float | None = None) -> Thread:
        return Thread(store, run, self._train)


class Thread:
    def __init__(self, store: RunStore, run: RunRecord, train: Train) -> None:
        self._failure = ""
        self._ended = threading.Event()
        threading.Thread(target=self._work, args=(store, run, train), daemon=True).start()

    def wait(self, seconds: float) -> bool:
        return self._ended.wait(seconds)

    def end(self) -> None:
        pass

    def reason(self) -> str:
        return self._failure

    def _work(self, store: RunStore, run: RunRecord, train: Train) -> None:
        try:
            execute(store, run, train, lambda: Halt.NO)
        except Exception as error:
            self._failure = str(error)
        finally:
            self._ended.set()
