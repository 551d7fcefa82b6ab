"""What a Job learned, fetched from its repository: somebody else's files, so that only some are taken."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Protocol

FILES = ("*.safetensors", "*.json", "*.md", "*.txt", "*.jinja")  # nothing that is unpickled or run
MOST_BYTES = 2 * 10**9


class Repositories(Protocol):
    """What of `huggingface_hub.HfApi` is used here."""

    def list_repo_tree(self, repo_id: str, *, recursive: bool) -> Iterable[Any]: ...
    def snapshot_download(self, repo_id: str, *, local_dir: Path, allow_patterns: list[str]) -> Any: ...


def fetch(api: Repositories, repository: str, folder: Path) -> str | None:
    """Put the adapter's files into the folder; None, or a sentence why none is taken."""
    sizes = [
        one.size
        for one in api.list_repo_tree(repository, recursive=True)
        if hasattr(one, "size") and any(fnmatch(one.path, pattern) for pattern in FILES)
    ]
    if sum(sizes) > MOST_BYTES:
        return (
            f"What was learned has {sum(sizes) / 1e9:.1f} GB, more than the {MOST_BYTES / 1e9:g} GB that are "
            f"taken back here; it is in {repository}."
        )
    api.snapshot_download(repository, local_dir=folder, allow_patterns=[*FILES])
    shutil.rmtree(folder / ".cache", ignore_errors=True)  # the hub client's own notes
    return None
