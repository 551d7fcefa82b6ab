"""ASGI middleware of every request: limits, compression, lone surrogates in JSON, the address of a page."""

from __future__ import annotations

import json
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

from anyio import to_thread
from starlette.datastructures import MutableHeaders
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cdvft_app.public import uploads
from cdvft_app.ui.shared import viewing

# In JSON: a pair of surrogates, which is one character; a lone one, which is none; any other escape.
_ESCAPE = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\."
)


AGENTS = "/gradio_api/mcp"  # the named endpoints, by the Model Context Protocol
MAX_BYTES = 1_000_000
MAX_UPLOADED = 66_000_000  # a history with what multipart adds; who reads other files has own limits
UNREADABLE = (
    "This is no JSON that can be read here: it is broken, nested too deeply, or a number has thousands of "
    "digits."
)
TOO_LARGE = "This request is larger than {:g} MB, and no larger one is read here. Send less at a time."


class BoundedBodies:
    """Refuses bodies over 1 MB, of uploads over 66 MB or without room, before they are in memory."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        most = MAX_UPLOADED if is_upload(scope) else MAX_BYTES
        length = dict(scope["headers"]).get(b"content-length", b"0")
        if not length.isdigit() or int(length) > most:
            await _refuse(TOO_LARGE.format(most / 1e6), scope, receive, send)
            return
        folder = Path(scope["app"].uploaded_file_dir)
        if is_upload(scope) and (full := await to_thread.run_sync(uploads.refusal, folder, int(length))):
            await _refuse(full, scope, receive, send)
            return
        read, answered = 0, False

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > most:
                raise _TooLarge
            return message

        async def watched(message: Message) -> None:
            nonlocal answered
            answered = True
            await send(message)

        try:
            await self._app(scope, counted, watched)
        except _TooLarge:
            if not answered:
                await _refuse(TOO_LARGE.format(most / 1e6), scope, receive, send)


class _TooLarge(Exception):
    """The body is longer than its content-length."""


async def _refuse(sentence: str, scope: Scope, receive: Receive, send: Send) -> None:
    answer = JSONResponse({"detail": sentence}, 413, {"connection": "close"})  # the rest is not waited for
    await answer(scope, receive, send)


def is_upload(scope: Scope) -> bool:
    return scope["method"] == "POST" and scope["path"].rstrip("/").endswith("/gradio_api/upload")


class Compressed:
    """Compresses the page and the answers to its questions, which Gradio does for files alone."""

    def __init__(self, app: ASGIApp) -> None:
        self._app, self._compressing = app, GZipMiddleware(app, compresslevel=5)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_file = scope["type"] == "http" and "." in scope["path"]
        await (self._app if is_file else self._compressing)(scope, receive, send)


class PageOfATab:
    """Hides `page` of the address from Gradio: here it is a tab's page, there one of several Blocks.

    Gradio answers 500 where it knows no Blocks of that name.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] in ("GET", "HEAD"):
            others = [part for part in scope["query_string"].split(b"&") if not _names_page(part)]
            scope = {**scope, "query_string": b"&".join(others)}
        await self._app(scope, receive, send)


def _names_page(parameter: bytes) -> bool:
    return unquote_to_bytes(parameter.partition(b"=")[0]) == b"page"


class WellFormedText:
    """Puts U+FFFD in place of lone surrogates in JSON: no answer that quotes one could be sent."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _is_json(scope):
            await self._app(scope, receive, send)
            return
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                return  # the client has gone
            body += message.get("body", b"")
            more = message.get("more_body", False)
        if AGENTS in scope["path"] and is_unreadable(body):
            await JSONResponse({"detail": UNREADABLE}, 400)(scope, receive, send)
            return
        whole: list[Message] = [{"type": "http.request", "body": well_formed(body), "more_body": False}]

        async def once() -> Message:
            return whole.pop() if whole else await receive()

        await self._app(scope, once, send)


def is_unreadable(body: bytes) -> bool:
    """Return whether the protocol's own reader of JSON would end in a 500 of this."""
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return True
    return False


def well_formed(body: bytes) -> bytes:
    """JSON whose text can be encoded."""
    if body.isascii() and b"\\u" not in body:
        return body
    text = body.decode("utf-8", "replace")
    return _ESCAPE.sub(lambda found: "\\ufffd" if found[1] else found[0], text).encode()


def _is_json(scope: Scope) -> bool:
    headers: dict[bytes, Any] = dict(scope["headers"])
    return scope["method"] == "POST" and b"multipart/" not in headers.get(b"content-type", b"")


def serves_agents() -> bool:
    """Return whether the named endpoints are tools for agents, too.

    Gradio makes them where the package `mcp` is: on a Space, elsewhere by `pip install ".[mcp]"`.
    """
    return find_spec("mcp") is not None


class VisitorOfAgents:
    """Lets what an agent's tool asks be counted for whoever called it, by `viewing.VISITOR_HEADER`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and AGENTS in scope["path"]:
            headers = MutableHeaders(raw=list(scope["headers"]))
            visitor = viewing.visitor_of(Request(scope))
            if visitor is not None:
                headers[viewing.VISITOR_HEADER] = viewing.signed(visitor)
            for said in (
                "origin",
                "sec-fetch-site",
            ):  # of the caller, who was let in
                del headers[said]
            scope = {**scope, "headers": headers.raw}
        await self._app(scope, receive, send)
