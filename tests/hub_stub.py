"""A hub of one's own on loopback: takes repositories and commits as the real one's interface asks."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from jobs_stub import ACCOUNT, Jobs

COMMIT = "0" * 40
TOKEN = "hf_of_the_test"


class Hub:
    """What was asked of it. `status`: what it answers to every change in place of doing it."""

    def __init__(self) -> None:
        self.status: int | None = None
        self.repositories: dict[str, bool] = {}  # whether it is private
        self.files_of: dict[str, dict[str, bytes]] = defaultdict(dict)  # by repository
        self.jobs: Jobs | None = None
        self.commits: dict[str, str] = {}  # of datasets, by owner/name@revision
        self.fetched: list[str] = []  # addresses of files
        self.tokens: set[str | None] = set()
        self.changed_by: set[str | None] = set()  # tokens: who asked for more than an answer
        self.address = ""

    @property
    def files(self) -> dict[str, bytes]:
        """Of all repositories together."""
        return {name: held for one in self.files_of.values() for name, held in one.items()}


def siblings(files: Mapping[str, bytes]) -> list[dict[str, Any]]:
    return [{"rfilename": name, "size": len(held)} for name, held in files.items()]


@contextmanager
def hub() -> Iterator[Hub]:
    stub = Hub()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.headers.get("Transfer-Encoding") == "chunked":
                body = b""
                while size := int(self.rfile.readline(), 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
            stub.tokens.add(self.headers.get("Authorization"))
            stub.changed_by.add(self.headers.get("Authorization"))
            if stub.status:
                self.answer({"error": "refused"}, stub.status)
            elif self.path.startswith("/api/jobs/") and stub.jobs is not None:
                self.answer(*stub.jobs.answer("POST", self.path, body))
            elif self.path == "/api/repos/create":
                asked = json.loads(body)
                name = "/".join(filter(None, (asked.get("organization"), asked["name"])))
                there = name in stub.repositories
                is_private = bool(asked.get("private") or asked.get("visibility") == "private")
                stub.repositories.setdefault(name, is_private)
                if there:
                    said = {"error": "You already created this model repo", "url": f"{stub.address}/{name}"}
                    return self.answer(said, 409)
                self.answer({"url": f"{stub.address}/{name}", "name": name, "id": name})
            elif "/preupload/" in self.path:
                usual = {"uploadMode": "regular", "shouldIgnore": False}
                self.answer({"files": [{"path": one["path"], **usual} for one in json.loads(body)["files"]]})
            elif "/commit/" in self.path:
                for line in body.decode().splitlines():
                    entry: Any = json.loads(line)
                    if entry["key"] == "file":
                        content = base64.b64decode(entry["value"]["content"])
                        stub.files_of[self.repository("/commit/")][entry["value"]["path"]] = content
                address = f"{stub.address}/ada/films/commit/0"
                self.answer({"success": True, "commitOid": COMMIT, "commitUrl": address})
            elif self.path == "/api/validate-yaml":
                self.answer({"errors": [], "warnings": []})
            else:
                self.answer({"error": self.path}, 404)

        def do_GET(self) -> None:
            stub.tokens.add(self.headers.get("Authorization"))
            if self.path.startswith("/api/datasets/"):
                asked = self.path.removeprefix("/api/datasets/").partition("?")[0]
                return self.dataset(*asked.split("/revision/"))
            if self.path.startswith("/api/jobs/") and stub.jobs is not None:
                found, status = stub.jobs.answer("GET", self.path, b"")
                is_log = status == 200 and self.path.endswith("/logs")
                return self.stream(found) if is_log else self.answer(found, status)
            if self.path == "/api/whoami-v2":
                return self.answer({"type": "user", "name": ACCOUNT, "id": "1"})
            if "/resolve/" in self.path:
                return self.file(*self.path.partition("?")[0].strip("/").split("/resolve/"))
            if "/tree/" in self.path:
                return self.tree(stub.files_of[self.repository("/tree/")])
            files = stub.files_of.get(self.repository("/revision/"), {})
            self.answer({"sha": COMMIT, "siblings": siblings(files), "id": "x"})

        def do_HEAD(self) -> None:
            if self.path == "/":  # whether it answers at all; a thread of an earlier test may ask it, too
                return self.answer({})
            self.do_GET()

        def repository(self, before: str) -> str:
            return self.path.partition("?")[0].removeprefix("/api/models/").partition(before)[0]

        def tree(self, files: Mapping[str, bytes]) -> None:
            usual = {"type": "file", "oid": COMMIT}
            self.answer([{**usual, "path": name, "size": len(held)} for name, held in files.items()])

        def file(self, repository: str, rest: str) -> None:
            held = stub.files_of[repository].get(rest.partition("/")[2])
            if self.command == "GET":
                stub.fetched.append(self.path)
            if held is None:
                return self.answer({"error": "none"}, 404, {"X-Error-Code": "EntryNotFound"})
            self.send_response(200)
            self.send_header("ETag", f'"{hashlib.sha256(held).hexdigest()}"')
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("Content-Length", str(len(held)))
            self.end_headers()
            self.wfile.write(held if self.command == "GET" else b"")

        def stream(self, events: list[dict[str, str]]) -> None:
            """As server-sent events, which end with the connection."""
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            for event in events:
                self.wfile.write(f"data: {json.dumps(event)}\n\n".encode())

        def dataset(self, name: str, revision: str = "main") -> None:
            commit = stub.commits.get(f"{name}@{revision}")
            if commit:
                return self.answer({"id": name, "sha": commit, "siblings": []})
            known = any(one.startswith(f"{name}@") for one in stub.commits)
            code = "RevisionNotFound" if known else "RepoNotFound"
            self.answer({"error": code}, 404, {"X-Error-Code": code})

        def answer(self, value: Any, status: int = 200, more: Mapping[str, str] = {}) -> None:
            data = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            for name, text in more.items():
                self.send_header(name, text)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    stub.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield stub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        if stub.jobs is not None:
            stub.jobs.end()
