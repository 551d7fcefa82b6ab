"""Threads of their own for answers that take long: however many ask, polls keep theirs."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from typing import Any, TypeVar

import anyio
import anyio.to_thread

Item = TypeVar("Item")


class Pool:
    """At most `threads` calls at a time and `waiting` behind them; who comes then is told `busy`."""

    def __init__(self, threads: int, waiting: int, busy: str) -> None:
        self._threads = anyio.CapacityLimiter(threads)
        self._most = threads + waiting
        self._inside = 0  # changed by the event loop's thread alone
        self._busy = busy

    def answering(self, call: Callable[[object], Any]) -> Callable[[object], Awaitable[Any]]:
        """`call` as a server function of a component. Who waits for a thread holds none."""

        async def answer(argument: object) -> Any:
            if self._inside >= self._most:
                return {"error": self._busy, "busy": True}
            self._inside += 1
            try:
                return await anyio.to_thread.run_sync(call, argument, limiter=self._threads)
            finally:
                self._inside -= 1

        return answer


class Closable(Iterator[Item]):
    """What a generator yields, to be closed by any thread: at once, or after the item now computed."""

    def __init__(self, work: Generator[Item, None, None]) -> None:
        self._work = work
        self._lock = threading.Lock()
        self._ended = False

    def __next__(self) -> Item:
        try:
            with self._lock:
                return next(self._work)
        finally:
            if self._ended:  # meanwhile, or while the lock was held
                self.close()

    def close(self) -> None:
        self._ended = True
        if self._lock.acquire(blocking=False):
            try:
                self._work.close()
            finally:
                self._lock.release()


async def in_threads(work: Iterator[Item], threads: anyio.CapacityLimiter) -> AsyncIterator[Item]:
    """What `work` yields, each item computed in one of these threads."""
    end: Any = object()
    while (item := await anyio.to_thread.run_sync(next, work, end, limiter=threads)) is not end:
        yield item
