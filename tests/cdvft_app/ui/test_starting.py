"""A machine that is busy when the page starts: the page comes late, at its port, and no program ends.

A page that nobody asks anything leaves the machine to others.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from typing import Any

import gradio as gr
import httpx
import pytest
from ports import free_port
from served import Served
from starlette.middleware import Middleware

from cdvft_app.ui import launching


class Slow:
    """Takes its time for the page, which Gradio asks for by HEAD and waits 3 s for."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["method"] == "HEAD":
            await asyncio.sleep(5)
        await self._app(scope, receive, send)


@asynccontextmanager
async def late(_: Any):
    await asyncio.sleep(6)  # Gradio waits for 5
    yield


def launched(port: int, **app_kwargs: Any) -> gr.Blocks:
    with gr.Blocks(analytics_enabled=False) as page:
        gr.Markdown("late")
    page.launch(
        prevent_thread_lock=True, quiet=True, server_name="127.0.0.1", server_port=port, ssr_mode=False,
        app_kwargs=app_kwargs, **launching.be_patient(),
    )  # fmt: skip
    return page


def test_a_page_that_is_late_is_waited_for() -> None:
    port = free_port()
    page = launched(port, lifespan=late, middleware=[Middleware(Slow)])
    try:
        assert page.server_port == port
        assert httpx.get(f"http://127.0.0.1:{port}/").status_code == 200
    finally:
        page.close(verbose=False)


def test_a_port_that_another_program_has_is_not_waited_for() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(OSError, match="Cannot find empty port"):
            launched(other.getsockname()[1])


def test_a_server_that_nobody_asks_looks_for_events_at_most_fifty_times_a_second(monkeypatch) -> None:
    """Gradio's looked a thousand times: 4 % of a processor."""
    with gr.Blocks(analytics_enabled=False) as page:
        gr.Markdown("idle")
    with Served(page).first:
        looking = (page._queue.start_processing, page._queue.start_progress_updates)
    rests: list[float] = []

    async def rest(seconds: float) -> None:
        rests.append(seconds)
        page._queue.stopped = True

    monkeypatch.setattr("gradio.queueing.asyncio.sleep", rest)
    for look in looking:
        page._queue.stopped = False
        asyncio.run(look())
    assert len(rests) == 2 and min(rests) >= 0.02
