"""Threads of their own for answers that take long: however many ask, polls keep theirs.

Of every pool each visitor has at most a share, so that one who asks much waits for himself alone.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial, wraps
from typing import Any, TypeVar

import anyio
import anyio.to_thread
import gradio as gr

from cdvft_app.errors import TooManyRequests
from cdvft_app.results.answering import Answering
from cdvft_app.settings.environment import environment
from cdvft_app.ui.shared.problem import refusal
from cdvft_app.ui.shared.viewing import client_key

Item = TypeVar("Item")
WAITING_OF_ONE = 128
"""Calls of one visitor that may wait in a pool; who waits holds no thread. A visitor may be a class of thirty
behind one address, and each of its browsers asks for several things at once."""
STREAMING = 8  # threads of `SessionStreams`; visitors who wait for their turn hold none of them
PRIVATE_SHARES = 4  # of those of a public server, where those who ask know one another


def shares() -> int:
    """Return how many visitors' shares one network address may take."""
    return 1 if environment().public else PRIVATE_SHARES


@dataclass
class _OfVisitor:
    threads: anyio.CapacityLimiter
    inside: int = field(default=0)


class Pool:
    """At most `threads` calls at a time and `waiting` behind them; who comes then is told `busy`.

    `share` are the calls of one visitor that may run at a time, and those that may wait behind them.
    """

    def __init__(self, threads: int, waiting: int, busy: str, share: tuple[int, int]) -> None:
        self._threads = anyio.CapacityLimiter(threads)
        self._most = threads + waiting
        self._share = share
        self._inside = 0  # this and the visitors are changed by the event loop's thread alone
        self._visitors: dict[str, _OfVisitor] = {}
        self._busy = busy

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        """Wait for one of the places that the visitor may hold at a time, and hold it.

        Raises:
            TooManyRequests: the pool is full, or the visitor's share of it.
        """
        who = client_key()
        running, waiting = (number * shares() for number in self._share)
        mine = self._visitors.get(who) or _OfVisitor(anyio.CapacityLimiter(running))
        if self._inside >= self._most or mine.inside >= running + waiting:
            raise TooManyRequests(self._busy)
        self._visitors[who] = mine
        self._inside += 1
        mine.inside += 1
        try:
            async with mine.threads:
                yield
        finally:
            self._inside -= 1
            mine.inside -= 1
            if not mine.inside:
                del self._visitors[who]

    async def run(self, call: Callable[..., Any], *arguments: Any) -> Any:
        """Return what the call returns. A call that waits for a thread holds none.

        Raises:
            TooManyRequests: the pool is full, or the visitor's share of it.
        """
        async with self._place():
            return await anyio.to_thread.run_sync(call, *arguments, limiter=self._threads)

    def running(self, call: Callable[[Any], Any]) -> Callable[[Any], Awaitable[Any]]:
        """`call` as a server function of a component; it raises `TooManyRequests`."""

        @wraps(call)
        async def answer(argument: Any) -> Any:
            return await self.run(call, argument)

        return answer

    def handling(self, handler: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
        """`handler` of an event of Gradio's, by its name and signature; refused with a sentence."""

        @wraps(handler)
        async def handle(*arguments: Any, **named: Any) -> Any:
            try:
                return await self.run(partial(handler, *arguments, **named))
            except TooManyRequests as busy:
                raise refusal(str(busy)) from None

        return handle


class Closable(Iterator[Item]):
    """An iterator over a generator, which any thread may close: at once, or after the item being computed."""

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
    """Yield the items of `work`, each computed in one of these threads."""
    end: Any = object()
    while (item := await anyio.to_thread.run_sync(next, work, end, limiter=threads)) is not end:
        yield item


class SessionStreams:
    """Answers of `answering` that come bit by bit, which each session can stop for itself alone."""

    def __init__(self, answering: Answering) -> None:
        self._answering = answering
        self._threads = anyio.CapacityLimiter(STREAMING)
        self._sessions: set[str | None] = set()

    @contextmanager
    def of(self, request: gr.Request, work: Generator[Item, None, None]) -> Iterator[AsyncIterator[Item]]:
        """Enter with the items of `work`, which is closed at the end, also where the visitor has gone."""
        closable = Closable(work)
        self._sessions.add(request.session_hash)
        try:
            yield in_threads(closable, self._threads)
        finally:
            self._sessions.discard(request.session_hash)
            closable.close()

    def answers(self, request: gr.Request) -> bool:
        """Return whether an answer to this session is under way."""
        return request.session_hash in self._sessions

    def stop_own(self, request: gr.Request) -> None:
        """Stop the answer under way, if it is this session's."""
        if self.answers(request):
            self._answering.stop()
