"""Waits for the page's own server as long as a busy machine needs: Gradio gives up after seconds.

Gradio waits 5 s for its server to start, and goes on to the next port; then 3 s for the page, and ends the
program with the advice to set share=True.
"""

from __future__ import annotations

import time

from gradio import http_server
from gradio.exceptions import ServerFailedToStartError

PATIENCE_SECONDS = 120.0
POLL_SECONDS = 0.05


class PatientServer(http_server.Server):
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
    """For `Blocks.launch`, which has no argument for the server's class.

    It need not ask for the page, as before that it waits for the server's start events without limit.
    """
    http_server.Server = PatientServer  # type: ignore[misc]
    return {"_frontend": False}
