"""A page, asked by visitors of several addresses without a browser and without a port."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gradio as gr
import httpx
from gradio.context import LocalContext
from starlette.testclient import TestClient

from cdvft_app.ui.launching import launch_arguments


class Served:
    """`first` is the client of a visitor; within `with served.first` the server's threads stay."""

    def __init__(self, page: gr.Blocks, first: str = "127.0.0.1") -> None:
        self.page = page
        self.app = gr.routes.App.create_app(page, app_kwargs=launch_arguments()["app_kwargs"])
        self.first = self.client(first)

    def client(self, address: str) -> TestClient:
        return TestClient(self.app, "http://127.0.0.1", raise_server_exceptions=False, client=(address, 4000))

    def in_loop(self, address: str, timeout: float = 60.0) -> httpx.AsyncClient:
        """Of requests that share one event loop, as those to a server do."""
        transport = httpx.ASGITransport(self.app, client=(address, 1))
        return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", timeout=timeout)

    async def post(self, address: str, path: str, body: object) -> httpx.Response:
        async with self.in_loop(address) as client:
            return await client.post(path, json=body)

    @property
    def sessions(self) -> Any:
        return self.app.state_holder.session_data


@contextmanager
def asking(request: Any) -> Iterator[None]:
    """As in an event of the page's that came with this request."""
    token = LocalContext.request.set(request)
    try:
        yield
    finally:
        LocalContext.request.reset(token)
