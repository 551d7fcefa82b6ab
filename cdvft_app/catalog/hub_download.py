"""The child process that brings a repository of the hub into the hub client's own cache.

`python -m cdvft_app.catalog.hub_download '{"repository": ..., "kind": "model" or "dataset", "revision": ...,
"patterns": [...] or null, "limit": bytes or null}'` prints one line of JSON behind `MARK` when it knows how
much there is to fetch, and one at the end: the folder and the commit, or the problem.
"""

from __future__ import annotations

import errno
import json
import sys
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

MARK = "hub-download:"
INFO_TIMEOUT = 10.0  # seconds

# Never pickles, never code. Of models, only what lies at the top: folders hold other formats.
_MODEL_FILES = ("*.json", "*.txt", "*.model", "model.safetensors", "model-*-of-*.safetensors")
_TABLES = ("*.parquet", "*.arrow", "*.csv", "*.tsv", "*.json", "*.jsonl", "*.txt")
_ARCHIVES = ("*.zip", "*.tar", "*.gz", "*.zst")
_IMAGES = ("*.png", "*.jpg", "*.jpeg", "*.webp")
_DATA_FILES = ("README.md", *_TABLES, *_ARCHIVES, *_IMAGES)


def choice(kind: str, patterns: Sequence[str] | None) -> tuple[list[str], list[str]]:
    """Which files of a repository are wanted: the hub client's `allow_patterns` and `ignore_patterns`."""
    if kind == "model":
        return list(_MODEL_FILES), ["*/*"]
    return list(_DATA_FILES if patterns is None else patterns), []


def is_wanted(name: str, kind: str, patterns: Sequence[str] | None) -> bool:
    """Whether a file is among the wanted ones."""
    allowed, ignored = (any(fnmatch(name, glob) for glob in globs) for globs in choice(kind, patterns))
    return allowed and not ignored


def fetch(request: dict[str, Any]) -> dict[str, Any]:
    """Download what is wanted; the answer for the parent process."""
    from huggingface_hub import HfApi, snapshot_download, try_to_load_from_cache

    repository, kind = request["repository"], request["kind"]
    api = HfApi()
    ask = api.model_info if kind == "model" else api.dataset_info
    info = ask(repository, revision=request["revision"], timeout=INFO_TIMEOUT, files_metadata=True)
    sizes = {
        file.rfilename: file.size or 0
        for file in info.siblings or ()
        if is_wanted(file.rfilename, kind, request["patterns"])
    }
    missing = sum(
        size
        for name, size in sizes.items()
        if not isinstance(try_to_load_from_cache(repository, name, revision=info.sha, repo_type=kind), str)
    )
    if kind == "model" and not any(name.endswith(".safetensors") for name in sizes):
        return {"problem": "no_safetensors", "text": ""}
    if not sizes:
        return {"problem": "no_files", "text": ""}
    if request["limit"] is not None and missing > request["limit"]:
        return {"problem": "too_large", "text": f"{missing / 1e9:.1f} GB"}
    send({"bytes": missing})
    allowed, ignored = choice(kind, request["patterns"])
    folder = snapshot_download(  # by the branch's name, so that the cache knows it by that name too
        repository,
        repo_type=kind,
        revision=request["revision"],
        allow_patterns=allowed,
        ignore_patterns=ignored,
    )
    return {"folder": folder, "commit": Path(folder).name}


def name_problem(error: Exception) -> dict[str, Any]:
    """Which of the problems that a person can act upon this is."""
    from huggingface_hub import errors

    text = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, errors.GatedRepoError) or status == 403:
        problem = "gated"
    elif isinstance(error, errors.RevisionNotFoundError):
        problem = "revision"
    elif isinstance(error, errors.RepositoryNotFoundError) or status in (401, 404):
        problem = "missing"  # the hub answers 401 to strangers for what is private or not there
    elif isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        problem = "disk"
    else:
        problem = "network"
    return {"problem": problem, "text": f"{type(error).__name__}: {text}"[:300]}


def send(message: dict[str, Any]) -> None:
    """One message to the parent process."""
    print(MARK + json.dumps(message), flush=True)


def main() -> None:
    """Do what the one argument asks for."""
    try:
        answer = fetch(json.loads(sys.argv[1]))
    except Exception as error:  # whatever it is, the parent turns it into a sentence
        answer = name_problem(error)
    send(answer)


if __name__ == "__main__":
    main()
