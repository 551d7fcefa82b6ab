"""Whatever is sent to the page's own requests, no handler of ours ends in a 500."""

from __future__ import annotations

import asyncio
import inspect
import json
import threading
from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Any, Literal, NotRequired, Union, get_args, get_origin, get_type_hints

import anyio.to_thread
import pytest
from served import Served
from typing_extensions import is_typeddict

from cdvft_app.catalog import libraries
from cdvft_app.errors import UserError
from cdvft_app.settings import RunSettings
from cdvft_app.training import inference_service
from cdvft_app.training.children import WorkerProcess
from cdvft_app.ui import api
from cdvft_app.ui.incoming import PageOfATab, well_formed
from cdvft_app.ui.shared import server_functions
from cdvft_app.ui.shared.pool import Pool, in_threads
from cdvft_app.ui.shared.server_functions import refusing

LONE = "\ud800"
TEXTS = ["", LONE, "\x00../../etc", "x" * 10**5]
VALUES: list[Any] = [None, True, -1, 1e308, 2**70, *TEXTS, [], [[{}]], {"a": []}]
MEASURING = ("crossover",)  # it takes seconds, whatever is asked
POLL = "train/run_view/poll"
JSON = {"content-type": "application/json"}
UNCHECKED = ("html", "json", "browserstate")  # components that hand on what comes; others refuse it


class Studio:
    """The page's requests over a store with one run."""

    def __init__(self, served: Served) -> None:
        self.page, self.client, self.app = served.page, served.first, served.page.studio
        self.run = self.app.store.create([RunSettings(method="cdvft")], "secret")[0]

    def post(self, route: str, **body: Any) -> tuple[int, str]:
        sent = json.dumps({"session_hash": "visitor", **body}).encode()
        answer = self.client.post(f"/gradio_api/{route}", content=sent, headers=JSON)
        return answer.status_code, answer.text


@pytest.fixture(scope="module")
def offline() -> Iterator[None]:
    libraries.load()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        yield


@pytest.fixture(scope="module")
def studio(offline: None, shared_page: Served) -> Studio:
    return Studio(shared_page)


@pytest.mark.parametrize(
    ("host", "answered"),
    [
        ("127.0.0.1:7860", True),
        ("LOCALHOST", True),
        ("[::1]:7860", True),
        ("mine.hf.space", True),
        ("class.example.org:8443", True),
        ("rebound.example.com", False),
        ("127.0.0.1.example.com", False),
        ("example.org", False),
        ("", False),
    ],
)
def test_only_names_of_this_server_are_answered(studio, monkeypatch, host, answered) -> None:
    monkeypatch.setenv("SPACE_HOST", "mine.hf.space")
    monkeypatch.setenv("CDVFT_HOSTS", "class.example.org, other.example.org")
    page = studio.client.get("/gradio_api/app_id", headers={"host": host})
    part = studio.client.post(f"/cdvft/{POLL}", json={"cursors": {}}, headers={"host": host})
    for answer in (page, part):
        assert answer.status_code == (200 if answered else 403)
        assert answered or "CDVFT_HOSTS" in answer.text
    monkeypatch.setenv("CDVFT_HOSTS", "*")
    assert studio.client.get("/gradio_api/app_id", headers={"host": host}).status_code == 200


def test_a_link_by_which_the_server_is_shared_is_answered(studio, monkeypatch) -> None:
    asked = {"host": "abc.gradio.live"}
    assert studio.client.get("/gradio_api/app_id", headers=asked).status_code == 403
    monkeypatch.setattr(studio.page, "share_url", "https://abc.gradio.live")
    assert studio.client.get("/gradio_api/app_id", headers=asked).status_code == 200


@pytest.mark.parametrize(
    ("asked", "handed_on"),
    [
        (b"tab=compare&page=growth", b"tab=compare"),
        (b"page=../x&tab=train", b"tab=train"),
        (b"p%61ge=nothing", b""),
        (b"pages=1&page=", b"pages=1"),
        (b"", b""),
    ],
)
@pytest.mark.anyio
async def test_a_page_of_a_tab_is_no_other_page_of_gradios(asked: bytes, handed_on: bytes) -> None:
    heard: list[bytes] = []

    async def gradio(scope: Any, receive: Any, send: Any) -> None:
        heard.append(scope["query_string"])

    await PageOfATab(gradio)({"type": "http", "method": "GET", "query_string": asked}, None, None)
    assert heard == [handed_on]


@pytest.mark.parametrize("path", ["gradio_api/queue/join", "gradio_api/call/start", f"cdvft/{POLL}"])
def test_large_bodies_are_refused_with_a_sentence(studio: Studio, path: str) -> None:
    parts = (b"x" * 100_000 for _ in range(20))  # comes without a length
    for body in (b"x" * 1_000_001, parts):
        answer = studio.client.post(f"/{path}", content=body, headers=JSON)
        assert answer.status_code == 413 and "larger than 1 MB" in answer.text


@pytest.mark.parametrize("number", [-1, 10**6, 10**20])
@pytest.mark.parametrize("route", ["queue/join", "run/predict", "run/state"])
def test_a_handler_that_the_page_does_not_have_is_not_found(studio: Studio, route: str, number: int) -> None:
    status, said = studio.post(route, fn_index=number, data=[])
    assert status == 404 and "no such function" in said


def test_uploads_may_be_larger_but_not_very_large(studio: Studio) -> None:
    for size, refused in ((2_000_000, False), (66_000_001, True)):
        answer = studio.client.post("/gradio_api/upload", files={"files": ("a.png", b"x" * size)})
        assert (answer.status_code == 413) == refused


def test_uploads_end_where_a_public_server_has_no_room(studio: Studio, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(studio.client.app, "uploaded_file_dir", str(tmp_path))
    monkeypatch.setenv("CDVFT_PUBLIC", "1")
    monkeypatch.setenv("CDVFT_UPLOAD_BYTES", "1000000")
    answer = studio.client.post("/gradio_api/upload", files={"files": ("a.png", b"x" * 2_000_000)})
    assert answer.status_code == 413 and "CDVFT_UPLOAD_BYTES" in answer.json()["detail"]


@pytest.fixture
def no_process_left(monkeypatch) -> Iterator[None]:
    """The processes that compute for Factors end with the test; other tests count what they started."""
    begun: list[WorkerProcess] = []

    class Recorded(WorkerProcess):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            begun.append(self)

    monkeypatch.setattr(inference_service, "WorkerProcess", Recorded)
    yield
    for conversation in begun:
        conversation.end()


def of_type(kind: Any, own: str) -> list[Any]:
    """What nobody would send, and one run's id, as this type has it."""
    origin, inner = get_origin(kind), get_args(kind)
    if is_typeddict(kind):
        fields = get_type_hints(kind, include_extras=True)
        found = {name: of_type(hint, own) for name, hint in fields.items()}
        return [{name: values[at % len(values)] for name, values in found.items()} for at in range(6)]
    if origin is Literal:
        return [*inner]
    if origin in (NotRequired, Union, UnionType):
        return [value for one in inner for value in of_type(one, own)]
    if origin is list:
        return [[], 3 * of_type(inner[0], own)]
    if origin is dict:
        return [{}, dict(zip(of_type(str, own), of_type(inner[1], own), strict=False))]
    plain: dict[Any, list[Any]] = {
        str: [own, *TEXTS],
        int: [-1, 0, 2**70],
        bool: [True, False],
        NoneType: [None],
    }
    return plain.get(kind, VALUES)


def test_server_functions_answer_anything(studio: Studio, no_process_left) -> None:
    """What has the types of a request is answered; anything else is, or is refused by its name."""
    sent, ended = 0, {}
    for function, endpoint in server_functions.known(studio.page).items():
        taken = of_type(server_functions.types_of(endpoint.function)[0], studio.run.id)
        taken += [{**one, "run": "recorded-cdvft"} for one in taken if isinstance(one, dict) and "run" in one]
        for value in taken[-1:] if function.endswith(MEASURING) else [*taken, *VALUES]:
            answer = studio.client.post(f"/cdvft/{function}", content=json.dumps(value), headers=JSON)
            sent += 1
            if answer.status_code != 200 and (answer.status_code != 400 or value in taken):
                ended[function, repr(value)[:60]] = answer.text[:200]
    assert ended == {} and sent > 300


def test_handlers_answer_anything(studio: Studio) -> None:
    """A function that several events call with the same components is asked by one of them."""
    sent, ended = 0, {}
    for number, handler in {
        (inspect.unwrap(one.fn), *(block._id for block in one.inputs)): (number, one)
        for number, one in studio.page.fns.items()
        if one.fn is not None and not one.queue
    }.values():
        start = [block.value for block in handler.inputs if hasattr(block, "value")]
        if len(start) < len(handler.inputs):
            continue
        for place, block in enumerate(handler.inputs):
            if block.get_block_name() not in (*UNCHECKED, "textbox"):
                continue
            for value in VALUES if block.get_block_name() in UNCHECKED else [LONE]:
                data = [value if other == place else given for other, given in enumerate(start)]
                status, said = studio.post("run/predict", fn_index=number, data=data)
                sent += 1
                if status != 200:
                    ended[handler.api_name, place, repr(value)[:60]] = said[:200]
    assert ended == {} and sent > 100


@pytest.mark.parametrize("value", [*VALUES, {LONE: 1}, {"recipe": {}}, {"recipe": LONE}, {"model": []}])
def test_endpoints_refuse_with_a_sentence_that_can_be_sent(studio: Studio, value: Any) -> None:
    calls = [
        lambda: api.start(studio.app, json.loads(well_formed(json.dumps(value).encode()))),
        lambda: api.state(studio.app, value, value),
        lambda: api.state(studio.app, studio.run.id, value if value is not None else -1),
        lambda: api.stop(studio.app, value, value),
        lambda: api.stop(studio.app, studio.run.id, value),
    ]
    for call in calls if value != {"a": []} else calls[:1]:
        with pytest.raises(UserError) as refused:
            call()
        assert 0 < len(str(refused.value).encode()) < 4096


@pytest.mark.parametrize(
    ("body", "passed"),
    [
        (rb'{"a": "\ud800"}', rb'{"a": "\ufffd"}'),
        (rb'{"a": "\uD83C\uDF00 \udc00\ud83c"}', rb'{"a": "\uD83C\uDF00 \ufffd\ufffd"}'),
        (rb'{"a": "\\ud800 \\\ud800 \n"}', rb'{"a": "\\ud800 \\\ufffd \n"}'),
        ("{'a': 'é 🌀'}".encode(), "{'a': 'é 🌀'}".encode()),
        (b'"\xed\xa0\x80"', '"\ufffd\ufffd\ufffd"'.encode()),
    ],
)
def test_only_lone_surrogates_are_replaced(body: bytes, passed: bytes) -> None:
    assert well_formed(body) == passed


@pytest.mark.anyio
async def test_sixty_who_wait_for_a_measurement_take_no_thread_of_the_polls() -> None:
    going, go = threading.Event(), threading.Event()

    def measure(argument: object) -> str:
        going.set()
        assert go.wait(30)
        return f"measured {argument}"

    measuring = refusing(Pool(1, 4, "Others are measuring.", share=(1, 4)).running(measure))
    asked = [asyncio.create_task(measuring(number)) for number in range(60)]
    await anyio.to_thread.run_sync(going.wait)  # a poll's own thread
    taken = anyio.to_thread.current_default_thread_limiter().borrowed_tokens
    go.set()
    answers = await asyncio.gather(*asked)
    assert taken == 0
    assert answers[:5] == [f"measured {number}" for number in range(5)]
    assert answers[5:] == [{"error": "Others are measuring.", "busy": True}] * 55


@pytest.mark.anyio
async def test_items_come_in_order_out_of_threads_of_their_own() -> None:
    work = ((number, threading.current_thread() is threading.main_thread()) for number in range(3))
    found = [item async for item in in_threads(work, anyio.CapacityLimiter(1))]
    assert found == [(0, False), (1, False), (2, False)]
