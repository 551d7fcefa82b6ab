"""Simulated visitors: each sends the HTTP requests of a browser that has the page open."""

from __future__ import annotations

import http.client
import json
import math
import random
import secrets
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

POLL_SECONDS = 1.0  # as assets/js/train/run_view.js
TAB_SECONDS = 15.0  # from one opened tab to a visitor's next one, on average
TABS = ("Compare", "Factors", "Use", "Lesson", "Ask", "Upload", "Class")
FOLLOW_SECONDS = 2.0  # as assets/js/learn/class_bar.js
FOLLOWS = 5  # every fifth visitor follows the class
ROWS = "text,label\n" + "".join(
    f"film number {row} was {word},{word}\n" for row in range(100) for word in ("good", "bad")
)


class Page:
    """One open page: a persistent connection, and the ids of its components.

    Attributes:
        pupil: who asks, in the class of which it has the code
    """

    def __init__(self, address: str, config: dict[str, Any] | None = None, class_code: str = "") -> None:
        self._connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
        self._session = secrets.token_hex(6)
        self.pupil = {"code": class_code, "pupil": self._session}
        self.config = config or self._ask("GET", "/config")

    def serve(self, function: str, argument: dict[str, Any]) -> Any:
        """The answer of a server function, "part/name"."""
        return self._ask("POST", f"/cdvft/{function}", json.dumps(argument))

    def call(self, endpoint: str, *values: Any) -> Any:
        """The answer of a named endpoint, which waits in Gradio's queue and comes as a stream of events."""
        path = f"/gradio_api/call/{endpoint}"
        event = self._ask("POST", path, json.dumps({"data": values}))["event_id"]
        stream = self._read("GET", f"{path}/{event}").decode()
        kind, _, told = stream.strip().rpartition("event: ")[2].partition("\n")
        if kind != "complete":
            raise RuntimeError(f"{path}: {stream[-200:]}")
        return json.loads(told.removeprefix("data: "))

    def event(self, target: str | None, kind: str, *values: Any, fills: str | None = None) -> Any:
        """The answer to an event of a component, or of the page (None), that updates another one."""
        target_id = 0 if target is None else self._place(target)
        found = next(
            one
            for one in self.config["dependencies"]
            if [target_id, kind] in one["targets"] and (fills is None or self._place(fills) in one["outputs"])
        )
        request = {"data": list(values), "fn_index": found["id"], "trigger_id": target_id}
        return self._post("/gradio_api/run/predict", request)["data"]

    def inputs(self, target: str, kind: str, fills: str) -> list[Any]:
        """The values that the page begins with, of the inputs of this event that updates `fills`."""
        values = {one["id"]: one["props"].get("value") for one in self.config["components"]}
        place = self._place(fills)
        found = next(
            one
            for one in self.config["dependencies"]
            if [self._place(target), kind] in one["targets"] and place in one["outputs"]
        )
        return [values[one] for one in found["inputs"]]

    def close(self) -> None:
        self._connection.close()

    def _place(self, part: str) -> int:
        return next(one["id"] for one in self.config["components"] if one["props"].get("elem_id") == part)

    def _post(self, path: str, request: dict[str, Any]) -> Any:
        return self._ask("POST", path, json.dumps(request | {"session_hash": self._session}))

    def _ask(self, verb: str, path: str, body: str | None = None) -> Any:
        return json.loads(self._read(verb, path, body))

    def _read(self, verb: str, path: str, body: str | None = None) -> bytes:
        headers = {"Content-Type": "application/json"} if body else {}
        try:
            self._connection.request(verb, path, body, headers)
            answer = self._connection.getresponse()
        except ConnectionError:  # the server closes idle connections; a browser reconnects, too
            self._connection.close()
            self._connection.request(verb, path, body, headers)
            answer = self._connection.getresponse()
        content = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{path}: {answer.status} {content[:200]!r}")
        return content


def poll(page: Page, cursors: dict[str, int]) -> None:
    """The request that the Train tab sends once a second; updates `cursors`."""
    for run in page.serve("train/run_view/poll", {"cursors": cursors, "token": ""})["runs"]:
        cursors[run["id"]] = run["cursor"]


def open_compare(page: Page) -> None:
    page.event("compare-pages", "turned", *page.inputs("compare-pages", "turned", "costs"), fills="costs")
    for flops in (False, True):
        page.serve("compare/outcomes/outcomes", {"chosen": None, "flops": flops})


def open_factors(page: Page) -> None:
    run = page.serve("factors/tab/runs", {})["runs"][0]["id"]
    layers = page.serve("factors/tab/open", {"run": run})["layers"]
    layer = {"run": run, "module": layers[-1]["module"]}
    page.serve("factors/tab/layer", layer)
    page.serve("factors/tab/singular", layer)
    page.serve("factors/tab/overview", {"run": run, "first": 0})


def open_use(page: Page) -> None:
    offered = page.event("use-race", "focus", fills="use-race")[0]
    page.event("use-race", "change", offered["choices"][0][1])


def open_lesson(page: Page) -> None:
    """A pupil has the product timed."""
    page.serve("learn/products/crossover", {})


def ask(page: Page) -> None:
    run = page.serve("factors/tab/runs", {})["runs"][1]["id"]  # the first one trains
    page.call("predict", [run], ["A gripping, funny and deeply human film."], None, "", None)


def upload(page: Page) -> None:
    rows = f"{ROWS}{secrets.token_hex(8)},good\n"  # the same file again would not be read
    kept = page.call("upload_dataset", rows, "films.csv", "", "")[0]
    page.call("delete_dataset", kept["id"], kept["token"])


def follow(page: Page) -> None:
    """The request that a pupil's page sends every two seconds."""
    _class_bar(page, "seen")


def answer_in_class(page: Page) -> None:
    """A pupil predicts before the reveal, and answers a question that the server draws and grades."""
    _class_bar(page, "vote", question="rank-zero", given=random.randint(1, 9))
    drawn = _class_bar(page, "draw", kind="rank")
    _class_bar(page, "answer", number=drawn["number"], given=random.randint(1, 9))


def _class_bar(page: Page, function: str, **asked: Any) -> Any:
    answer = page.serve(f"learn/class_bar/{function}", page.pupil | asked)
    if "error" in answer:
        raise RuntimeError(answer["error"])
    return answer


OPEN: dict[str, Callable[[Page], None]] = dict(
    zip(TABS, (open_compare, open_factors, open_use, open_lesson, ask, upload, answer_in_class), strict=True)
)


class Visitors:
    """`count` visitors, a thread each, from `start` to `end`; `seconds` of their requests by kind."""

    def __init__(
        self, count: int, address: str, config: dict[str, Any], run_id: str, class_code: str
    ) -> None:
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self.failures: list[str] = []
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(
                target=self._visit,
                args=(number, count, Page(address, config, class_code), run_id),
                daemon=True,
            )
            for number in range(count)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def reset_times(self) -> None:
        """Forget the seconds so far, as those of a warm-up."""
        self.seconds.clear()

    def end(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _visit(self, number: int, count: int, page: Page, run_id: str) -> None:
        drawn = random.Random(number)
        cursors = {run_id: 0}
        tabs = number  # the first tab is another one for each
        due = time.monotonic() + POLL_SECONDS * number / count
        follows = due if number % FOLLOWS == 0 else math.inf
        opens = due + TAB_SECONDS * drawn.random()
        while not self._ended.wait(max(0.0, due - time.monotonic())):
            self._timed("poll", lambda: poll(page, cursors))
            due += POLL_SECONDS
            if time.monotonic() > follows:
                self._timed("Follow", lambda: follow(page))
                follows += FOLLOW_SECONDS
            if time.monotonic() > opens:
                tab = TABS[tabs % len(TABS)]
                self._timed(tab, lambda tab=tab: OPEN[tab](page))  # type: ignore[misc]
                tabs += 1
                opens = time.monotonic() + TAB_SECONDS * (0.5 + drawn.random())
            due = max(due, time.monotonic())
        page.close()

    def _timed(self, what: str, call: Callable[[], None]) -> None:
        since = time.monotonic()
        try:
            call()
        except (OSError, RuntimeError, http.client.HTTPException) as error:
            self.failures.append(f"{what}: {error}")
            return
        self.seconds[what].append(time.monotonic() - since)
