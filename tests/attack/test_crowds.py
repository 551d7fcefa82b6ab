"""Who opens many sessions, or asks much at once, takes nothing from another visitor and holds nobody up."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import httpx
import pytest
from started_server import PublicServer, Stranger
from waiting import wait_for


class Page:
    """What a browser is told of the page: its parts by their names, and what their events take."""

    def __init__(self, server: PublicServer) -> None:
        config = httpx.get(server.url + "config", timeout=60).json()
        self.events = config["dependencies"]
        self.part = {one["props"].get("elem_id"): one["id"] for one in config["components"]}
        self.shown = {one["id"]: one["props"].get("value") for one in config["components"]}

    def of(self, part: str, event: str, fills: str) -> dict[str, Any]:
        """An event of a part that fills another one."""
        at, into = [self.part[part], event], self.part[fills]
        return next(one for one in self.events if at in one["targets"] and into in one["outputs"])


@pytest.fixture(scope="module")
def page(server: PublicServer) -> Page:
    return Page(server)


def send(who: Stranger, event: dict[str, Any], session: str, *values: Any) -> httpx.Response:
    """Have an event that waits in no queue, as a session's."""
    asked = {"fn_index": event["id"], "data": values, "session_hash": session}
    return who.client.post("gradio_api/run/predict", json=asked)


def poll(who: Stranger) -> None:
    asked = {"cursors": {}, "token": ""}
    assert who.client.post("cdvft/train/run_view/poll", json=asked).is_success


def test_many_sessions_evict_nobodys_form(stranger, page, length) -> None:
    """140 sessions of a stranger's threw out everybody's form."""
    ada, mallory = stranger(), stranger()
    offered = page.of("use-race", "focus", "use-race")
    (races,) = send(ada, offered, "of-ada").json()["data"]
    opened = send(ada, page.of("use-race", "change", "use-run"), "of-ada", races["choices"][0][1])
    (runs,) = (one["choices"] for one in opened.json()["data"] if isinstance(one, dict) and "choices" in one)

    def chooses(session: str) -> bool:
        return send(ada, page.of("use-run", "change", "use-request"), session, runs[-1][1]).is_success

    assert chooses("of-ada"), "what was offered to this session"
    assert not chooses("of-nobody"), "and to no other"
    for number in range(length(1200)):
        send(mallory, offered, f"of-mallory-{number}")
    assert chooses("of-ada")
    poll(ada)


def test_who_asks_much_at_once_holds_up_nobodys_polls(stranger: Callable[[], Stranger], page: Page) -> None:
    """48 questions side by side made everybody's polls take 4 seconds for two minutes."""
    ada, mallory = stranger(), stranger()
    costs = page.of("compare-pages", "turned", "costs")
    statuses: list[int] = []

    def ask(number: int) -> None:
        asking = Stranger(mallory.server, mallory.code)
        for batch in range(3 * number + 1, 3 * number + 4):  # none is known
            values = page.shown | {page.part["cost-batch"]: str(batch)}
            given = [values[one] for one in costs["inputs"]]
            statuses.append(send(asking, costs, f"asks-{number}", *given).status_code)

    with ThreadPoolExecutor(48) as threads:
        threads.map(ask, range(48))
        wait_for(lambda: statuses)
        answers = [len(statuses)]  # to mallory, before and after each of ada's polls
        for _ in range(10):
            poll(ada)
            answers.append(len(statuses))
    assert len(statuses) == 3 * 48 and set(statuses) == {200}
    assert answers[-1] < 3 * 48, "mallory still asked"
    before_each = [after - before for before, after in pairwise(answers)]
    # She has four threads, and the 48 were all before a poll that waited for its turn.
    assert statistics.median(before_each) < 48 / 3, before_each
