"""The Hugging Face hub: whether it answers, what it says of repositories, and snapshots of their files.

The hub's client blocks and retries and cannot be interrupted, so searches and downloads run in a child
process that can be killed: `python -m cdvft_app.catalog.hub '{"do": "download" or "search", ...}'` prints its
messages as lines of JSON behind `MARK`. Files stay in the client's own cache.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Literal, TypeVar

import cdvft_app
from cdvft_app.catalog.download import STALL_SECONDS, DownloadFailed, first_line, percent, run_watched
from cdvft_app.catalog.entries import RECIPES, hub_ids_allowed
from cdvft_app.files import folder_bytes, is_full
from cdvft_app.progress import Progress, ShouldStop, never, silent
from cdvft_app.settings import InvalidChoice, Kind, RaceRequest, RunSettings

STATUS_TIMEOUT = 2.0  # seconds, all in all: looking the name up included, which no socket timeout covers
STATUS_KEPT = 60.0  # seconds
INFO_TIMEOUT = 5.0  # seconds, for questions that a person waits for
DOWNLOAD_INFO_TIMEOUT = 10.0  # seconds, in the child
SEARCH_TIMEOUT = 15.0  # seconds, of which loading the hub's client takes some
MAX_DATASET_BYTES = 5_000_000_000  # bytes of a dataset whose files nobody chose beforehand
MARK = "hub:"
_OFFLINE = [recipe.key for recipe in RECIPES.values() if recipe.offline]
OFFLINE_RECIPES = f"The recipes {', '.join(_OFFLINE[:-1])} and {_OFFLINE[-1]} need no hub."
NO_ANSWER = "The hub did not answer in time. Search again, or type a model's id, owner/name."

# What is fetched: never pickles, never code. Of models, only files at the top: folders hold other formats.
_MODEL_FILES = (
    "*.json", "*.txt", "*.model", "chat_template.jinja", "model.safetensors", "model-*-of-*.safetensors",
)  # fmt: skip
_TABLES = ("*.parquet", "*.arrow", "*.csv", "*.tsv", "*.json", "*.jsonl", "*.txt")
_ARCHIVES = ("*.zip", "*.tar", "*.gz", "*.zst")
_IMAGES = ("*.png", "*.jpg", "*.jpeg", "*.webp")
_DATA_FILES = ("README.md", *_TABLES, *_ARCHIVES, *_IMAGES)
# What models of a kind are found by: the library that loads them, and their tasks on the hub.
_LIBRARY: Mapping[Kind, str] = {"text": "transformers", "image": "timm", "generation": "transformers"}
_TASKS: Mapping[Kind, tuple[str, ...]] = {
    "text": ("fill-mask", "feature-extraction", "sentence-similarity", "text-classification"),
    "image": ("image-classification", "image-feature-extraction"),
    "generation": ("text-generation",),
}
_COMMIT = re.compile(r"[0-9a-f]{40}")
# A child process is asked, because it can be killed wherever it hangs.
_ASK = """
import sys, urllib.error, urllib.request
request = urllib.request.Request(sys.argv[1], method="HEAD", headers={"User-Agent": "cdvft"})
try:
    print(urllib.request.urlopen(request, timeout=float(sys.argv[2])).status)
except urllib.error.HTTPError as error:
    print(error.code)
"""


class HubError(DownloadFailed):
    """Something of the hub could not be had; says what, why and what to do."""


@dataclass(frozen=True)
class HubStatus:
    """Whether the hub answers, with a sentence for the page."""

    reachable: bool
    sentence: str


_known: dict[str, tuple[float, HubStatus]] = {}  # by address: when it was asked, and the answer


def endpoint() -> str:
    """Return the hub's address: HF_ENDPOINT, else the hub client's own."""
    from huggingface_hub import constants

    return (os.environ.get("HF_ENDPOINT") or constants.ENDPOINT).rstrip("/")


def is_offline() -> bool:
    """Return whether HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE tells the client to stay off the network."""
    value = os.environ.get("HF_HUB_OFFLINE") or os.environ.get("TRANSFORMERS_OFFLINE") or ""
    return value.upper() in ("1", "ON", "YES", "TRUE")


def hub_status() -> HubStatus:
    """Ask whether the hub answers, for 2 seconds at most, and once a minute at most."""
    if is_offline():
        return HubStatus(False, f"HF_HUB_OFFLINE is set, so the hub is not asked. {OFFLINE_RECIPES}")
    address = endpoint()
    asked_at, status = _known.get(address, (0.0, None))
    if status is None or time.monotonic() - asked_at > STATUS_KEPT:
        status = _ask(address)
        _known[address] = (time.monotonic(), status)
    return status


def last_status() -> HubStatus | None:
    """Return the status when the hub was last asked, however long ago; None before. It asks nobody."""
    if is_offline():
        return hub_status()
    return _known[endpoint()][1] if endpoint() in _known else None


def _ask(address: str) -> HubStatus:
    try:
        answer = subprocess.run(
            [sys.executable, "-c", _ASK, address, str(STATUS_TIMEOUT)],
            capture_output=True,
            text=True,
            timeout=STATUS_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return HubStatus(
            False, f"The hub did not answer within {STATUS_TIMEOUT:.0f} seconds. {OFFLINE_RECIPES}"
        )
    code = answer.stdout.strip()
    if not code.isdigit():
        return HubStatus(False, f"The hub cannot be reached from here. {OFFLINE_RECIPES}")
    if int(code) >= 500:
        return HubStatus(False, f"The hub is out of order (it answers {code}). {OFFLINE_RECIPES}")
    return HubStatus(True, "The hub answers.")


@dataclass(frozen=True)
class HubModelInfo:
    """The hub's facts on a model before anything of it is downloaded.

    `licence` as its card states it, None where it does not; `fetched_bytes` of all files that a run takes;
    `safetensors`: whether there are weights that can be read without running code.
    """

    licence: str | None
    fetched_bytes: int
    safetensors: bool


def model_info(repository: str) -> HubModelInfo | None:
    """Asks the hub once, for `INFO_TIMEOUT` at most; None where it does not answer."""
    if not hub_status().reachable:
        return None
    from huggingface_hub import HfApi

    try:
        info = HfApi().model_info(repository, files_metadata=True, timeout=INFO_TIMEOUT)
    except Exception:  # the hub's client has a family of errors for each way of not connecting
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
    """Return the choice with a commit in place of a branch or tag, where its dataset is a hub id.

    All runs of its race, and Resume, read that commit. Asks the hub for `INFO_TIMEOUT` at most; where it does
    not answer, the copy in its client's cache counts.

    Raises:
        InvalidChoice: the hub has no such dataset, or no such revision of it.
    """
    dataset, revision = choice.dataset, choice.dataset_revision
    if choice.data or dataset is None or "/" not in dataset or _COMMIT.fullmatch(revision or ""):
        return choice
    if not hub_ids_allowed():  # `catalog.resolve` refuses it
        return choice
    commit = _dataset_commit(dataset, revision)
    return choice.model_copy(update={"dataset_revision": commit}) if commit else choice


def _dataset_commit(dataset: str, revision: str | None) -> str | None:
    """Return the dataset's commit; None where neither the hub nor the cache knows it."""
    if not hub_status().reachable:
        kept = cached(dataset, "dataset", revision, None)
        return kept.commit if kept else None
    from huggingface_hub import HfApi
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

    try:
        return HfApi().dataset_info(dataset, revision=revision, timeout=INFO_TIMEOUT).sha
    except RevisionNotFoundError:
        raise InvalidChoice(
            f"dataset_revision: got {revision!r}; {dataset} has no such branch, tag or commit."
        ) from None
    except RepositoryNotFoundError:
        raise InvalidChoice(
            f"The hub has no dataset {dataset!r}, or it is private. Check the spelling, owner/name."
        ) from None
    except Exception:  # the hub's client has a family of errors for each way of not connecting
        return None


def search_hub(text: str, kind: Kind, limit: int) -> tuple[list[dict[str, Any]], str | None]:
    """Return models as {"id", "downloads"}, the most downloaded first; or none, and a sentence on why."""
    status = hub_status()
    if not status.reachable:
        return [], status.sentence
    try:
        answer = subprocess.run(
            _child({"do": "search", "search": text, "kind": kind, "limit": limit}),
            check=False,
            capture_output=True,
            text=True,
            timeout=SEARCH_TIMEOUT,
            env={**os.environ, **_child_environment()},
        )
    except subprocess.TimeoutExpired:
        return [], NO_ANSWER
    messages = _messages(answer.stdout)
    return (messages[-1]["models"], None) if messages and "models" in messages[-1] else ([], NO_ANSWER)


@dataclass(frozen=True)
class Snapshot:
    """Files of a repository as they stood at a commit; `commit` is None where there is none."""

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
    """Return the files of a repository at a revision, fetched first where the cache does not have them.

    Args:
        repository: id, owner/name.
        repo_type: of a model, settings and safetensors are fetched; of a dataset, data files.
        revision: commit hash, branch or tag; None is the branch main.
        patterns: which files of a dataset; None is all data files, up to `MAX_DATASET_BYTES`.
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
        kept = cached(repository, repo_type, revision, patterns)
        if kept:
            return kept
        raise HubError(f"{title} is not in the cache, and it cannot be fetched. {status.sentence}")
    request = {
        "do": "download",
        "repository": repository,
        "repo_type": repo_type,
        "revision": revision,
        "patterns": list(patterns) if patterns is not None else None,
        "limit": MAX_DATASET_BYTES if repo_type == "dataset" and patterns is None else None,
    }
    answer = _download(request, title, progress, should_stop)
    if "folder" in answer:
        return Snapshot(Path(answer["folder"]), answer["commit"])
    raise HubError(_explain(title, repo_type, revision, answer))


def cached(
    repository: str, repo_type: str, revision: str | None, patterns: Sequence[str] | None
) -> Snapshot | None:
    """Return the snapshot in the hub client's cache, if it is all there; asks nobody."""
    from huggingface_hub.errors import HFValidationError

    try:
        folder = _snapshot_download(repository, repo_type, revision, patterns, local_files_only=True)
    except (OSError, HFValidationError):
        return None
    return Snapshot(Path(folder), Path(folder).name)


def is_wanted(name: str, repo_type: str, patterns: Sequence[str] | None) -> bool:
    """Return whether a file of a repository is among those that are fetched."""
    allowed, ignored = (any(fnmatch(name, glob) for glob in globs) for globs in _globs(repo_type, patterns))
    return allowed and not ignored


def _globs(repo_type: str, patterns: Sequence[str] | None) -> tuple[list[str], list[str]]:
    """Return the hub client's `allow_patterns` and `ignore_patterns`."""
    if repo_type == "model":
        return list(_MODEL_FILES), ["*/*"]
    return list(_DATA_FILES if patterns is None else patterns), []


def _wanted_sizes(info: Any, repo_type: str, patterns: Sequence[str] | None) -> dict[str, int]:
    """Return bytes of the files that are fetched, by name."""
    files = info.siblings or ()
    return {
        file.rfilename: file.size or 0 for file in files if is_wanted(file.rfilename, repo_type, patterns)
    }


def _snapshot_download(
    repository: str, repo_type: str, revision: str | None, patterns: Sequence[str] | None, **more: Any
) -> str:
    from huggingface_hub import snapshot_download

    allowed, ignored = _globs(repo_type, patterns)
    return snapshot_download(  # by the branch's name, so that the cache knows it by that name too
        repository,
        repo_type=repo_type,
        revision=revision,
        allow_patterns=allowed,
        ignore_patterns=ignored,
        **more,
    )


def _repository_folder(repository: str, repo_type: str) -> Path:
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    return Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=repository, repo_type=repo_type)


def _child(request: dict[str, Any]) -> list[str]:
    return [sys.executable, "-m", "cdvft_app.catalog.hub", json.dumps(request)]


def _child_environment() -> dict[str, str]:
    root = str(Path(cdvft_app.__file__).parents[1])
    return {
        "PYTHONPATH": os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH")))),
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }


def _messages(output: str) -> list[dict[str, Any]]:
    lines = (line for line in output.splitlines() if line.startswith(MARK) and line.endswith("}"))
    return [json.loads(line.removeprefix(MARK)) for line in lines]


def _download(
    request: dict[str, Any], title: str, progress: Progress, should_stop: ShouldStop
) -> dict[str, Any]:
    """Run the child to its end; return its last message."""
    blobs = _repository_folder(request["repository"], request["repo_type"]) / "blobs"
    before = folder_bytes(blobs)
    with tempfile.TemporaryDirectory() as work:
        log = Path(work) / "log"

        def messages() -> list[dict[str, Any]]:
            return _messages(log.read_text(errors="replace"))

        def on_bytes(now: int) -> None:
            total = next((message["bytes"] for message in messages() if "bytes" in message), 0)
            if total:
                fraction = min((now - before) / total, 1.0)
                progress(fraction, percent(title, total, fraction))

        try:
            run_watched(
                _child(request),
                log=log,
                arrived=lambda: folder_bytes(blobs),
                on_bytes=on_bytes,
                should_stop=should_stop,
                stall_seconds=STALL_SECONDS,
                environment=_child_environment(),
            )
        except TimeoutError as error:
            return {"problem": "network", "text": str(error)}
        found = messages()
        if found and "bytes" not in found[-1]:
            return found[-1]
        return {"problem": "network", "text": log.read_text(errors="replace")[-300:]}


def _explain(title: str, repo_type: str, revision: str | None, answer: dict[str, Any]) -> str:
    offline = f"Check the network and try again. {OFFLINE_RECIPES}"
    reasons = {
        "missing": f"The hub has no {repo_type} {title}, or it is private. Check the spelling, owner/name; "
        "for a private one, log in with `hf auth login`.",
        "gated": f"{title} is gated: accept its terms on its page and log in with `hf auth login`.",
        "revision": f"{title} has no revision {revision!r}.",
        "no_safetensors": f"{title} has no model.safetensors, and other weight files can carry code. Choose "
        "another model, or ask its owner to convert it.",
        "no_files": f"{title} has no data files that need no code to be read, such as parquet or csv.",
        "too_large": f"{title} is {answer['text']} to download; the limit is "
        f"{MAX_DATASET_BYTES / 1e9:.0f} GB.",
        "disk": f"The disk is full, so {title} could not be kept. Free some space or let HF_HOME name "
        "a folder on another disk.",
    }
    return reasons.get(answer["problem"], f"{title} could not be fetched ({answer['text']}). {offline}")


def _fetch(request: dict[str, Any]) -> dict[str, Any]:
    """In the child: download the wanted files; return the answer for the parent process."""
    from huggingface_hub import HfApi, try_to_load_from_cache

    repository, repo_type, patterns = request["repository"], request["repo_type"], request["patterns"]
    api = HfApi()
    ask = api.model_info if repo_type == "model" else api.dataset_info
    info = ask(repository, revision=request["revision"], timeout=DOWNLOAD_INFO_TIMEOUT, files_metadata=True)
    sizes = _wanted_sizes(info, repo_type, patterns)
    missing = sum(
        size
        for name, size in sizes.items()
        if not isinstance(
            try_to_load_from_cache(repository, name, revision=info.sha, repo_type=repo_type), str
        )
    )
    if repo_type == "model" and not any(name.endswith(".safetensors") for name in sizes):
        return {"problem": "no_safetensors", "text": ""}
    if not sizes:
        return {"problem": "no_files", "text": ""}
    if request["limit"] is not None and missing > request["limit"]:
        return {"problem": "too_large", "text": f"{missing / 1e9:.1f} GB"}
    _send({"bytes": missing})
    folder = _snapshot_download(repository, repo_type, request["revision"], patterns)
    return {"folder": folder, "commit": Path(folder).name}


def _problem(error: Exception) -> dict[str, Any]:
    """In the child: return the error as one of the problems that a person can act upon."""
    from huggingface_hub import errors

    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, errors.GatedRepoError) or status == 403:
        problem = "gated"
    elif isinstance(error, errors.RevisionNotFoundError):
        problem = "revision"
    elif isinstance(error, errors.RepositoryNotFoundError) or status in (401, 404):
        problem = "missing"  # the hub answers 401 to strangers for what is private or not there
    elif is_full(error):
        problem = "disk"
    else:
        problem = "network"
    return {"problem": problem, "text": f"{type(error).__name__}: {first_line(error)}"[:300]}


def _search(request: dict[str, Any]) -> dict[str, Any]:
    """In the child: find models with safetensors (other weights can carry code), by their downloads."""
    from huggingface_hub import HfApi

    kind, limit = request["kind"], request["limit"]
    found: dict[str, int] = {}
    for task in _TASKS[kind]:
        models = HfApi().list_models(
            search=request["search"],
            filter=["safetensors", _LIBRARY[kind]],
            pipeline_tag=task,
            sort="downloads",
            limit=limit,
        )
        found |= {model.id: model.downloads or 0 for model in models}
    most = sorted(found, key=lambda name: -found[name])[:limit]
    return {"models": [{"id": name, "downloads": found[name]} for name in most]}


def _send(message: dict[str, Any]) -> None:
    """In the child: send one message to the parent process."""
    print(MARK + json.dumps(message), flush=True)


def main() -> None:
    """Run the child process: do what its one argument asks for, and send the answer."""
    request = json.loads(sys.argv[1])
    try:
        answer = {"download": _fetch, "search": _search}[request["do"]](request)
    except Exception as error:  # whatever it is, the parent turns it into a sentence
        answer = _problem(error)
    _send(answer)


if __name__ == "__main__":
    main()
