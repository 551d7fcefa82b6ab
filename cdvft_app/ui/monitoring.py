"""Endpoints for a proxy and for monitoring: /healthz, /readyz, and /metrics in Prometheus's format.

Metrics count; no id, address, name or text of anybody is in them.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterator
from typing import TYPE_CHECKING

from anyio import to_thread
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cdvft_app.public.guessing import TooManyGuesses
from cdvft_app.public.operator import is_operator
from cdvft_app.public.origins import allowed
from cdvft_app.public.visitors import network
from cdvft_app.settings.environment import LOOPBACK, environment
from cdvft_app.store.records import StoreError
from cdvft_app.store.states import STATES

if TYPE_CHECKING:
    from cdvft_app.ui.shared.state import AppState

VISITOR_SECONDS = 300.0
MAX_VISITORS = 10_000  # that are told apart
POLLS = ("poll", "cdvft")
"""Last parts of addresses: of a race's poll, and of what parts ask together."""
FORMAT = "text/plain; version=0.0.4; charset=utf-8"
_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip", "cf-connecting-ip", "via")
WHO_MAY = "Metrics are for this machine itself, or for whoever sends the operator's key as a bearer token."


class Monitoring:
    """Answers these three and counts all other requests.

    Stands outside of the check of Host for the first two: a proxy asks them by an address, and they tell
    nothing of anybody.
    """

    def __init__(self, app: ASGIApp, studio: AppState) -> None:
        self._app, self._studio = app, studio
        self._registry = CollectorRegistry()
        self._registry.register(_Stored(studio))
        ProcessCollector(registry=self._registry)
        self._seen: OrderedDict[str, float] = OrderedDict()  # when, who was seen last stands last
        self._polls = Histogram("cdvft_poll_seconds", "Time to answer a poll.", registry=self._registry)
        by_status = "Requests answered, by the status's first digit."
        self._requests = Counter("cdvft_requests", by_status, ["status"], registry=self._registry)
        self._received = Counter("cdvft_received_bytes", "Of requests' bodies.", registry=self._registry)
        self._sent = Counter("cdvft_sent_bytes", "Of answers' bodies.", registry=self._registry)
        who = f"Networks that asked within {VISITOR_SECONDS:g} s."
        visitors = Gauge("cdvft_visitors", who, registry=self._registry)
        visitors.set_function(lambda: len(self._seen))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        probes = {"/healthz": self._health, "/readyz": self._ready, "/metrics": self._metrics}
        answer = probes.get(scope["path"])
        if answer is None:
            await self._counted(scope, receive, send)
            return
        await (await to_thread.run_sync(answer, scope))(scope, receive, send)

    def _health(self, _: Scope) -> Response:
        return PlainTextResponse("The server answers.\n")

    def _ready(self, _: Scope) -> Response:
        try:
            self._studio.store.counts()
        except StoreError:
            return PlainTextResponse("The history cannot be read.\n", 503)
        if not self._studio.queue.is_working:
            return PlainTextResponse("Nothing trains yet, or any more.\n", 503)
        return PlainTextResponse("Runs are taken.\n")

    def _metrics(self, scope: Scope) -> Response:
        headers, known = Headers(scope=scope), environment()
        client = (scope.get("client") or ("",))[0]
        kind, _, key = headers.get("authorization", "").partition(" ")
        try:
            may = (kind.lower() == "bearer" and is_operator(key, client)) or (
                _is_direct(client, headers) if known.public else allowed(headers.get("host", ""), known)
            )
        except TooManyGuesses as guessed:
            return PlainTextResponse(f"{guessed}\n", 429, {"retry-after": str(guessed.seconds)})
        if not may:
            return PlainTextResponse(f"{WHO_MAY}\n", 401, {"www-authenticate": "Bearer"})
        return Response(generate_latest(self._registry), media_type=FORMAT)

    async def _counted(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        self._see(network((scope.get("client") or ("",))[0]))

        async def counted() -> Message:
            message = await receive()
            self._received.inc(len(message.get("body", b"")))
            return message

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._requests.labels(f"{message['status'] // 100}xx").inc()
            self._sent.inc(len(message.get("body", b"")))
            await send(message)

        await self._app(scope, counted, watched)
        if scope["path"].rstrip("/").rpartition("/")[2] in POLLS:
            self._polls.observe(time.perf_counter() - began)

    def _see(self, visitor: str) -> None:
        now = time.monotonic()
        self._seen[visitor] = now
        self._seen.move_to_end(visitor)
        while len(self._seen) > MAX_VISITORS or now - next(iter(self._seen.values())) > VISITOR_SECONDS:
            self._seen.popitem(last=False)


class _Stored:
    """A collector of the store's counts, which are read when they are asked for."""

    def __init__(self, studio: AppState) -> None:
        self._studio = studio

    def collect(self) -> Iterator[Metric]:
        counts = self._studio.store.counts()
        runs = GaugeMetricFamily("cdvft_runs", "Runs by state.", labels=["state"])
        for state in STATES:
            runs.add_metric([state], counts.get(state, 0))
        yield runs
        yield GaugeMetricFamily("cdvft_queue_length", "Runs that wait.", value=counts.get("queued", 0))


def _is_direct(client: str, headers: Headers) -> bool:
    """Return whether a program on this machine asks, and not a proxy on it for somebody."""
    host = headers.get("host", "").lower()
    named = any(host == name or host.startswith((f"{name}:", f"[{name}]")) for name in LOOPBACK)
    return client in LOOPBACK and named and not any(name in headers for name in _FORWARDED)
