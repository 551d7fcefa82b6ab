"""The hub's Jobs, on this machine: a Job is its command in a process, and its log is what that prints."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ACCOUNT = "ada"


class Job:
    """One, in a folder of its own; `uv run SCRIPT` there is `python SCRIPT`, by the interpreter `python`."""

    def __init__(self, folder: Path, spec: dict[str, Any], environment: dict[str, str], python: str) -> None:
        self.folder, self.spec, self.cancelled = folder, spec, False
        (folder / "bin").mkdir(parents=True)
        uv = folder / "bin" / "uv"
        uv.write_text(f'#!/bin/sh\nshift\nexec {python} "$@"\n')
        uv.chmod(0o755)
        told = {**spec["environment"], **spec.get("secrets", {}), **environment}
        path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        with (folder / "log").open("w") as log:
            self.process = subprocess.Popen(
                spec["command"],
                cwd=folder,
                # Its own cache: in one that is kept, an earlier test's code has the same commit.
                env=os.environ | told | {"PATH": path, "HF_HOME": str(folder / "cache")},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def stage(self) -> str:
        if self.cancelled:
            return "CANCELED"
        code = self.process.poll()
        return "RUNNING" if code is None else "ERROR" if code else "COMPLETED"

    def cancel(self) -> None:
        self.cancelled = True
        self.process.kill()
        self.process.wait()

    def log(self) -> list[str]:
        return (self.folder / "log").read_text().splitlines()


class Jobs:
    """What the hub's addresses below /api/jobs answer.

    Args:
        folder: for the Jobs' own, which are `0`, `1` and so on.
        script: what every Job runs in place of the script that it was sent, if given.
        python: by which it is run.
        environment: of the Jobs, beside what they are sent.
    """

    def __init__(
        self, folder: Path, script: str | None = None, python: str = sys.executable, **environment: str
    ) -> None:
        self.folder, self.script, self.environment = folder, script, environment
        self.python = python
        self.started: list[Job] = []
        self._lock = threading.Lock()
        self.status: int | None = None  # what is answered in place of starting one

    def answer(self, method: str, path: str, body: bytes) -> tuple[Any, int]:
        """JSON and a status; a log as its lines."""
        parts = path.partition("?")[0].strip("/").split("/")[2:]
        if parts == [ACCOUNT] and method == "POST":
            return self._start(json.loads(body))
        if len(parts) < 2 or not parts[1].isdecimal() or int(parts[1]) >= len(self.started):
            return {"error": path}, 404
        job = self.started[int(parts[1])]
        if parts[2:] == ["logs"]:
            return [_event(line) for line in job.log()], 200
        if parts[2:] == ["cancel"]:
            job.cancel()
        return self._info(int(parts[1])), 200

    def _start(self, spec: dict[str, Any]) -> tuple[Any, int]:
        if self.status is not None:
            return {"error": "refused"}, self.status
        command = ["uv", "run", "-c", self.script] if self.script is not None else spec["command"]
        spec = {**spec, "command": command}
        with self._lock:  # several are begun at the same time
            number = len(self.started)
            self.started.append(Job(self.folder / str(number), spec, self.environment, self.python))
        return self._info(number), 200

    def _info(self, number: int) -> dict[str, Any]:
        status = {"stage": self.started[number].stage, "message": None}
        return {"id": str(number), "owner": {"id": "1", "name": ACCOUNT, "type": "user"}, "status": status}

    def end(self) -> None:
        for job in self.started:
            job.cancel()


def _event(line: str) -> dict[str, str]:
    return {"data": line, "timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")}
