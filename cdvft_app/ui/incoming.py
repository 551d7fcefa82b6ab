"""What every request passes before a handler sees it."""

from __future__ import annotations

import re
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

# In JSON: a pair of surrogates, which is one character; a lone one, which is none; any other escape.
_ESCAPE = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\."
)


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
        whole: list[Message] = [{"type": "http.request", "body": well_formed(body), "more_body": False}]

        async def once() -> Message:
            return whole.pop() if whole else await receive()

        await self._app(scope, once, send)


def well_formed(body: bytes) -> bytes:
    """JSON whose text can be encoded."""
    if body.isascii() and b"\\u" not in body:
        return body
    text = body.decode("utf-8", "replace")
    return _ESCAPE.sub(lambda found: "\\ufffd" if found[1] else found[0], text).encode()


def _is_json(scope: Scope) -> bool:
    headers: dict[bytes, Any] = dict(scope["headers"])
    return scope["method"] == "POST" and b"multipart/" not in headers.get(b"content-type", b"")
