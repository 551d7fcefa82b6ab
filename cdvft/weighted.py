"""An adapter that is the weighted sum of others, exactly: it applies them side by side."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from cdvft.config import MAX_ALPHA
from cdvft.layer import BASE_ONLY, CDVFTLayer

OF_ITS_OWN = ("modules_to_save", "trainable_token_indices")


def add_weighted(tuner: Any, adapters: Sequence[str], weights: Sequence[float], adapter_name: str) -> None:
    """Make `adapter_name` stand for sum_i w_i dW_i in every layer that has one of the adapters.

    Raises:
        ValueError: if names or weights do not fit, or an adapter trains more than vectors.
    """
    if not isinstance(adapter_name, str) or adapter_name in ("", BASE_ONLY):
        raise ValueError(
            f"adapter_name is {adapter_name!r}, but a sum is named by a string other than {BASE_ONLY!r}, the "
            "name of the bare model. Choose another one."
        )
    for what, given, kind in (("adapters", adapters, Sequence), ("weights", weights, Collection)):
        if isinstance(given, str) or not isinstance(given, kind):
            raise ValueError(
                f"{what} is {given!r}, but it must be a list with an entry for each part of the sum. Call "
                "add_weighted_adapter(['a', 'b'], [0.7, 0.3], 'both') with your names and numbers."
            )
    if len(adapters) != len(weights) or not adapters:
        raise ValueError(
            f"Got {len(adapters)} adapters and {len(weights)} weights, but every adapter needs one weight."
        )
    for weight in weights:
        try:
            finite = math.isfinite(weight)
        except (TypeError, OverflowError):  # no number at all, or a whole one that no float holds
            finite = False
        if not finite:
            raise ValueError(f"Got the weight {weight!r}, but each adapter needs a finite number.")
    configurations = tuner.peft_config
    if adapter_name in configurations:
        raise ValueError(f"There is an adapter {adapter_name!r} already. Choose another name for the sum.")
    for name in adapters:
        if not isinstance(name, str) or name not in configurations:
            raise ValueError(f"There is no adapter {name!r}. Name any of {sorted(configurations)}.")
        more = [key for key in OF_ITS_OWN if getattr(configurations[name], key)]
        more += ["bias"] if configurations[name].bias != "none" else []
        if more:
            raise ValueError(
                f"Adapter {name!r} trains more than its vectors ({', '.join(more)}), which have no exact sum."
                " Name adapters without those."
            )
    found: list[tuple[CDVFTLayer, dict[str, float]]] = []
    for layer in tuner.model.modules():
        if isinstance(layer, CDVFTLayer):
            terms: dict[str, float] = {}
            for name, weight in zip(adapters, weights, strict=True):
                for part, share in layer.terms(name):
                    terms[part] = terms.get(part, 0.0) + float(weight) * share
            for part, weight in terms.items():
                scale = weight * layer.cdvft_alpha[part]
                if not abs(scale) <= MAX_ALPHA:
                    raise ValueError(
                        f"The weight of {part!r} times its alpha is {scale:g}, but it must be at most "
                        f"{MAX_ALPHA:.3g}, the largest number of float32. Choose smaller weights."
                    )
            found.append((layer, terms))
    for layer, terms in found:
        if terms:
            layer.cdvft_terms[adapter_name] = terms
    whole = {part: weight for _, terms in found for part, weight in terms.items()}
    configurations[adapter_name] = replace(configurations[adapters[0]], inference_mode=True, terms=whole)


def add_saved(tuner: Any, adapter_name: str) -> None:
    """Make an adapter what its configuration says, which is a sum that was saved.

    Raises:
        ValueError: if its terms are no adapters of the model, or no weights.
    """
    terms = tuner.peft_config.pop(adapter_name).terms
    missing = sorted(str(name) for name in terms if name not in tuner.peft_config)
    if missing:
        raise ValueError(
            f"Adapter {adapter_name!r} is a sum and has no vectors of its own: it adds {', '.join(missing)}, "
            "which the model does not have. Load those first, by these names."
        )
    add_weighted(tuner, list(terms), list(terms.values()), adapter_name)


def check_deletable(tuner: Any, adapter_name: str) -> None:
    """Check that no sum needs this adapter.

    Raises:
        ValueError: if one does.
    """
    sums = sorted(
        {
            name
            for layer in tuner.model.modules()
            if isinstance(layer, CDVFTLayer)
            for name, terms in layer.cdvft_terms.items()
            if adapter_name in terms
        }
    )
    if sums:
        raise ValueError(f"Adapter {adapter_name!r} is part of {', '.join(sums)}. Delete the sum first.")


def is_sum(model: Any, adapter_name: str) -> bool:
    """Whether an adapter stands for others, and has no vectors of its own."""
    return bool(_parts(model, adapter_name))


def check_loadable(model: Any, adapter_name: str) -> None:
    """Check that an adapter has vectors to load values into, which no weight holds.

    Raises:
        ValueError: if it stands for others, or it or a sum of it is merged: new values would be taken out of
            the weight then.
    """
    if parts := _parts(model, adapter_name):
        raise ValueError(
            f"Adapter {adapter_name!r} applies others ({parts}) and has no vectors to load into. Choose "
            f"another name for what is loaded, or call model.delete_adapter({adapter_name!r}) first."
        )
    for layer in (one for one in model.modules() if isinstance(one, CDVFTLayer)):
        for name in layer.merged_adapters:
            if adapter_name in dict(layer.terms(name)):
                part = f"part of {name!r}, which is merged" if name != adapter_name else "merged"
                raise ValueError(f"Adapter {adapter_name!r} is {part}. Call model.unmerge_adapter() first.")


def check_trainable(model: Any, adapter_names: Sequence[str]) -> None:
    """Check that adapters have vectors to train.

    Raises:
        ValueError: if one stands for others.
    """
    for name in adapter_names:
        if parts := _parts(model, name):
            raise ValueError(
                f"Adapter {name!r} applies others ({parts}) and has no vectors to train. Name those instead."
            )


def _parts(model: Any, adapter_name: str) -> str:
    """What a sum applies, in words; nothing of an adapter with vectors of its own."""
    terms: dict[str, float] = {}
    for layer in model.modules():
        if isinstance(layer, CDVFTLayer):
            terms |= layer.cdvft_terms.get(adapter_name, {})
    return ", ".join(f"{weight:g} x {name}" for name, weight in terms.items())
