"""What the page's scripts ask the server: no session is kept for it, and no visitor makes others wait."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import gradio as gr
import pytest
from served import Served
from starlette.testclient import TestClient
from waiting import pace, wait_for

from cdvft_app.settings import RunSettings
from cdvft_app.store.records import RunRecord
from cdvft_app.ui import sessions
from cdvft_app.ui.build import build
from cdvft_app.ui.login import logins
from cdvft_app.ui.shared import server_functions
from cdvft_app.ui.shared.component import component
from cdvft_app.ui.shared.pool import Pool
from cdvft_app.ui.shared.state import AppState
from cdvft_app.ui.train import uploaded_panel

ADA, BOB = "192.0.2.1", "192.0.2.2"
POLL = "train/run_view/poll"


@pytest.fixture
def public(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CDVFT_PUBLIC", "1")


@pytest.fixture
def run(shared_page: Served) -> RunRecord:
    return shared_page.page.studio.store.create([RunSettings(method="cdvft")], "secret")[0]


def event(client: TestClient, page: gr.Blocks, name: str, session: str, data: list[Any]) -> Any:
    """An event of the page that waits in no queue, by its handler's name."""
    return client.post("/gradio_api/run/predict", json=event_body(page, name, session, data))


def event_body(page: gr.Blocks, name: str, session: str, data: list[Any]) -> dict[str, Any]:
    number = next(one._id for one in page.fns.values() if one.api_name == name)
    return {"session_hash": session, "fn_index": number, "data": data}


def test_polls_are_answered_and_no_session_is_kept_for_them(shared_page: Served, run: RunRecord) -> None:
    for _ in range(3):
        answer = shared_page.first.post(f"/cdvft/{POLL}", json={"cursors": {run.id: 0}})
        assert answer.status_code == 200 and answer.json()["runs"][0]["id"] == run.id
    assert len(shared_page.sessions) == 0


def several(page: Served, *questions: tuple[str, Any]) -> list[dict[str, Any]]:
    asked = [{"function": function, "argument": argument} for function, argument in questions]
    answer = page.first.post("/cdvft", json=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_several_questions_in_one_request_are_each_answered_as_if_asked_alone(shared_page, run) -> None:
    standing, unknown, poll, ill = several(
        shared_page,
        ("page/header/standing", {}),
        ("train/run_view/nothing", {}),
        (POLL, {"cursors": {run.id: 0}}),
        (POLL, {"cursors": 10**30}),  # more than 64 bits
    )
    alone = shared_page.first.post("/cdvft/page/header/standing", json={})
    assert standing == {"status": 200, "answer": alone.json()}
    assert poll["status"] == 200 and poll["answer"]["runs"][0]["id"] == run.id
    assert (unknown["status"], ill["status"]) == (404, 400)
    assert all(len(one["answer"]["error"]) > 20 for one in (unknown, ill))


def test_a_private_run_is_told_to_its_owner_who_is_not_that_of_another_question(shared_page, run) -> None:
    shared_page.page.studio.store.set_private(run.id, True, "secret")
    tokens = "secret", "", "secret", "other"
    answers = several(shared_page, *((POLL, {"cursors": {run.id: 0}, "token": token}) for token in tokens))
    assert [one["answer"]["stoppable"] for one in answers] == [True, False, True, False]
    assert [one["answer"]["missing"] for one in answers] == [[], [run.id], [], [run.id]]


def test_one_that_fails_leaves_the_others_their_answers(shared_page: Served, monkeypatch, caplog) -> None:
    def broken(request: Any) -> None:
        raise OSError("nobody thought of this")

    endpoints, name = server_functions.known(shared_page.page), "page/header/standing"
    failing = replace(endpoints[name], answer=Pool(1, 1, "busy", share=(1, 1)).running(broken))
    monkeypatch.setitem(endpoints, name, failing)
    first, second = several(shared_page, (name, {}), (POLL, {"cursors": {}}))
    assert first["status"] == 500 and "log" in first["answer"]["error"]
    assert second["status"] == 200
    assert "nobody thought of this" in caplog.text


@pytest.mark.parametrize(
    ("path", "content", "kind", "status"),
    [
        ("", "[]", "application/json", 200),
        ("", "[]", "text/plain", 415),
        ("", "[", "application/json", 400),
        ("", "{}", "application/json", 400),
        ("", '[{"function": 1, "argument": 2}]', "application/json", 400),
        ("", '[{"function": "train/run_view/poll"}]', "application/json", 400),
        ("", "[" + ",".join(['{"function": "", "argument": 0}'] * 9) + "]", "application/json", 400),
        (f"/{POLL}", '{"cursors": {}}', "application/json", 200),
        (f"/{POLL}", '{"cursors": {}}', "application/json; charset=utf-8", 200),
        (f"/{POLL}", '{"cursors": {}}', "text/plain", 415),  # as a form on a foreign page sends
        (f"/{POLL}", "{", "application/json", 400),
        (f"/{POLL}", "[" * 100_000, "application/json", 400),
        ("/train/run_view/nothing", "{}", "application/json", 404),
        ("/train/run_view/__init__", "{}", "application/json", 404),
        ("/", "{}", "application/json", 404),
    ],
)
def test_what_cannot_be_answered_is_refused_with_a_sentence(shared_page, path, content, kind, status) -> None:
    """A question of a function, and up to eight together."""
    answer = shared_page.first.post(f"/cdvft{path}", content=content, headers={"content-type": kind})
    assert answer.status_code == status
    assert status == 200 or len(answer.json()["error"]) > 20


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ({}, "cursors"),
        ({"cursors": {"a": "1"}}, "cursors.a"),
        ({"cursors": {}, "token": 1}, "token"),
        ([], "request"),
    ],
)
def test_what_is_of_another_type_is_refused_by_its_name(shared_page: Served, asked, named: str) -> None:
    answer = shared_page.first.post(f"/cdvft/{POLL}", json=asked)
    assert answer.status_code == 400 and named in answer.json()["error"]


def test_a_server_with_logins_asks_for_one(app: AppState, tmp_path: Path, monkeypatch) -> None:
    file = tmp_path / "logins"
    file.touch(mode=0o600)
    file.write_text("ada:secret\n")
    monkeypatch.setenv("CDVFT_LOGINS", str(file))
    page = build(app)
    page.auth = logins()
    with Served(page, ADA).first as client:
        assert client.post(f"/cdvft/{POLL}", json={"cursors": {}}).status_code == 401
        assert client.post("/cdvft", json=[]).status_code == 401
        forged = {"cookie": "access-token=ada; access-token-unsecure=ada"}
        assert client.post(f"/cdvft/{POLL}", json={"cursors": {}}, headers=forged).status_code == 401
        assert client.post("/login", data={"username": "ada", "password": "secret"}).status_code == 200
        assert client.post(f"/cdvft/{POLL}", json={"cursors": {}}).status_code == 200


def calls(work: Callable[[], object]) -> int:
    """How many functions it calls, here and in threads that it starts: the same on a busy machine."""
    count = 0

    def called(frame: object, event: str, _: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    threading.setprofile(called)
    sys.setprofile(called)
    try:
        work()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return count


@pytest.mark.usefixtures("public")
def test_sessions_of_strangers_take_nothing_from_another_visitor(served: Served, monkeypatch) -> None:
    """Nor do they make polls longer."""

    def poll() -> None:
        assert asyncio.run(served.post(ADA, f"/cdvft/{POLL}", {"cursors": {}})).status_code == 200

    poll()  # what the first one does once
    alone = calls(poll)
    ada, bob = served.client(ADA), served.client(BOB)
    assert event(ada, served.page, "open_race", "of-ada", [None]).status_code == 200
    of_ada = served.sessions["of-ada"]
    monkeypatch.setattr(sessions, "MAX_SESSIONS_OF_ONE", 20)
    for number in range(160):
        event(bob, served.page, "open_race", f"of-bob-{number}", [None])
    assert served.sessions["of-ada"] is of_ada
    assert len(served.sessions) == 1 + 20
    assert 100 < calls(poll) < 1.2 * alone
    assert event(ada, served.page, "open_race", "of-ada", [None]).status_code == 200


def test_a_session_keeps_what_its_events_offered_to_choose_from_and_nobody_elses() -> None:
    def offer() -> list[Any]:
        return [gr.update(choices=["new"]), gr.update(interactive=True), gr.update(visible=False)]

    with gr.Blocks() as page:
        choice, button = gr.Dropdown(["old"]), gr.Button("Go", interactive=False)
        gr.on(None, offer, None, [choice, button, gr.Textbox("x")], queue=False, api_name="offer")
        gr.on(None, lambda chosen: chosen, choice, gr.Textbox(), queue=False, api_name="take")
    served = Served(page, ADA)
    with served.first as client:
        told = event(client, page, "offer", "mine", []).json()["data"]
        assert told[0]["choices"] == [["new", "new"]]
        assert (told[1]["interactive"], told[2]["visible"]) == (True, False)
        assert event(client, page, "take", "mine", ["new"]).json()["data"] == ["new"]
        assert event(client, page, "take", "mine", ["old"]).status_code != 200
        assert event(client, page, "take", "other", ["old"]).json()["data"] == ["old"]
        assert event(client, page, "take", "other", ["new"]).status_code != 200


@pytest.mark.nightly
def test_all_sessions_that_are_kept_stay_under_100_megabytes(served: Served) -> None:
    """Each of them has had every event of the page that waits in no queue, with what the page begins with."""
    handlers = [
        (handler.api_name, [getattr(block, "value", None) for block in handler.inputs])
        for handler in served.page.fns.values()
        if handler.fn is not None and not handler.queue
    ]

    def visit(session: str) -> None:
        answers = [event(served.first, served.page, name, session, given) for name, given in handlers]
        assert sum(answer.status_code == 200 for answer in answers) > 20

    visit("before")  # what is kept once, for all
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(2):
            visit(f"visitor-{number}")
        gc.collect()
        each = (tracemalloc.get_traced_memory()[0] - before) / 2
    finally:
        tracemalloc.stop()
    assert each < 100e6 / sessions.MAX_SESSIONS


def shouting() -> gr.Blocks:
    """A page with one endpoint."""
    with gr.Blocks() as page:
        text = gr.Textbox()
        gr.on(None, lambda told: told.upper(), text, text, api_name="shout")
    return page


def shout(client: TestClient, **session: str) -> None:
    begun = client.post("/gradio_api/call/shout", json={"data": ["a"], **session})
    told = client.get(f"/gradio_api/call/shout/{begun.json()['event_id']}")
    assert 'data: ["A"]' in told.text


def test_an_answered_call_leaves_no_queue_of_messages_and_no_statistics() -> None:
    """Which Gradio calculated of the last 10,000 calls, after each, for its monitoring, which is off."""

    def queues() -> int:
        gc.collect()
        return sum(isinstance(one, asyncio.Queue) for one in gc.get_objects())

    page = shouting()
    with Served(page, ADA).first as client:
        client.get("/gradio_api/startup-events")
        shout(client)
        wait_for(lambda: not page._queue.event_ids_to_events)  # which Gradio forgets after the statistics
        assert page._queue.event_analytics, "it was counted"
        assert page._queue.cached_event_analytics_summary == {"functions": {}}
        before = queues()
        for number in range(5):
            shout(client)
            shout(client, session_hash=f"page-{number}")
        assert queues() == before


class Held:
    """A function that runs until it is let go."""

    def __init__(self) -> None:
        self._lock, self._go = threading.Lock(), threading.Event()
        self.running = 0

    def __call__(self, *_: object) -> dict[str, bool]:
        with self._lock:
            self.running += 1
        assert self._go.wait(60)
        return {"answered": True}

    async def count(self, running: int) -> None:
        """Until so many run at the same time."""
        while self.running < running:
            await asyncio.sleep(0.01)

    def let_go(self) -> None:
        self._go.set()


@pytest.mark.anyio
@pytest.mark.usefixtures("public")
async def test_one_who_asks_much_waits_for_himself_alone() -> None:
    held = Held()
    functions = {"server_functions": {"quick": lambda _: {}}, "slow_functions": {"slow": held}}
    with gr.Blocks() as page:
        component("train/history.js", {}, **functions)
    served = Served(page, ADA)
    asked, served_at_last = 200, 2 + 128  # at a time, and waiting

    async def ask(address: str, function: str) -> int:
        return (await served.post(address, f"/cdvft/train/history/{function}", {})).status_code

    with anyio.fail_after(60 * pace()):
        mine = [asyncio.create_task(ask(ADA, "slow")) for _ in range(asked)]
        await held.count(2)
        assert await ask(BOB, "quick") == 200
        other = asyncio.create_task(ask(BOB, "slow"))
        await held.count(3)
        while sum(one.done() for one in mine) < asked - served_at_last:  # refused at once
            await asyncio.sleep(0.01)
        assert held.running == 3  # so that the fourth thread is left to a third visitor
        held.let_go()
        statuses = await asyncio.gather(*mine)
        assert await other == 200
    assert set(statuses) == {200, 429} and statuses.count(200) == served_at_last


@pytest.mark.anyio
@pytest.mark.usefixtures("public")
async def test_one_whose_form_asks_much_leaves_threads_to_others(app: AppState, monkeypatch) -> None:
    held = Held()
    monkeypatch.setattr(uploaded_panel, "look", held)
    served = Served(build(app), ADA)
    (mapped,) = (one for one in served.page.fns.values() if one.api_name == "mapped")
    given = [getattr(block, "value", None) for block in mapped.inputs]

    async def ask(address: str, name: str, session: str, data: list[Any]) -> int:
        body = event_body(served.page, name, session, data)
        return (await served.post(address, "/gradio_api/run/predict", body)).status_code

    with anyio.fail_after(60 * pace()):
        mine = [asyncio.create_task(ask(ADA, "mapped", f"{number}", given)) for number in range(48)]
        await held.count(4)
        await asyncio.sleep(0.5)
        running = held.running
        other = await ask(BOB, "choose_run", "of-bob", [None])
        held.let_go()
        await asyncio.gather(*mine)
    assert (running, other) == (4, 200)


@pytest.mark.usefixtures("public")
def test_one_who_fills_gradios_queue_is_refused_and_another_is_not(monkeypatch) -> None:
    held = Held()
    monkeypatch.setattr(sessions, "MAX_WAITING_OF_ONE", 3)

    def slow() -> dict[str, bool]:
        return held()

    with gr.Blocks() as page:
        gr.api(slow, api_name="slow", concurrency_limit=1)
    served = Served(page, ADA)
    with served.first as ada:
        first = [ada.post("/gradio_api/call/slow", json={"data": []}).status_code for _ in range(8)]
        bob = served.client(BOB).post("/gradio_api/call/slow", json={"data": []})
        held.let_go()
    assert first[-1] == 503 and first.count(200) in (3, 4)
    assert bob.status_code == 200


def test_a_page_that_asks_for_its_messages_after_the_answer_is_told_the_next_one() -> None:
    """Its first answer came over a stream that was still open when it asked, so nothing waits for it."""
    page = shouting()
    served = Served(page, ADA)
    opened, told = threading.Event(), []

    async def stream() -> None:
        async def send(message: dict[str, Any]) -> None:
            opened.set()
            told.append(message.get("body", b""))

        asked = {"type": "http", "scheme": "http", "method": "GET", "path": "/gradio_api/queue/data"}
        asked |= {"headers": [(b"host", b"127.0.0.1")], "client": (ADA, 4000)}
        await served.app(asked | {"query_string": b"session_hash=mine"}, asyncio.Event().wait, send)

    def join(word: str) -> None:
        body = event_body(page, "shout", "mine", [word])
        assert served.first.post("/gradio_api/queue/join", json=body).status_code == 200

    with served.first as client:
        client.get("/gradio_api/startup-events")
        join("first")
        assert "FIRST" in client.get("/gradio_api/queue/data?session_hash=mine").text
        streamed = client.portal.start_task_soon(stream)
        assert opened.wait(60)
        join("second")
        streamed.result(60)
        assert b"SECOND" in b"".join(told)
        assert '"session_not_found":true' in client.get("/gradio_api/queue/data?session_hash=other").text
