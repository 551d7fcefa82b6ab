"""The hub's client code against a hub of our own on 127.0.0.1."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler

import pytest

from cdvft_app.catalog import hub
from cdvft_app.catalog.download import DownloadStopped
from cdvft_app.catalog.hub import HubError, HubModelInfo, hub_status, is_wanted, model_info, snapshot

pytestmark = pytest.mark.usefixtures("hub_client")

COMMIT = "c0ffee" + "0" * 34
FILES = {
    "models/owner/tiny": {
        "config.json": b"{}",
        "model.safetensors": b"w" * 300_000,
        "pytorch_model.bin": b"pickle",
        "modeling_tiny.py": b"raise SystemExit",
        "onnx/model.safetensors": b"other",
    },
    "models/owner/pickle": {"config.json": b"{}", "pytorch_model.bin": b"pickle"},
    "models/owner/cut": {"config.json": b"{}", "model.safetensors": b"w" * 300_000},
    "models/owner/slow": {"model.safetensors": b"w" * 30_000_000},
    "datasets/owner/rows": {
        "README.md": b"# rows",
        "data/train.csv": b"text,label\na,0\n",
        "rows.py": b"raise",
    },
    "datasets/owner/code": {"code.py": b"raise"},
}
REFUSALS = {
    "models/owner/gone": (404, "RepoNotFound"),
    "datasets/owner/private": (401, "RepoNotFound"),
    "models/owner/gated": (403, "GatedRepo"),
    "models/owner/broken": (500, None),
}


class Hub(BaseHTTPRequestHandler):
    """As much of the hub as its client asks for: what a repository has, and its files."""

    protocol_version = "HTTP/1.1"
    requests: list[str]
    go_on: threading.Event  # what the second part of a large file waits for
    hang: Callable[[], None]

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        self.requests.append(f"{self.command} {self.path}")
        asked = re.match(r"/api/(models|datasets)/([^/]+/[^/?]+)(/[^?]*)?", self.path)
        file = re.match(r"/(datasets/)?([^/]+/[^/]+)/resolve/[^/]+/(.+)", self.path)
        if asked:
            repository, rest = f"{asked[1]}/{asked[2]}", asked[3] or ""
        elif file:
            repository, name = f"{'datasets' if file[1] else 'models'}/{file[2]}", file[3]
        else:  # whether it is there, and what the client likes to know of its user
            return self._send(b"{}")
        if repository == "models/owner/hangs":
            self.hang()
        if repository in REFUSALS or repository not in FILES:
            status, code = REFUSALS.get(repository, (404, "RepoNotFound"))
            return self._send(b"{}", status=status, **({"X-Error-Code": code} if code else {}))
        files = FILES[repository]
        if not asked:
            return self._send_file(repository, name, files[name])
        if rest.startswith("/revision/") and rest.split("/")[2] not in ("main", COMMIT):
            return self._send(b"{}", status=404, **{"X-Error-Code": "RevisionNotFound"})
        if rest.startswith("/tree/"):
            sizes = {name: {"size": len(held), "oid": _digest(held)} for name, held in files.items()}
            tree = [{"type": "file", "path": name, **of} for name, of in sizes.items()]
            return self._send(json.dumps(tree).encode())
        siblings = [{"rfilename": name, "size": len(content)} for name, content in files.items()]
        card = {"license": "mit"} if repository == "models/owner/tiny" else None
        said = {"id": asked[2], "sha": COMMIT, "siblings": siblings, "cardData": card}
        return self._send(json.dumps(said).encode())

    def _send_file(self, repository: str, name: str, content: bytes) -> None:
        cut = repository.endswith("/cut") and name.endswith(".safetensors") and self.command == "GET"
        start = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
        content = content[int(start[1]) if start else 0 :]
        told = {"ETag": f'"{_digest(content)}"', "X-Repo-Commit": COMMIT}
        self._send(content, status=206 if start else 200, cut=cut, **told)

    def _send(self, content: bytes, status: int = 200, cut: bool = False, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            part = 2 * len(content) // 5  # of a large file, more than the client's chunk of 10 MiB
            self.wfile.write(content[:part])
            if part > 1_000_000:
                self.go_on.wait(20)
            self.wfile.write(b"" if cut else content[part:])
        self.close_connection = cut

    def log_message(self, *_) -> None:
        pass


def _digest(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()


@pytest.fixture
def requests(serve, hanging, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A hub that answers; what it was asked."""
    handler = type("Handler", (Hub,), {"requests": [], "hang": hanging})
    monkeypatch.setenv("HF_ENDPOINT", serve(handler))
    return handler.requests


def test_a_model_is_asked_about_before_anything_is_fetched(requests, monkeypatch) -> None:
    assert model_info("owner/tiny") == HubModelInfo("mit", 300_002, True)
    assert model_info("owner/pickle") == HubModelInfo(None, 2, False)
    assert model_info("owner/gone") is None and model_info("owner/broken") is None
    assert not [asked for asked in requests if "resolve" in asked]
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert model_info("owner/tiny") is None


def test_a_model_is_fetched_once_and_kept(requests: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[tuple[float | None, str]] = []
    found = snapshot("owner/tiny", "model", "main", title="Tiny", progress=lambda *said: heard.append(said))
    assert found.commit == COMMIT
    names = {str(path.relative_to(found.folder)) for path in found.folder.rglob("*") if path.is_file()}
    assert names == {"config.json", "model.safetensors"}
    assert (found.folder / "model.safetensors").read_bytes() == b"w" * 300_000
    assert heard[0][0] is None
    fetched = [request for request in requests if request.startswith("GET") and "/resolve/" in request]
    assert sorted(request.rpartition("/")[2] for request in fetched) == ["config.json", "model.safetensors"]

    requests.clear()
    assert snapshot("owner/tiny", "model", COMMIT, title="Tiny") == found
    assert not [request for request in requests if request.startswith("GET") and "/resolve/" in request]
    requests.clear()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert snapshot("owner/tiny", "model", "main", title="Tiny") == found
    assert requests == []


def test_progress_of_a_slow_download(requests: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[tuple[float | None, str]] = []
    go_on = threading.Event()
    monkeypatch.setattr(Hub, "go_on", go_on, raising=False)

    def progress(fraction: float | None, text: str) -> None:
        heard.append((fraction, text))
        if fraction is not None and fraction > 0.2:
            go_on.set()

    snapshot("owner/slow", "model", "main", title="Slow", progress=progress)
    fractions = [fraction for fraction, _ in heard if fraction is not None]
    assert fractions == sorted(fractions)
    assert any(0.2 < fraction < 0.5 for fraction in fractions)
    assert re.fullmatch(r"Reading Slow, 30 MB, \d+ %", heard[-1][1])


@pytest.mark.usefixtures("requests")
def test_data_files_of_a_dataset_are_fetched_if_they_are_not_too_large(tmp_path, monkeypatch) -> None:
    every = snapshot("owner/rows", "dataset", None)
    names = {path.name for path in every.folder.rglob("*") if path.is_file()}
    assert names == {"README.md", "train.csv"}
    some = snapshot("owner/rows", "dataset", None, patterns=["data/train*.csv"])
    assert some.folder == every.folder
    monkeypatch.setattr(hub, "MAX_DATASET_BYTES", 10)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "another cache"))
    with pytest.raises(HubError, match=r"0\.0 GB to download"):
        snapshot("owner/rows", "dataset", None)


@pytest.mark.parametrize(
    ("kind", "repository", "sentence"),
    [
        ("model", "owner/gone", "no model owner/gone"),
        ("dataset", "owner/private", "no dataset owner/private"),
        ("model", "owner/gated", "gated"),
        ("model", "owner/tiny@v7", "no branch, tag, or commit 'v7'"),
        ("model", "owner/pickle", "no model.safetensors"),
        ("dataset", "owner/code", "no data files"),
        ("model", "owner/broken", "cannot be downloaded"),
    ],
)
@pytest.mark.usefixtures("requests")
def test_snapshot_names_what_is_missing(kind: str, repository: str, sentence: str) -> None:
    name, _, revision = repository.partition("@")
    with pytest.raises(HubError, match=sentence):
        snapshot(name, kind, revision or "main")


def test_an_interrupted_download_does_not_count(requests, monkeypatch) -> None:
    monkeypatch.setattr(hub, "STALL_SECONDS", 3.0)
    with pytest.raises(HubError, match="owner/cut cannot be downloaded"):
        snapshot("owner/cut", "model", "main")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(HubError, match="owner/cut is not in the cache"):
        snapshot("owner/cut", "model", "main")


def test_a_hanging_hub_times_out(requests, hanging, monkeypatch) -> None:
    monkeypatch.setattr(hub, "INFO_TIMEOUT", 1.0)
    with pytest.raises(HubError, match="in time"):
        snapshot("owner/hangs", "model", "main")


def test_a_download_can_be_stopped(requests, monkeypatch) -> None:
    monkeypatch.setattr(Hub, "go_on", threading.Event(), raising=False)
    with pytest.raises(DownloadStopped):
        snapshot("owner/slow", "model", "main", should_stop=lambda: any("GET /owner" in r for r in requests))


@pytest.mark.parametrize(
    ("name", "kind", "patterns", "expected"),
    [
        ("config.json", "model", None, True),
        ("model-00001-of-00002.safetensors", "model", None, True),
        ("chat_template.jinja", "model", None, True),
        ("model.fp16.safetensors", "model", None, False),
        ("adapter/config.json", "model", None, False),
        ("pytorch_model.bin", "model", None, False),
        ("modeling.py", "model", None, False),
        ("data/train-00000.parquet", "dataset", None, True),
        ("loader.py", "dataset", None, False),
        ("data.pkl", "dataset", None, False),
        ("sst2/train-0.parquet", "dataset", ["sst2/train-*.parquet"], True),
        ("cola/train-0.parquet", "dataset", ["sst2/train-*.parquet"], False),
    ],
)
def test_which_files_are_fetched(name: str, kind: str, patterns: list[str] | None, expected: bool) -> None:
    assert is_wanted(name, kind, patterns) == expected


# Whether the hub answers at all


def answering(action) -> type[BaseHTTPRequestHandler]:
    """A server that does one thing whatever it is asked."""
    quiet = {"do_HEAD": action, "log_message": lambda *_: None}
    return type("Handler", (BaseHTTPRequestHandler,), quiet)


@pytest.mark.parametrize(
    ("code", "reachable", "sentence"),
    [
        (200, True, "The Hub answers."),
        (401, True, "The Hub answers."),
        (503, False, "The Hub has an error (503)."),
    ],
)
def test_a_hub_that_answers_is_asked_once_a_minute(code, reachable, sentence, serve, monkeypatch) -> None:
    asked = []

    def answer(self: BaseHTTPRequestHandler) -> None:
        asked.append(self.path)
        self.send_response(code)
        self.end_headers()

    monkeypatch.setenv("HF_ENDPOINT", serve(answering(answer)))
    first = hub_status()
    assert first.reachable == reachable and first.sentence.startswith(sentence)
    assert hub_status() == first and len(asked) == 1
    monkeypatch.setattr(hub, "STATUS_KEPT", 0.0)
    assert hub_status() == first and len(asked) == 2


def test_a_hub_that_hangs_is_out_of_reach(serve, hanging, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", serve(answering(hanging)))
    monkeypatch.setattr(hub, "STATUS_TIMEOUT", 2.0)
    status = hub_status()
    assert hanging.asked.is_set() and not status.reachable


@pytest.mark.parametrize(
    ("name", "value"),
    [("HF_ENDPOINT", "http://127.0.0.1:9"), ("HF_ENDPOINT", "no address"), ("HF_HUB_OFFLINE", "1")],
)
def test_without_a_hub_offline_recipes_are_named(name: str, value: str, monkeypatch) -> None:
    monkeypatch.setenv(name, value)
    status = hub_status()
    assert not status.reachable and "sentiment, mnist, digits, addresses and sql" in status.sentence
    with pytest.raises(HubError, match="Tiny is not in the cache"):
        snapshot("owner/tiny", "model", None, title="Tiny")
