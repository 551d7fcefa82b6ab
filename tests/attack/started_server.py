"""A public server in a process of its own, and strangers who ask it: what every attack is made of.

app.py runs with CDVFT_PUBLIC=1, over a temporary folder and a free port of 127.0.0.1, and loads what training
needs when it is asked for. A `Stranger` is a visitor with a class code of its own, so that each has a budget.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
from ports import free_port
from waiting import wait_for

ROOT = Path(__file__).parents[2]
CODES = tuple(f"stranger-{number}" for number in range(100))
OPERATOR_KEY = "open, sesame seed"
PROGRAM = """
import gc, runpy
gc.disable()
from cdvft_app.ui import serving
serving.children.prepare = serving.warm_up = lambda **_: None
runpy.run_path("app.py", run_name="__main__")
"""
PATIENCE = 120.0  # seconds, for what takes one on an idle machine
MB = 10**6


@dataclass
class Answer:
    """What came back: `value` of a call that went well, or the sentence of one that was refused."""

    ok: bool
    value: Any = None
    sentence: str | None = None
    status: int = 200


@dataclass
class PublicServer:
    """`url` ends with a slash. `log` is the file of what the server prints."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/"
        self.runs, self.log = self.folder / "runs", self.folder / "server.log"

    def start(self) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("CDVFT_")}
        environment |= {
            "CDVFT_PUBLIC": "1",
            "CDVFT_CODES": ", ".join(CODES),
            "CDVFT_OPERATOR_KEY": OPERATOR_KEY,
            "RUNS_DIR": str(self.runs),
            "GRADIO_SERVER_NAME": "127.0.0.1",
            "GRADIO_SERVER_PORT": str(self.port),
            "GRADIO_TEMP_DIR": str(self.folder / "uploaded"),
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",
            **self.environment,
        }
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM], cwd=ROOT, env=environment, stdout=log, stderr=log
            )
        wait_for(self.answers, PATIENCE, self.log.read_text)

    def answers(self) -> bool:
        """Whether the page is served; fails where the server has ended."""
        assert self.process.poll() is None, f"app.py ended: {self.log.read_text()[-2000:]}"
        with httpx.Client(timeout=10) as client:
            try:
                return client.get(self.url + "gradio_api/app_id").is_success
            except httpx.HTTPError:
                return False

    def settle(self) -> None:
        """Until the server has imported what it imports by itself after its start."""
        seen = [0.0]

        def rests() -> bool:
            time.sleep(3)
            seen.append(self.memory())
            return abs(seen[-1] - seen[-2]) < 1

        wait_for(rests, PATIENCE)

    def stop(self) -> None:
        for child in psutil.Process(self.process.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):  # it has just ended by itself
                child.kill()
        self.process.kill()
        self.process.wait()

    def restart(self) -> None:
        """As after an update: the server ends, and another one starts over the same folder."""
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.stop()
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
                for child in page.children():
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

    def __init__(self, server: PublicServer, code: str, headers: dict[str, str] | None = None) -> None:
        self.server, self.code = server, code
        self.session = secrets.token_hex(5)
        self.client = httpx.Client(
            base_url=server.url, timeout=PATIENCE, headers={"x-cdvft-code": code, **(headers or {})}
        )

    def call(self, name: str, *arguments: Any) -> Answer:
        """A named endpoint, such as "start", as Gradio's clients call it."""
        return self.call_written(name, _json({"data": arguments}))

    def call_written(self, name: str, body: str) -> Answer:
        """The same with a body that need be no JSON."""
        sent = self.client.post(f"gradio_api/call/{name}", content=body, headers=JSON)
        if not sent.is_success:
            return Answer(False, sentence=sent.text, status=sent.status_code)
        with self.client.stream("GET", f"gradio_api/call/{name}/{sent.json()['event_id']}") as stream:
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
        joined = self.client.post("gradio_api/queue/join", content=_json(body), headers=JSON)
        if not joined.is_success:
            return Answer(False, sentence=joined.text, status=joined.status_code)
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


JSON = {"content-type": "application/json"}


def _json(value: object) -> str:
    return json.dumps(value)  # NaN and Infinity too, as some clients write them


def uploaded(path: str) -> dict[str, Any]:
    """The value of a field of one file."""
    return {"path": path, "meta": {"_type": "gradio.FileData"}, "orig_name": Path(path).name}
