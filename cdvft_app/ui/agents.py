"""The named endpoints as tools for agents, by the Model Context Protocol (MCP), at /gradio_api/mcp.

Gradio serves them where the package `mcp` is installed.
"""

from __future__ import annotations

from importlib.util import find_spec

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from cdvft_app.ui.shared import viewing, visitor_header

PATH = "/gradio_api/mcp"


def is_served() -> bool:
    """Whether they are here: a Space has the package, elsewhere `pip install ".[mcp]"` brings it."""
    return find_spec("mcp") is not None


class VisitorOfAgents:
    """Lets what an agent's tool asks be counted for whoever called it, see `shared/visitor_header.py`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and PATH in scope["path"]:
            headers = MutableHeaders(raw=list(scope["headers"]))
            visitor = viewing.visitor_of(Request(scope))
            if visitor is not None:
                headers[visitor_header.HEADER] = visitor_header.signed(visitor)
            for said in (
                "origin",
                "sec-fetch-site",
            ):  # of the caller, who was let in
                del headers[said]
            scope = {**scope, "headers": headers.raw}
        await self._app(scope, receive, send)
