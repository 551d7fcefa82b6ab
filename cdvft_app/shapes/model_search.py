"""Find a model by a part of its name: what is here, what is known, and what the hub has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from cdvft_app import catalog
from cdvft_app.catalog.entries import KNOWN_MODELS, Kind, KnownModel
from cdvft_app.catalog.hub import search_hub
from cdvft_app.catalog.sources import to_fetch

MAX_RESULTS = 12
MAX_SEARCH_LENGTH = 100  # characters
WRITERS, IMAGES = ("ForCausalLM", "LMHeadModel"), "ViTModel"


@dataclass(frozen=True)
class FoundModel:
    """`key` is what the model field takes. `where`: here offline, in the catalogue, known, or on the hub.

    `parameters` and `downloads` are None where nobody said.
    """

    key: str
    title: str
    where: Literal["offline", "listed", "known", "hub"]
    parameters: int | None = None
    downloads: int | None = None


def search_models(text: str, kind: Kind, most: int = MAX_RESULTS) -> tuple[list[FoundModel], str | None]:
    """Models of a kind that have all these words in their names, those that are here first.

    Returns:
        The models, and a sentence where the hub was to be asked and did not answer.
    """
    words = text.casefold()[:MAX_SEARCH_LENGTH].split()
    found = list(_listed(words, kind))
    if not catalog.hub_ids_allowed():
        return found[:most], None
    names = {catalog.models()[one.key].location for one in found}
    found += [one for one in _known(words, kind) if one.key not in names]
    message = None
    if len(found) < most and words:
        more, message = search_hub(text[:MAX_SEARCH_LENGTH], kind, most)
        names |= {one.key for one in found}
        found += [
            FoundModel(one["id"], one["id"], "hub", downloads=one["downloads"])
            for one in more
            if one["id"] not in names
        ]
    return found[:most], message


def _listed(words: Sequence[str], kind: Kind) -> Iterator[FoundModel]:
    entries = [
        entry
        for entry in catalog.models().values()
        if entry.kind == kind and _has(words, entry.key, entry.title, entry.location, entry.note)
    ]
    for entry in sorted(entries, key=lambda one: (one.source != "mirror", to_fetch(one) is not None)):
        where: Literal["offline", "listed"] = "offline" if to_fetch(entry) is None else "listed"
        yield FoundModel(entry.key, entry.title, where, entry.parameters)


def _known(words: Sequence[str], kind: Kind) -> Iterator[FoundModel]:
    for model in KNOWN_MODELS:
        if _kind(model) == kind and _has(words, *model.names):
            yield FoundModel(model.id, model.id, "known")


def _kind(model: KnownModel) -> Kind | None:
    """What it is trained for here; None for transformers' image models: images are timm's."""
    if model.architecture:
        return "image"
    architectures = model.configuration.get("architectures")
    names = [str(one) for one in architectures] if isinstance(architectures, list) else []
    if any(name.endswith(WRITERS) for name in names):
        return "generation"
    return None if IMAGES in names else "text"


def _has(words: Sequence[str], *names: str) -> bool:
    text = " ".join(names).casefold()
    return all(word in text for word in words)
