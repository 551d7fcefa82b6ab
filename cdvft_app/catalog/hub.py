"""Snapshots of the Hugging Face hub's repositories in the hub client's cache."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cdvft_app
from cdvft_app.catalog.download import (
    STALL_SECONDS,
    DownloadFailed,
    Progress,
    ShouldStop,
    folder_bytes,
    never,
    percent,
    run_watched,
    silent,
)
from cdvft_app.catalog.hub_download import MARK, choice
from cdvft_app.catalog.reachability import OFFLINE_RECIPES, HubStatus, hub_status

__all__ = ["HubError", "HubStatus", "Snapshot", "hub_status", "snapshot"]

TYPED_LIMIT = 5_000_000_000  # bytes of a dataset whose files nobody chose beforehand


class HubError(DownloadFailed):
    """Something of the hub could not be had; says what, why and what to do."""


@dataclass(frozen=True)
class Snapshot:
    """Files of a repository as they stood at a commit; `commit` is None where there is none."""

    folder: Path
    commit: str | None


def snapshot(
    repository: str,
    kind: Literal["model", "dataset"],
    revision: str | None,
    *,
    patterns: Sequence[str] | None = None,
    title: str | None = None,
    progress: Progress = silent,
    should_stop: ShouldStop = never,
) -> Snapshot:
    """The files of a repository at a revision, fetched first where they are not in the hub client's cache.

    Args:
        repository: id, owner/name.
        kind: of a model, settings and safetensors are fetched; of a dataset, data files.
        revision: commit hash, branch or tag; None is the branch main.
        patterns: which files of a dataset; None is all data files, up to `TYPED_LIMIT`.
        title: what to call it in sentences.
        progress: told a fraction (None where unknown) and a sentence.
        should_stop: asked several times a second.

    Raises:
        HubError: what could not be had, why, and what to do.
        DownloadStopped: `should_stop()` became true.
    """
    title = title or repository
    progress(None, f"Asking the hub for {title}")
    status = hub_status()
    if not status.reachable:
        kept = cached(repository, kind, revision, patterns)
        if kept:
            return kept
        raise HubError(f"{title} is not in the cache, and it cannot be fetched. {status.sentence}")
    request = {
        "repository": repository,
        "kind": kind,
        "revision": revision,
        "patterns": list(patterns) if patterns is not None else None,
        "limit": TYPED_LIMIT if kind == "dataset" and patterns is None else None,
    }
    answer = _download(request, title, progress, should_stop)
    if "folder" in answer:
        return Snapshot(Path(answer["folder"]), answer["commit"])
    raise HubError(_explain(title, kind, revision, answer))


def _download(request: dict, title: str, progress: Progress, should_stop: ShouldStop) -> dict:
    """Run the child to its end; its last message."""
    blobs = _repository_folder(request["repository"], request["kind"]) / "blobs"
    before = folder_bytes(blobs)
    with tempfile.TemporaryDirectory() as work:
        log = Path(work) / "log"

        def on_bytes(now: int) -> None:
            total = next((message["bytes"] for message in _messages(log) if "bytes" in message), 0)
            if total:
                fraction = min((now - before) / total, 1.0)
                progress(fraction, percent(title, total, fraction))

        root = str(Path(cdvft_app.__file__).parents[1])
        try:
            run_watched(
                [sys.executable, "-m", "cdvft_app.catalog.hub_download", json.dumps(request)],
                log=log,
                arrived=lambda: folder_bytes(blobs),
                on_bytes=on_bytes,
                should_stop=should_stop,
                stall_seconds=STALL_SECONDS,
                environment={
                    "PYTHONPATH": os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH")))),
                    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
                },
            )
        except TimeoutError as error:
            return {"problem": "network", "text": str(error)}
        messages = _messages(log)
        if messages and "bytes" not in messages[-1]:
            return messages[-1]
        return {"problem": "network", "text": log.read_text(errors="replace")[-300:]}


def _messages(log: Path) -> list[dict]:
    lines = log.read_text(errors="replace").splitlines()
    return [
        json.loads(line.removeprefix(MARK)) for line in lines if line.startswith(MARK) and line.endswith("}")
    ]


def _explain(title: str, kind: str, revision: str | None, answer: dict) -> str:
    offline = f"Check the network and try again. {OFFLINE_RECIPES}"
    reasons = {
        "missing": f"The hub has no {kind} {title}, or it is private. Check the spelling, owner/name; for a "
        "private one, log in with `hf auth login`.",
        "gated": f"{title} is gated: accept its terms on its page and log in with `hf auth login`.",
        "revision": f"{title} has no revision {revision!r}.",
        "no_safetensors": f"{title} has no model.safetensors, and other weight files can carry code. Choose "
        "another model, or ask its owner to convert it.",
        "no_files": f"{title} has no data files that need no code to be read, such as parquet or csv.",
        "too_large": f"{title} is {answer['text']} to download; the limit is {TYPED_LIMIT / 1e9:.0f} GB.",
        "disk": f"The disk is full, so {title} could not be kept. Free some space or let HF_HOME name "
        "a folder on another disk.",
    }
    return reasons.get(answer["problem"], f"{title} could not be fetched ({answer['text']}). {offline}")


def cached(
    repository: str, kind: str, revision: str | None, patterns: Sequence[str] | None
) -> Snapshot | None:
    """The snapshot in the hub client's cache, if it is all there; asks nobody."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    allowed, ignored = choice(kind, patterns)
    try:
        folder = snapshot_download(
            repository,
            repo_type=kind,
            revision=revision,
            local_files_only=True,
            allow_patterns=allowed,
            ignore_patterns=ignored,
        )
    except (OSError, HFValidationError):
        return None
    return Snapshot(Path(folder), Path(folder).name)


def _repository_folder(repository: str, kind: str) -> Path:
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    return Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=repository, repo_type=kind)
