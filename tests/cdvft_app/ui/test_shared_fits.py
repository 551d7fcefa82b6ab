"""A class fits matrices: equal fits are computed once, others by turns, and who leaves stops nobody's."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Generator, Iterator

import pytest

from cdvft_app.errors import TooManyRequests
from cdvft_app.payloads.learn import LabView
from cdvft_app.ui.learn import shared_fits
from cdvft_app.ui.learn.shared_fits import EMPTY, SharedFits, Viewer, Work

pytestmark = pytest.mark.anyio
FIT: LabView = {
    **EMPTY,
    "fits": [{"family": "low_rank", "size": 1, "parameters": 8, "error": 0.5, "spread": []}],
}


class Works:
    """Fits whose last view comes when `go` is set; `begun` has them in their order."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.begun: list[str] = []
        self.closed: list[str] = []

    def of(self, name: str) -> Work:
        def work() -> Generator[LabView, None, None]:
            self.begun.append(name)
            try:
                yield {**EMPTY, "running": True, "status": f"{name} runs"}
                while not self.go.wait(0.01):
                    yield {**EMPTY, "running": True, "status": f"{name} still runs"}
                yield {**FIT, "status": f"{name} is done"}
            finally:
                self.closed.append(name)

        return work


async def seen(viewer: Viewer) -> list[str]:
    try:
        return [view["status"] async for view in viewer.views()]
    finally:
        viewer.leave()


@pytest.fixture
def works() -> Iterator[Works]:
    begun = Works()
    yield begun
    begun.go.set()


async def test_thirty_who_ask_for_the_same_wait_for_one_fit(works: Works):
    fits = SharedFits()
    asked = [asyncio.create_task(seen(fits.look("a", "class", works.of("a")))) for _ in range(30)]
    await asyncio.sleep(0.1)
    works.go.set()
    found = await asyncio.gather(*asked)
    assert {statuses[-1] for statuses in found} == {"a is done"}
    assert await seen(fits.look("a", "somebody", works.of("a"))) == ["a is done"], "afterwards, for nothing"
    assert works.begun == ["a"]


async def test_different_fits_come_by_turns_and_say_how_many_wait(works: Works):
    fits = SharedFits()
    asked = [("a", "many"), ("b", "many"), ("c", "many"), ("d", "other")]
    tasks = [asyncio.create_task(seen(fits.look(name, visitor, works.of(name)))) for name, visitor in asked]
    await asyncio.sleep(0.1)
    works.go.set()
    found = await asyncio.gather(*tasks)
    assert [statuses[-1] for statuses in found] == [f"{name} is done" for name in "abcd"]
    assert works.begun == ["a", "d", "b", "c"], "who had none is before who had one"
    assert found[1][0] == "Waiting for its turn · 3 others in line"


async def test_a_fit_goes_on_until_the_last_viewer_leaves(works: Works):
    fits = SharedFits()
    first, second = fits.look("a", "one", works.of("a")), fits.look("a", "two", works.of("a"))
    of_second = second.views()
    while (await anext(of_second))["status"] != "a still runs":
        pass
    first.leave()
    first.leave()
    assert (await anext(of_second))["running"] and not works.closed
    second.leave()
    # A stopped fit's last words, which are none, took the place of what had been found.
    assert [view async for view in of_second] == [], "who has left sees nothing more"
    other = asyncio.create_task(seen(fits.look("b", "one", works.of("b"))))
    while "b" not in works.begun:
        await asyncio.sleep(0.01)
    assert works.closed == ["a"]
    again = fits.look("a", "one", works.of("a"))
    works.go.set()
    assert (await other)[-1] == "b is done" and (await seen(again))[-1] == "a is done"
    assert works.begun == ["a", "b", "a"], "what was left is not kept"


async def test_who_stops_waits_for_no_further_view(works: Works):
    def still() -> Generator[LabView, None, None]:
        yield {**EMPTY, "running": True, "status": "Fitting"}
        works.go.wait()
        yield FIT

    fits = SharedFits()
    viewers = [fits.look(name, "one", still) for name in ("runs", "waits")]
    asked = [asyncio.create_task(seen(viewer)) for viewer in viewers]
    await asyncio.sleep(0.1)
    for viewer in viewers:
        await viewer.stop()
    found = await asyncio.wait_for(asyncio.gather(*asked), 10)
    assert [statuses[-1] for statuses in found] == ["Fitting", "Waiting for its turn · 1 other in line"]


async def test_one_that_waits_and_is_left_never_begins(works: Works):
    fits = SharedFits()
    first = asyncio.create_task(seen(fits.look("a", "one", works.of("a"))))
    await asyncio.sleep(0.1)
    fits.look("b", "one", works.of("b")).leave()
    works.go.set()
    await first
    assert works.begun == ["a"]


async def test_who_has_too_many_waiting_is_told_so(works: Works, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shared_fits, "MAX_WAITING_EACH", 2)
    fits = SharedFits()
    viewers = [fits.look(name, "one", works.of(name)) for name in "ab"]
    with pytest.raises(TooManyRequests, match="2 fits of yours wait"):
        fits.look("c", "one", works.of("c"))
    viewers += [fits.look("a", "one", works.of("a")), fits.look("c", "two", works.of("c"))]
    works.go.set()
    await asyncio.gather(*map(seen, viewers))
    assert sorted(works.begun) == ["a", "b", "c"]


async def test_an_error_reaches_all_and_is_not_kept():
    begun = []

    def fail() -> Generator[LabView, None, None]:
        begun.append(1)
        yield {**EMPTY, "running": True}
        raise MemoryError("no room")

    fits = SharedFits()
    asked = [seen(fits.look("a", "one", fail)) for _ in range(2)]
    found = await asyncio.gather(*asked, return_exceptions=True)
    found += await asyncio.gather(seen(fits.look("a", "one", fail)), return_exceptions=True)
    assert [str(error) for error in found] == 3 * ["no room"] and len(begun) == 2


async def test_so_many_are_kept(works: Works, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shared_fits, "MAX_KEPT", 2)
    works.go.set()
    fits = SharedFits()
    for name in "abcba":
        await seen(fits.look(name, "one", works.of(name)))
    assert works.begun == ["a", "b", "c", "a"]
