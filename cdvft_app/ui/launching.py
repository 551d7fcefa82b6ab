"""Arguments of the page's launch: its theme, its limits, and the middleware before Gradio."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from cdvft_app import ASSETS
from cdvft_app.public.origins import AllowedHosts, SameOrigin
from cdvft_app.ui.incoming import (
    BoundedBodies,
    Compressed,
    PageOfATab,
    VisitorOfAgents,
    WellFormedText,
    serves_agents,
)
from cdvft_app.ui.login import AddressOfLogin
from cdvft_app.ui.monitoring import Monitoring
from cdvft_app.ui.page_files import PageHead
from cdvft_app.ui.sessions import MAX_SESSIONS, ShareOfGradio, install
from cdvft_app.ui.shared import server_functions
from cdvft_app.ui.shared.gradio_adapter import ServerFailedToStartError, http_server
from cdvft_app.ui.shared.named_endpoint import AnsweringBlocks
from cdvft_app.ui.theme import theme

PATIENCE_SECONDS = 120.0
POLL_SECONDS = 0.05


def launch_arguments() -> dict[str, Any]:
    """Return the arguments of `Blocks.launch`, and make the assets readable for the page."""
    gr.set_static_paths([ASSETS])
    return {
        "theme": theme(),
        "favicon_path": str(ASSETS / "logo.svg"),
        "footer_links": [],
        "run_history": False,
        "enable_monitoring": False,
        "ssr_mode": False,
        **be_patient(),
        "show_error": False,
        "max_file_size": "64mb",
        "state_session_capacity": MAX_SESSIONS,
        "mcp_server": serves_agents(),
        "app_kwargs": {
            "routes": server_functions.routes,
            "lifespan": _starting,
            "middleware": [
                Middleware(part)
                for part in (
                    Compressed,
                    PageHead,
                    BoundedBodies,
                    PageOfATab,
                    WellFormedText,
                    VisitorOfAgents,
                    AddressOfLogin,
                    ShareOfGradio,
                )
            ],
        },
    }


@asynccontextmanager
async def _starting(app: gr.routes.App) -> AsyncIterator[None]:
    """Puts what checks where a request comes from outside of all else, and keeps sessions small.

    Outside of what `app_kwargs` names Gradio adds its middleware for CORS, which answers by itself, and for
    the hub's login, which sets a cookie.
    """
    install(app)
    assert app.middleware_stack is not None  # this very call went through it
    guarded = AllowedHosts(SameOrigin(app.middleware_stack))
    page = app.get_blocks()
    studio = page.studio if isinstance(page, AnsweringBlocks) else None
    app.middleware_stack = guarded if studio is None else Monitoring(guarded, studio)
    yield


class PatientServer(http_server.Server):
    """Waits as long as a busy machine needs to start.

    Gradio gives it 5 s, and goes on to the next port; then the page 3 s, and ends the program with the advice
    to set share=True.
    """

    def run_in_thread(self) -> None:
        try:
            super().run_in_thread()
        except ServerFailedToStartError:
            gives_up = time.monotonic() + PATIENCE_SECONDS
            # Its thread ends where it cannot start, such as at a port that another program has.
            while not self.started and self.thread.is_alive() and time.monotonic() < gives_up:
                time.sleep(POLL_SECONDS)
            if not self.started:
                raise


def be_patient() -> dict[str, bool]:
    """Have Gradio start a `PatientServer`; return the arguments of `Blocks.launch` that go with it.

    Gradio need not ask for the page, as before that it waits for the server's start events without limit.
    """
    http_server.Server = PatientServer  # type: ignore[misc]
    return {"_frontend": False}
