"""A public server in a process of its own, and strangers who ask it: what every attack is made of.

app.py runs with CDVFT_PUBLIC=1, over a temporary folder and a free port of 127.0.0.1, and loads what training
needs when it is asked for. A `Stranger` is a visitor with a class code of its own, so that each has a budget.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
from started_program import StartedProgram
from waiting import wait_for

CODES = tuple(f"stranger-{number}" for number in range(100))
PROGRAM = """
import gc, runpy
gc.disable()
from cdvft_app.ui import serving
serving.children.prepare = serving.warm_up = lambda **_: None
runpy.run_path("app.py", run_name="__main__")
"""
PATIENCE = 120.0  # seconds, for what takes one on an idle machine
MB = 10**6
JSON = {"content-type": "application/json"}
ROWS = "text,label\n" + "".join(f"scene {n},{'good' if n % 2 else 'bad'}\n" for n in range(40))


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


class PublicServer(StartedProgram):
    command = ("-c", PROGRAM)

    def __init__(self, folder: Path) -> None:
        super().__init__(
            folder / "runs",
            {name: value for name, value in os.environ.items() if not name.startswith("CDVFT_")},
            CDVFT_PUBLIC="1",
            CDVFT_CODES=", ".join(CODES),
            CDVFT_OPERATOR_KEY="open, sesame seed",
            GRADIO_TEMP_DIR=str(folder / "uploaded"),
        )

    def settle(self) -> None:
        """Until the server has imported what it imports by itself after its start."""
        seen = [0.0]

        def rests() -> bool:
            time.sleep(3)
            seen.append(self.memory())
            return abs(seen[-1] - seen[-2]) < 1

        wait_for(rests, PATIENCE)

    def restart(self) -> None:
        """As after an update: the server ends, and another one starts over the same folder."""
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill_all()
        self.start()

    def memory(self) -> float:
        """MB of the server's own process: it is the page, which nobody may fill."""
        return psutil.Process(self.process.pid).memory_info().rss / MB

    @contextmanager
    def watched(self) -> Iterator[Watched]:
        """Watches memory and answers while the block runs."""
        found, ended = Watched(self.memory()), threading.Event()
        page = psutil.Process(self.process.pid)

        def watch() -> None:
            while not ended.wait(0.02):
                found.page = max(found.page, page.memory_info().rss / MB)
                for child in page.children(recursive=True):  # a fork server, whose own children read
                    try:
                        if "cdvft_app.public.intake" in child.cmdline():
                            found.child = max(found.child, child.memory_info().rss / MB)
                    except psutil.Error:
                        continue

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        began = time.monotonic()
        try:
            yield found
        finally:
            found.seconds = time.monotonic() - began
            ended.set()
            watcher.join()


@dataclass
class Watched:
    """The most MB of the page's process and of a child that reads a file, and how long it took."""

    before: float
    page: float = 0.0
    child: float = 0.0
    seconds: float = 0.0

    @property
    def grown(self) -> float:
        return self.page - self.before


class Stranger:
    """A visitor of a public server: calls its endpoints and presses its buttons, without a browser."""

    def __init__(self, server: PublicServer, code: str) -> None:
        self.server, self.code = server, code
        self.session = secrets.token_hex(5)
        self.client = httpx.Client(base_url=server.url, timeout=PATIENCE, headers={"x-cdvft-code": code})

    def call(self, name: str, *arguments: Any) -> Answer:
        """A named endpoint, such as "start"."""
        return ask_endpoint(self.client, name, json.dumps({"data": arguments}))

    def upload(self, file: Path) -> str:
        """Where the server keeps the uploaded file, as its own page would be told."""
        with file.open("rb") as opened:
            sent = self.client.post("gradio_api/upload", files={"files": (file.name, opened)})
        assert sent.is_success, sent.text
        return str(sent.json()[0])

    def press(self, element: str, event: str, *values: Any) -> Answer:
        """Let a part of the page have its event, with these values of what it reads."""
        function = self._function(element, event)
        body = {"data": values, "fn_index": function, "session_hash": self.session, "trigger_id": None}
        joined = self.client.post("gradio_api/queue/join", json=body)
        assert joined.is_success, joined.text
        asked = {"session_hash": self.session}
        with self.client.stream("GET", "gradio_api/queue/data", params=asked) as stream:
            for line in stream.iter_lines():
                told = json.loads(line.removeprefix("data: ")) if line.startswith("data: ") else {}
                if told.get("msg") == "process_completed":
                    output = told["output"]
                    return Answer(told["success"], output.get("data"), output.get("error"))
        return Answer(False)

    def _function(self, element: str, event: str) -> int:
        config = self.client.get("config").json()
        (part,) = [one["id"] for one in config["components"] if one["props"].get("elem_id") == element]
        return next(one["id"] for one in config["dependencies"] if [part, event] in one["targets"])


def uploaded(path: str) -> dict[str, Any]:
    """The value of a field of one file."""
    return {"path": path, "meta": {"_type": "gradio.FileData"}, "orig_name": Path(path).name}
