"""The hub's Jobs, on this machine: a Job is the script in a process, and its log is what that prints."""

from __future__ import annotations

import inspect
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

from huggingface_hub import HfApi, JobStage


def _flavor(name, title, cost, unit):
    return SimpleNamespace(name=name, pretty_name=title, unit_cost_usd=cost, unit_label=unit)


HARDWARE = [
    _flavor("t4-small", "Nvidia T4 - small", 0.4 / 60, "minute"),
    _flavor("a10g-large", "Nvidia A10G - large", 1.5, "hour"),
]


class Jobs:
    """Stands in for `HfApi`; each call must be one that the real one takes."""

    def __init__(self, folder: Path, hub, **environment: str) -> None:
        self.folder, self.hub, self.environment = folder, hub, environment
        self.asked: dict[str, dict] = {}
        self.stage: JobStage | None = None
        self.before: list[str] = []

    def __getattribute__(self, name):
        own = object.__getattribute__(self, name)
        if not callable(getattr(HfApi, name, None)):
            return own

        def called(*given, **named):
            inspect.signature(getattr(HfApi, name)).bind(self, *given, **named)
            self.asked[name] = named
            return own(*given, **named)

        return called

    def list_jobs_hardware(self):
        return HARDWARE

    def create_repo(self, repo_id, *, private):
        self.hub.repositories[repo_id] = private

    def upload_file(self, *, path_or_fileobj, path_in_repo, repo_id):
        self.folder.mkdir()
        shutil.copy(path_or_fileobj, self.folder / path_in_repo)

    def run_uv_job(self, script, **named):
        shutil.copy(script, self.folder / "train.py")
        with (self.folder / "log").open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "train.py"],
                cwd=self.folder,
                env=os.environ | named["secrets"] | self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        return SimpleNamespace(id="job-1", owner=SimpleNamespace(name="ada"))

    def inspect_job(self, *, job_id, namespace):
        stage = self.stage
        if stage is None:
            code = self.process.poll()
            stage = JobStage.RUNNING if code is None else JobStage.ERROR if code else JobStage.COMPLETED
        return SimpleNamespace(status=SimpleNamespace(stage=stage))

    def fetch_job_logs(self, *, job_id, namespace):
        return [*self.before, *(self.folder / "log").read_text().splitlines()]

    def cancel_job(self, *, job_id, namespace):
        self.process.kill()
        self.process.wait()
        self.stage = JobStage.CANCELED

    def snapshot_download(self, repo_id, *, local_dir):
        for name, held in self.hub.files.items():
            file = Path(local_dir) / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(held)
