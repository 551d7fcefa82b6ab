"""The lab's fits, of which a class asks for many at once: equal ones are computed once, others by turns.

All of it happens on the page's event loop; a fit's own work is done in a thread.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Generator
from dataclasses import dataclass, field
from typing import Literal

from anyio import CapacityLimiter, Condition

from cdvft_app.errors import TooManyRequests
from cdvft_app.payloads.learn import LabView
from cdvft_app.ui.shared.pool import Closable, in_threads

MAX_WAITING_EACH = 30  # different fits of one visitor, who may be a class behind one address
MAX_KEPT = 16  # fits that have ended, of up to 0.6 MB each
EMPTY: LabView = {"running": False, "status": "", "sentence": "", "fits": [], "pictures": {}}

Work = Callable[[], Generator[LabView, None, None]]


@dataclass(eq=False)
class _Fit:
    visitor: str | None
    work: Work
    view: LabView = field(default_factory=lambda: EMPTY)
    state: Literal["waiting", "running", "ended"] = "waiting"
    viewers: int = 0
    error: Exception | None = None


class Viewer:
    """A viewer of a fit. A fit without viewers ends, or never begins."""

    def __init__(self, fit: _Fit, changed: Condition, leave: Callable[[], None]) -> None:
        self._fit, self._changed, self._leave = fit, changed, leave
        self._seen: LabView | None = None
        self.has_left = False

    async def views(self) -> AsyncIterator[LabView]:
        """Yield the latest view and each later one, until the viewer leaves; raise what the work raised."""
        while self._has_news() or self._fit.state != "ended":
            async with self._changed:
                await self._changed.wait_for(
                    lambda: self.has_left or self._has_news() or self._fit.state == "ended"
                )
            if self.has_left:
                return
            if self._fit.error is not None:
                raise self._fit.error
            if self._has_news():
                self._seen = self._fit.view
                yield self._seen

    def _has_news(self) -> bool:
        return self._seen is not self._fit.view

    def leave(self) -> None:
        """Once, however often it is called."""
        if not self.has_left:
            self.has_left = True
            self._leave()

    async def stop(self) -> None:
        """Leave, and let `views` end at once."""
        self.leave()
        async with self._changed:
            self._changed.notify_all()


class SharedFits:
    """One fit is computed at a time; next is that of the visitor who had the fewest since all rested."""

    def __init__(self) -> None:
        self._fits: dict[str, _Fit] = {}  # by what is asked for
        self._changed = Condition()
        self._had: Counter[str | None] = Counter()
        self._thread = CapacityLimiter(1)
        self._working: asyncio.Task[None] | None = None

    def look(self, key: str, visitor: str | None, work: Work) -> Viewer:
        """Look at what `work` yields, or at what the fit of this key yields already, or did.

        Raises:
            TooManyRequests: the visitor has too many others waiting.
        """
        fit = self._fits.get(key)
        if fit is None:
            if sum(other.visitor == visitor for other in self._waiting()) >= MAX_WAITING_EACH:
                raise TooManyRequests(
                    f"{MAX_WAITING_EACH} fits of yours wait here already. Wait for one of them."
                )
            fit = self._fits[key] = _Fit(visitor, work)
            self._tell_waiting()
        fit.viewers += 1
        if self._working is None or self._working.done():
            self._working = asyncio.create_task(self._compute_all())

        def leave() -> None:
            fit.viewers -= 1
            if not fit.viewers and fit.state == "waiting":
                del self._fits[key]

        return Viewer(fit, self._changed, leave)

    def _waiting(self) -> list[_Fit]:
        return [fit for fit in self._fits.values() if fit.state == "waiting"]

    def _tell_waiting(self) -> None:
        waiting = self._waiting()
        others = len(waiting) - 1 + any(fit.state == "running" for fit in self._fits.values())
        for fit in waiting:
            line = f" · {others} other{'s' * (others > 1)} in line" if others else ""
            fit.view = {**EMPTY, "running": True, "status": f"Waiting for its turn{line}"}

    async def _compute_all(self) -> None:
        while waiting := self._waiting():
            fit = min(waiting, key=lambda one: self._had[one.visitor])
            self._had[fit.visitor] += 1
            fit.state = "running"
            self._tell_waiting()
            await self._compute(fit)
            ended = [key for key, one in self._fits.items() if one.state == "ended"]
            for key in ended:
                if not self._fits[key].view["fits"] or key in ended[:-MAX_KEPT]:
                    del self._fits[key]
            async with self._changed:
                self._changed.notify_all()
        self._had.clear()

    async def _compute(self, fit: _Fit) -> None:
        work = Closable(fit.work())
        try:
            async for view in in_threads(work, self._thread):
                if not fit.viewers:
                    fit.view = EMPTY
                    break
                fit.view = view
                async with self._changed:
                    self._changed.notify_all()
        except Exception as error:
            fit.view, fit.error = EMPTY, error
        finally:
            work.close()
            fit.state = "ended"
