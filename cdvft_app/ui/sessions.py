"""Sessions of open pages, which Gradio keeps small, so that many have room and nobody evicts another."""

from __future__ import annotations

import re
from asyncio import Queue
from collections import ChainMap
from contextvars import ContextVar
from typing import Any

import gradio as gr
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from cdvft_app.ui.shared.gradio_adapter import Block, BlocksConfig, SessionState, StateHolder
from cdvft_app.ui.shared.pool import shares
from cdvft_app.ui.shared.viewing import client_key_of

MAX_SESSIONS = 1000  # of all visitors; who was away longest begins anew
MAX_SESSIONS_OF_ONE = 200  # of one visitor, who may be a class behind one address
# What components check values against, or read them by. Gradio makes a component anew for every update, and
# most updates only show or hide it.
CHECKED = (
    "choices", "multiselect", "allow_custom_value", "max_choices", "type", "minimum", "maximum", "precision",
    "file_count", "file_types",
)  # fmt: skip
MAX_WAITING_OF_ONE = 16
# How often Gradio looks for events that wait, and for their progress: its own 1,000 and 100 times a second
# take 4 % of a processor while nobody asks anything.
QUEUE_SECONDS, PROGRESS_SECONDS = 0.02, 0.1
MANY_WAITING = "Much of what you asked waits its turn here already; ask again once some of it is answered."
_JOINS = re.compile(r"/gradio_api/(queue/join|call/[^/]+)/?$")
_STREAMS = re.compile(r"/gradio_api/(?:queue/data|call/[^/]+/([^/]+))/?$")
_NOTHING: dict[str, Any] = {}
_client_key: ContextVar[str] = ContextVar("client_key", default="")


class _Changed(ChainMap[int, Block]):
    """The page's components, and before them those that a session's events changed in what they accept.

    The latest change of all is there, too: Gradio reads from it what it tells the page.
    """

    _latest: tuple[int, Block] | None = None

    def __getitem__(self, key: int) -> Block:
        return self._latest[1] if self._latest and self._latest[0] == key else super().__getitem__(key)

    def __setitem__(self, key: int, changed: Block) -> None:
        self._latest = key, changed
        before = self.maps[1].get(key)
        if all(getattr(changed, name, None) == getattr(before, name, None) for name in CHECKED):
            self.maps[0].pop(key, None)
        else:
            self.maps[0][key] = changed


class _Functions(dict[int, Any]):
    """The page's handlers by their numbers; a number that has none is answered with 404, not with a 500."""

    def __missing__(self, number: int) -> Any:
        raise HTTPException(404, "This page has no such function; load it anew.")


class _Page(BlocksConfig):
    """A page of which a session's copy holds what its events changed, and shares the rest."""

    def __copy__(self) -> BlocksConfig:
        copied = _PageOfSession(self.root_block)
        copied.blocks = _Changed({}, self.blocks)  # type: ignore[assignment]
        copied.fns, copied.fn_id = self.fns, self.fn_id  # only gr.render makes others
        return copied


class _PageOfSession(BlocksConfig):
    @staticmethod
    def config_for_block(*_: Any, **__: Any) -> dict[Any, Any]:
        """None: Gradio writes it down for links back to a page as it was left, of which this page has none.

        It takes 80 ms of processor time and 300 kB a session.
        """
        return _NOTHING


class Sessions(StateHolder):
    """Sessions by their hashes, which whoever asks chooses; beyond its share a visitor evicts its own."""

    def __init__(self) -> None:
        super().__init__()
        self._client_keys: dict[str, str] = {}

    def __getitem__(self, session_id: str) -> SessionState:
        if session_id not in self.session_data:
            self._begin(session_id)
        return super().__getitem__(session_id)

    def _begin(self, session_id: str) -> None:
        session = SessionState(self.blocks)
        session.config_values = {}
        with self.lock:
            known = self._client_keys.items()
            self._client_keys = {one: key for one, key in known if one in self.session_data}
            self._client_keys[session_id] = client_key = _client_key.get()
            own = [one for one in self.session_data if self._client_keys.get(one) == client_key]
            for oldest in own[: max(0, len(own) + 1 - MAX_SESSIONS_OF_ONE)]:
                del self.session_data[oldest]
                self.time_last_used.pop(oldest, None)
            self.session_data[session_id] = session


class ShareOfGradio:
    """ASGI middleware that tells `Sessions` who asks, and lets no visitor fill Gradio's queue.

    Gradio keeps an empty queue of messages for each session whose events are all answered, and every call of
    the API is a session; they go when their stream of events has ended.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            client_key = client_key_of(Request(scope))
            _client_key.set(client_key)
            if _JOINS.search(scope["path"]) and _waiting(scope["app"], client_key) >= most_waiting():
                refused = JSONResponse({"detail": MANY_WAITING}, 503, {"retry-after": "5"})
                await refused(scope, receive, send)
                return
        streamed = _streamed_session(scope)
        if streamed is None:
            await self._app(scope, receive, send)
            return
        _expect_messages(scope["app"], streamed)
        await self._app(scope, receive, send)
        _forget_answered(scope["app"], streamed)


def most_waiting() -> int:
    """Events of one visitor that may wait their turn in Gradio's queue."""
    return MAX_WAITING_OF_ONE * shares()


def _waiting(app: Any, client_key: str) -> int:
    queues = app.get_blocks()._queue.event_queue_per_concurrency_id.values()
    return sum(client_key_of(event.request) == client_key for queue in queues for event in queue.queue)


def _streamed_session(scope: Scope) -> str | None:
    """The session of which a request streams events: the page's own, or that of an event of the API."""
    found = _STREAMS.search(scope["path"]) if scope["type"] == "http" else None
    if not found:
        return None
    if not found[1]:
        return Request(scope).query_params.get("session_hash")
    pending = scope["app"].get_blocks()._queue.pending_event_ids_session
    return next((session for session, events in pending.items() if found[1] in events), None)


def _expect_messages(app: Any, session_hash: str) -> None:
    """Let a page's stream wait for its next answer.

    A page asks for another stream, too, where the one before brought the answer sooner than the page knew
    its event's id; Gradio breaks off a stream for a session that has no queue of messages.
    """
    queue = app.get_blocks()._queue
    known = session_hash in app.state_holder.session_data
    if known and not queue.pending_event_ids_session.get(session_hash):
        queue.pending_messages_per_session.setdefault(session_hash, Queue())


def _forget_answered(app: Any, session_hash: str) -> None:
    queue = app.get_blocks()._queue
    if not queue.pending_event_ids_session.get(session_hash):
        queue.pending_event_ids_session.pop(session_hash, None)
        queue.pending_messages_per_session.pop(session_hash, None)


def install(app: Any) -> None:
    """Let Gradio's app keep its sessions so; call it before the first request.

    Nor are statistics of all events calculated after each of them: they are for Gradio's monitoring, which is
    off, and take longer than many an answer.
    """
    page: gr.Blocks = app.get_blocks()
    queue = page._queue
    queue.compute_analytics_summary = lambda _: None  # type: ignore[method-assign]
    queue.sleep_when_free, queue.progress_update_sleep_when_free = QUEUE_SECONDS, PROGRESS_SECONDS
    page.default_config.__class__ = _Page
    page.default_config.fns = _Functions(page.default_config.fns)
    sessions = Sessions()
    sessions.set_blocks(page)
    app.state_holder = sessions
