"""The thread that keeps a run's lease while this process trains it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from cdvft_app.store import leases
from cdvft_app.store.records import LeaseLost, RunRecord, StoreError
from cdvft_app.store.runs import RunStore


@contextmanager
def renewing(store: RunStore, run: RunRecord) -> Iterator[None]:
    """Renew the lease of `run` until the end of the block; a full disk now and then does no harm."""
    ended = threading.Event()

    def renew() -> None:
        while not ended.wait(leases.RENEWAL_SECONDS):
            try:
                store.leases.renew(run.id, run.epoch)
            except LeaseLost:
                return  # what the training writes next is refused
            except StoreError:
                continue

    thread = threading.Thread(target=renew, name=f"lease-{run.id}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
