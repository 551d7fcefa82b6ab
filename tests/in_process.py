"""An executor in this process, for tests that look into what trains, or do not care where it does."""

from __future__ import annotations

import threading

from cdvft_app.executors.base import Executor
from cdvft_app.store.records import RunRecord
from cdvft_app.store.runs import RunStore
from cdvft_app.training.run import StopConditions, Train, train_run


class InProcess(Executor):
    """`RunQueue(store, executor=InProcess(train))` trains in threads; what cannot be ended is left."""

    def __init__(self, train: Train) -> None:
        self._train = train

    def start(self, store: RunStore, run: RunRecord, limit: float | None = None) -> Thread:
        return Thread(store, run, self._train)


class Thread:
    def __init__(self, store: RunStore, run: RunRecord, train: Train) -> None:
        self._failure = ""
        self._ended = threading.Event()
        threading.Thread(target=self._work, args=(store, run, train), daemon=True).start()

    def poll(self, seconds: float) -> bool:
        return self._ended.wait(seconds)

    def stop(self) -> None:
        pass

    def reason(self) -> str:
        return self._failure

    def _work(self, store: RunStore, run: RunRecord, train: Train) -> None:
        try:
            train_run(store, run, train, StopConditions())
        except Exception as error:
            self._failure = str(error)
        finally:
            self._ended.set()


def spent(store: RunStore, visitor: str) -> float:
    """Return the seconds that are counted for a visitor."""
    return sum(seconds for _, seconds in store.spending.since(visitor, 0))
