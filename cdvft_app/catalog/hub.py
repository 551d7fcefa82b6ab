"""The Hugging Face Hub: status, search, model cards, pinned commits, and snapshots of files.

Downloads run in a child process, because the Hub's client cannot be interrupted. Files stay in its cache.
"""

from __future__ import annotations

import json
import os
import queue
import re
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Literal, TypeVar

from cdvft_app.catalog.download import STALL_SECONDS, DownloadFailed, percent, run_watched
from cdvft_app.catalog.entries import RECIPES, hub_ids_allowed
from cdvft_app.files import folder_bytes
from cdvft_app.progress import Progress, ShouldStop, never, silent
from cdvft_app.settings import InvalidChoice, Kind, RaceRequest, RunSettings

STATUS_TIMEOUT = 2.0  # seconds
STATUS_KEPT = 60.0  # seconds
INFO_TIMEOUT = 5.0  # seconds, for questions that a person waits for
SEARCH_TIMEOUT = 15.0  # seconds, with the time to import the Hub's client
MAX_DATASET_BYTES = 5_000_000_000  # bytes of a dataset whose files are not named
_OFFLINE = [recipe.key for recipe in RECIPES.values() if recipe.offline]
OFFLINE_RECIPES = f"The recipes {', '.join(_OFFLINE[:-1])} and {_OFFLINE[-1]} do not need the Hub."

# Never pickles, never code. Of models only files at the top: folders hold other formats.
_MODEL_FILES = (
    "*.json", "*.txt", "*.model", "chat_template.jinja", "model.safetensors", "model-*-of-*.safetensors",
)  # fmt: skip
_DATA_FILES = (
    "README.md", "*.parquet", "*.arrow", "*.csv", "*.tsv", "*.json", "*.jsonl", "*.txt", "*.zip", "*.tar",
    "*.gz", "*.zst", "*.png", "*.jpg", "*.jpeg", "*.webp",
)  # fmt: skip
# Models of a kind: the library that loads them, and their tasks on the Hub.
_SEARCHED: Mapping[Kind, tuple[str, tuple[str, ...]]] = {
    "text": (
        "transformers", ("fill-mask", "feature-extraction", "sentence-similarity", "text-classification"),
    ),
    "image": ("timm", ("image-classification", "image-feature-extraction")),
    "generation": ("transformers", ("text-generation",)),
}  # fmt: skip
_COMMIT = re.compile(r"[0-9a-f]{40}")
_DOWNLOAD = "import json, sys, huggingface_hub as hub; hub.snapshot_download(**json.loads(sys.argv[1]))"


class HubError(DownloadFailed):
    """The Hub does not provide something; the text says what, why, and what to do."""


@dataclass(frozen=True)
class HubStatus:
    """Whether the Hub answers, with a sentence."""

    reachable: bool
    sentence: str


_known: dict[str, tuple[float, HubStatus]] = {}  # by address: when the Hub was asked, and its status


def endpoint() -> str:
    """Return the Hub's address: HF_ENDPOINT, else the client's own."""
    from huggingface_hub import constants

    return (os.environ.get("HF_ENDPOINT") or constants.ENDPOINT).rstrip("/")


def is_offline() -> bool:
    """Return whether HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE is set."""
    value = os.environ.get("HF_HUB_OFFLINE") or os.environ.get("TRANSFORMERS_OFFLINE") or ""
    return value.upper() in ("1", "ON", "YES", "TRUE")


def hub_status() -> HubStatus:
    """Ask whether the Hub answers: for 2 seconds at most, and once a minute at most."""
    if is_offline():
        return HubStatus(False, f"HF_HUB_OFFLINE is set. {OFFLINE_RECIPES}")
    address = endpoint()
    asked_at, status = _known.get(address, (0.0, None))
    if status is None or time.monotonic() - asked_at > STATUS_KEPT:
        status = _ask(address)
        _known[address] = (time.monotonic(), status)
    return status


def last_status() -> HubStatus | None:
    """Return the status of the last request, without a new one; None before the first."""
    return hub_status() if is_offline() else _known.get(endpoint(), (0.0, None))[1]


def _ask(address: str) -> HubStatus:
    def ask() -> int:
        request = urllib.request.Request(address, method="HEAD", headers={"User-Agent": "cdvft"})
        try:
            return int(urllib.request.urlopen(request, timeout=STATUS_TIMEOUT).status)
        except urllib.error.HTTPError as error:
            return error.code

    try:
        code = _within(STATUS_TIMEOUT, ask)
    except (OSError, ValueError):  # also TimeoutError
        return HubStatus(False, f"The Hub cannot be reached. {OFFLINE_RECIPES}")
    if code >= 500:
        return HubStatus(False, f"The Hub has an error ({code}). {OFFLINE_RECIPES}")
    return HubStatus(True, "The Hub answers.")


Answer = TypeVar("Answer")


def _within(seconds: float, call: Callable[[], Answer]) -> Answer:
    """Return what `call` returns. Its thread is abandoned on a timeout: a DNS lookup cannot be interrupted.

    Raises:
        TimeoutError: it took too long.
    """
    answers: queue.SimpleQueue[tuple[Answer | None, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            answers.put((call(), None))
        except Exception as error:  # it is raised in the caller's thread
            answers.put((None, error))

    threading.Thread(target=run, daemon=True).start()
    try:
        answer, error = answers.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError from None
    if error:
        raise error
    return answer  # type: ignore[return-value]


def _info(repository: str, repo_type: str, revision: str | None = None) -> Any:
    """Return the client's facts on a repository; None if the Hub does not answer.

    Raises:
        HubError: the repository or the revision does not exist, or is not accessible.
    """
    from huggingface_hub import HfApi, errors

    api = HfApi(endpoint=endpoint())
    ask = api.model_info if repo_type == "model" else api.dataset_info
    try:
        return ask(repository, revision=revision, timeout=INFO_TIMEOUT, files_metadata=True)
    except errors.GatedRepoError:
        raise HubError(
            f"{repository} is gated: accept its terms on its page and log in with `hf auth login`."
        ) from None
    except errors.RevisionNotFoundError:
        raise HubError(f"{repository} has no branch, tag, or commit {revision!r}.") from None
    except (errors.RepositoryNotFoundError, errors.HFValidationError):
        raise HubError(
            f"The Hub has no {repo_type} {repository}, or it is private. Check the spelling, owner/name. "
            "For a private one log in with `hf auth login`."
        ) from None
    except Exception:  # the client has a family of errors for each way of not connecting
        return None


@dataclass(frozen=True)
class HubModelInfo:
    """Facts on a model before its download.

    Attributes:
        licence: as its card states it; None if it does not.
        fetched_bytes: of all files that a run downloads.
        safetensors: whether it has weights that can be read without running code.
    """

    licence: str | None
    fetched_bytes: int
    safetensors: bool


def model_info(repository: str) -> HubModelInfo | None:
    """Ask the Hub once, for `INFO_TIMEOUT` at most; return None if it has no answer."""
    try:
        info = _info(repository, "model") if hub_status().reachable else None
    except HubError:
        info = None
    if info is None:
        return None
    sizes = _wanted_sizes(info, "model", None)
    licence = info.card_data.get("license") if info.card_data else None
    return HubModelInfo(
        licence if isinstance(licence, str) else None,
        sum(sizes.values()),
        any(name.endswith(".safetensors") for name in sizes),
    )


AnySettings = TypeVar("AnySettings", RaceRequest, RunSettings)


def pin_dataset_commit(choice: AnySettings) -> AnySettings:
    """Return the choice with a commit instead of a branch or tag, if its dataset is from the Hub.

    All runs of its race, and Resume, read that commit. The cached copy counts if the Hub does not answer.

    Raises:
        InvalidChoice: the Hub has no such dataset, or no such revision of it.
    """
    dataset, revision = choice.dataset, choice.dataset_revision
    if choice.data or dataset is None or "/" not in dataset or _COMMIT.fullmatch(revision or ""):
        return choice
    if not hub_ids_allowed():  # `catalog.resolve` rejects it
        return choice
    commit = _dataset_commit(dataset, revision)
    return choice.model_copy(update={"dataset_revision": commit}) if commit else choice


def _dataset_commit(dataset: str, revision: str | None) -> str | None:
    """Return the dataset's commit; None if neither the Hub nor the cache knows it."""
    if not hub_status().reachable:
        kept = cached(dataset, "dataset", revision, None)
        return kept.commit if kept else None
    try:
        info = _info(dataset, "dataset", revision)
    except HubError as error:
        raise InvalidChoice(str(error)) from None
    return info.sha if info else None


def search_hub(text: str, kind: Kind, limit: int) -> tuple[list[dict[str, Any]], str | None]:
    """Return models with safetensors as {"id", "downloads"}, most downloaded first, or why not."""
    status = hub_status()
    if not status.reachable:
        return [], status.sentence
    from huggingface_hub import HfApi

    library, tasks = _SEARCHED[kind]

    def search() -> dict[str, int]:
        found: dict[str, int] = {}
        for task in tasks:
            models = HfApi(endpoint=endpoint()).list_models(
                search=text, filter=["safetensors", library], pipeline_tag=task, sort="downloads", limit=limit
            )
            found |= {model.id: model.downloads or 0 for model in models}
        return found

    try:
        found = _within(SEARCH_TIMEOUT, search)
    except Exception:  # the client has a family of errors for each way of not connecting
        return [], "The Hub did not answer in time. Search again, or enter a model's id, owner/name."
    most = sorted(found, key=lambda name: -found[name])[:limit]
    return [{"id": name, "downloads": found[name]} for name in most], None


# Snapshots


@dataclass(frozen=True)
class Snapshot:
    """Files of a repository at a commit; `commit` is None if there is none."""

    folder: Path
    commit: str | None


def snapshot(
    repository: str,
    repo_type: Literal["model", "dataset"],
    revision: str | None,
    *,
    patterns: Sequence[str] | None = None,
    title: str | None = None,
    progress: Progress = silent,
    should_stop: ShouldStop = never,
) -> Snapshot:
    """Return the files of a repository at a revision, downloaded first if they are not in the cache.

    Args:
        repository: id, owner/name.
        repo_type: of a model, settings and safetensors are downloaded; of a dataset, data files.
        revision: commit hash, branch, or tag; None is the branch main.
        patterns: the files of a dataset; None is all data files, up to `MAX_DATASET_BYTES`.
        title: its name in sentences.
        progress: receives a fraction (None if unknown) and a sentence.
        should_stop: called several times per second.

    Raises:
        HubError: what is missing, why, and what to do.
        DownloadStopped: `should_stop()` became true.
    """
    title = title or repository
    progress(None, f"Asking the Hub for {title}")
    status = hub_status()
    if not status.reachable:
        if kept := cached(repository, repo_type, revision, patterns):
            return kept
        raise HubError(f"{title} is not in the cache and cannot be downloaded. {status.sentence}")
    info = _info(repository, repo_type, revision)
    sizes = _wanted_sizes(info, repo_type, patterns) if info else {}
    if info and repo_type == "model" and not any(name.endswith(".safetensors") for name in sizes):
        raise HubError(f"{title} has no model.safetensors, and other weights can run code. Choose another.")
    if info and not sizes:
        raise HubError(f"{title} has no data files that can be read without running code.")
    total, blobs = sum(sizes.values()), _repository_folder(repository, repo_type) / "blobs"
    if repo_type == "dataset" and patterns is None and total > MAX_DATASET_BYTES:
        limit = f"{MAX_DATASET_BYTES / 1e9:.0f} GB"
        raise HubError(f"{title} has {total / 1e9:.1f} GB to download, and the limit is {limit}.")

    def on_bytes(now: int) -> None:
        fraction = min(now / max(total, 1), 1.0)
        progress(fraction, percent(title, total, fraction))

    problem = "" if info else "the Hub did not answer in time"
    with tempfile.TemporaryDirectory() as work:
        log = Path(work) / "log"
        try:
            if info and run_watched(
                [
                    sys.executable,
                    "-c",
                    _DOWNLOAD,
                    json.dumps(_arguments(repository, repo_type, revision, patterns)),
                ],
                log=log,
                arrived=lambda: folder_bytes(blobs),
                on_bytes=on_bytes,
                should_stop=should_stop,
                stall_seconds=STALL_SECONDS,
                environment={"HF_HUB_DISABLE_PROGRESS_BARS": "1"},
            ):
                problem = (log.read_text(errors="replace").strip().splitlines() or ["no reason"])[-1][:300]
        except TimeoutError as error:
            problem = str(error)
    kept = None if problem else cached(repository, repo_type, revision, patterns)
    if kept is None:
        raise HubError(
            f"{title} cannot be downloaded ({problem}). Check the network and the disk. {OFFLINE_RECIPES}"
        )
    return kept


def cached(
    repository: str, repo_type: str, revision: str | None, patterns: Sequence[str] | None
) -> Snapshot | None:
    """Return the snapshot in the client's cache if it is complete, without a request."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    arguments = _arguments(repository, repo_type, revision, patterns)
    try:
        folder = Path(snapshot_download(**arguments, local_files_only=True))
    except (OSError, HFValidationError):
        return None
    return Snapshot(folder, folder.name)


def _arguments(
    repository: str, repo_type: str, revision: str | None, patterns: Sequence[str] | None
) -> dict[str, Any]:
    """Return the client's arguments. The branch keeps its name, so that the cache knows it by that name."""
    allowed, ignored = _globs(repo_type, patterns)
    return {
        "repo_id": repository, "repo_type": repo_type, "revision": revision, "allow_patterns": allowed,
        "ignore_patterns": ignored,
    }  # fmt: skip


def is_wanted(name: str, repo_type: str, patterns: Sequence[str] | None) -> bool:
    """Return whether a file of a repository is downloaded."""
    allowed, ignored = (any(fnmatch(name, glob) for glob in globs) for globs in _globs(repo_type, patterns))
    return allowed and not ignored


def _globs(repo_type: str, patterns: Sequence[str] | None) -> tuple[list[str], list[str]]:
    """Return the client's `allow_patterns` and `ignore_patterns`."""
    if repo_type == "model":
        return list(_MODEL_FILES), ["*/*"]
    return list(_DATA_FILES if patterns is None else patterns), []


def _wanted_sizes(info: Any, repo_type: str, patterns: Sequence[str] | None) -> dict[str, int]:
    """Return the bytes of the files that are downloaded, by name."""
    files = info.siblings or ()
    return {
        file.rfilename: file.size or 0 for file in files if is_wanted(file.rfilename, repo_type, patterns)
    }


def _repository_folder(repository: str, repo_type: str) -> Path:
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    return Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=repository, repo_type=repo_type)
