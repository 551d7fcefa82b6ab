"""The app in this process, over a temporary history and a training that takes milliseconds."""

from __future__ import annotations

import os
from pathlib import Path

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # before gradio is imported, as app.py does

import httpx
from gradio import networking
from gradio.context import Context
from gradio_client import Client
from in_process import InProcess
from ports import free_port
from waiting import wait_for

from cdvft_app.executors.queue import RunQueue
from cdvft_app.store.records import RunRecord
from cdvft_app.store.runs import RunStore
from cdvft_app.ui.build import build
from cdvft_app.ui.launching import launch_arguments
from cdvft_app.ui.shared.state import AppState
from walks import fake_training


class Studio:
    def __init__(self, runs: Path) -> None:
        self.runs = runs
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/"

    def start(self) -> None:
        Context.id = 0
        self.store = RunStore(self.runs)
        self.queue = RunQueue(self.store, executor=InProcess(fake_training.train))
        self.page = build(AppState.make(self.store, self.queue))
        answers = networking.url_ok
        networking.url_ok = self._answers  # Gradio's own patience is three seconds
        try:
            self.page.launch(
                prevent_thread_lock=True,
                quiet=True,
                server_name="127.0.0.1",
                server_port=self.port,
                **launch_arguments(),
            )
        finally:
            networking.url_ok = answers
        self.queue.start()

    def stop(self) -> None:
        self.page.close(verbose=False)
        self.queue.close()

    def client(self, **options: object) -> Client:
        return Client(self.url, verbose=False, httpx_kwargs={"timeout": 60}, **options)

    def newest(self) -> list[RunRecord]:
        """The runs of the newest race."""
        (group, *_) = self.store.groups(1)
        return list(group)

    @staticmethod
    def _answers(address: str) -> bool:
        return wait_for(lambda: httpx.head(address, timeout=60).is_success)
