"""A public server on a port of 127.0.0.1, with a run of somebody's that strangers must not reach."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest
from gradio.context import Context
from ports import free_port
from waiting import pace

from cdvft_app.executors.queue import RunQueue
from cdvft_app.settings import RunSettings
from cdvft_app.store.runs import RunStore
from cdvft_app.ui.build import build
from cdvft_app.ui.launching import launch_arguments
from cdvft_app.ui.login import logins
from cdvft_app.ui.shared import server_functions
from cdvft_app.ui.shared.state import AppState

OWNER = "the owner's token"
SECRET_NAME = "a name for its owner alone"
JSON = {"content-type": "application/json"}


@dataclass
class Answer:
    """What came back: `value` of a call that went well, or the sentence of one that was refused."""

    ok: bool
    value: Any = None
    sentence: str | None = None


def ask_endpoint(client: httpx.Client, name: str, body: str, **headers: str) -> Answer:
    """As Gradio's clients call it, with a body that need be no JSON; fails where the server does."""
    sent = client.post(f"gradio_api/call/{name}", content=body, headers={**JSON, **headers})
    assert sent.status_code < 500, sent.text
    if not sent.is_success:
        return Answer(False, sentence=sent.json()["detail"])
    address = f"gradio_api/call/{name}/{sent.json()['event_id']}"
    with client.stream("GET", address, headers=headers) as stream:
        event = ""
        for line in stream.iter_lines():
            if line.startswith("event: "):
                event = line.removeprefix("event: ")
            elif line.startswith("data: ") and event in ("complete", "error"):
                value = json.loads(line.removeprefix("data: "))
                if event == "complete":
                    return Answer(True, value[0] if isinstance(value, list) and value else value)
                return Answer(False, sentence=value.get("error") if isinstance(value, dict) else value)
    return Answer(False)


class PublicServer:
    """`run` is private and waits; `http` asks as a program does, without Origin."""

    def __init__(self, folder: Path) -> None:
        Context.id = 0
        self.store = RunStore(folder)
        self.app = AppState.make(self.store, RunQueue(self.store))
        (self.run,) = self.store.create([RunSettings(method="lora")], OWNER, SECRET_NAME, private=True)
        self.page = build(self.app)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.page.launch(
            prevent_thread_lock=True,
            quiet=True,
            server_name="127.0.0.1",
            server_port=self.port,
            auth=logins(),
            **launch_arguments(),
        )
        self.http = httpx.Client(base_url=self.url, timeout=30 * pace())

    def call(self, endpoint: str, *data: Any, **headers: str) -> tuple[bool, Any]:
        """Whether the endpoint answered, and what, or the sentence by which it refused."""
        answer = ask_endpoint(self.http, endpoint, json.dumps({"data": data}), **headers)
        return answer.ok, answer.value if answer.ok else answer.sentence

    def functions(self) -> Iterator[tuple[str, str]]:
        """All that the page's scripts may ask, by part and name, each as `ask` takes it."""
        for key in server_functions.known(self.page):
            part, _, name = key.rpartition("/")
            yield part, name

    def ask(self, function: tuple[str, str], data: Any, **headers: str) -> httpx.Response:
        """As the page's scripts do."""
        return self.http.post(f"{server_functions.PATH}/{'/'.join(function)}", json=data, headers=headers)


@contextmanager
def public_server(**environment: str) -> Iterator[PublicServer]:
    """With this environment beside CDVFT_PUBLIC, and no Space, logins or hosts but those that it names."""
    with pytest.MonkeyPatch.context() as patch, TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        for name in ("SPACE_ID", "CDVFT_LOGINS", "CDVFT_HOSTS"):
            patch.delenv(name, raising=False)
        for name, value in {"CDVFT_PUBLIC": "1", "RUNS_DIR": folder, **environment}.items():
            patch.setenv(name, value)
        served = PublicServer(Path(folder))
        try:
            yield served
        finally:
            served.http.close()
            served.page.close(verbose=False)
            served.store.close()
