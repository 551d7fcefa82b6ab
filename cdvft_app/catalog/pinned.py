"""The commit that a dataset of the hub stands at when a run is started: its race and Resume read that."""

from __future__ import annotations

import re
from typing import TypeVar

from cdvft_app.catalog import hub
from cdvft_app.catalog.reachability import hub_status
from cdvft_app.catalog.typed import hub_ids_allowed
from cdvft_app.settings import InvalidChoice, RaceRequest, RunSettings

SECONDS_TO_ANSWER = 5.0
_COMMIT = re.compile(r"[0-9a-f]{40}")

Choice = TypeVar("Choice", RaceRequest, RunSettings)


def pinned(choice: Choice) -> Choice:
    """The same with the commit of its dataset in place of a branch or tag, where the dataset was typed in.

    Asks the hub for some seconds at most; where it does not answer, the copy in its client's cache counts.

    Raises:
        InvalidChoice: the hub has no such dataset, or no such revision of it.
    """
    dataset, revision = choice.dataset, choice.dataset_revision
    if choice.data or dataset is None or "/" not in dataset or _COMMIT.fullmatch(revision or ""):
        return choice
    if not hub_ids_allowed():  # who resolves it refuses it
        return choice
    commit = _commit(dataset, revision)
    return choice.model_copy(update={"dataset_revision": commit}) if commit else choice


def _commit(dataset: str, revision: str | None) -> str | None:
    """None where neither the hub nor the cache knows."""
    if not hub_status().reachable:
        kept = hub.cached(dataset, "dataset", revision, None)
        return kept.commit if kept else None
    from huggingface_hub import HfApi
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

    try:
        return HfApi().dataset_info(dataset, revision=revision, timeout=SECONDS_TO_ANSWER).sha
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
