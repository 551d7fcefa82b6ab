"""`python app.py` in a process of its own, over a folder of runs."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import psutil
from ports import free_port
from sources import ROOT
from waiting import wait_for


class StartedProgram:
    """`url` ends with a slash. `log` is the file of what the program prints."""

    folder = ROOT
    command: tuple[str, ...] = ("app.py",)

    def __init__(self, runs: Path, inherited: Mapping[str, str] = os.environ, **own: str) -> None:
        self.runs, self.log = runs, runs.with_name("server.log")
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/"
        self.environment = {
            **inherited,
            "RUNS_DIR": str(runs),
            "GRADIO_TEMP_DIR": str(runs.with_name("gradio")),  # a server that ends empties it
            "GRADIO_SERVER_NAME": "127.0.0.1",
            "GRADIO_SERVER_PORT": str(self.port),
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",
            **own,
        }

    def start(self) -> None:
        command = [sys.executable, *self.command]
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                command, cwd=self.folder, env=self.environment, stdout=log, stderr=log
            )
        wait_for(self._answers, 120, self.log.read_text)

    def _answers(self) -> bool:
        assert self.process.poll() is None, f"It ended: {self.log.read_text()[-2000:]}"
        with suppress(OSError):
            urllib.request.urlopen(f"{self.url}gradio_api/app_id", timeout=10).close()
            return True
        return False

    def children(self) -> list[psutil.Process]:
        """What it has started, trainings among them; nothing once it has ended."""
        with suppress(psutil.NoSuchProcess):
            return psutil.Process(self.process.pid).children(recursive=True)
        return []

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def kill_all(self) -> None:
        for child in self.children():
            with suppress(psutil.NoSuchProcess):  # it has just ended by itself
                child.kill()
        self.kill()
