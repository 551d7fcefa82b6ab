"""Adapters that are weighted sums of others, exactly: they apply them side by side."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import replace
from typing import Any

from cdvft.config import MAX_ALPHA
from cdvft.layer import BASE_ONLY, CDVFTLayer

NOT_SUMMABLE = ("modules_to_save", "trainable_token_indices")


def add_weighted_adapter(
    tuner: Any, adapters: Sequence[str], weights: Sequence[float], adapter_name: str
) -> None:
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
        if isinstance(given, (str, Set, Mapping)) or not isinstance(given, kind):  # a tensor is no Sequence
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
        more = [key for key in NOT_SUMMABLE if getattr(configurations[name], key)]
        more += ["bias"] if configurations[name].bias != "none" else []
        if more:
            raise ValueError(
                f"Adapter {name!r} trains more than its vectors ({', '.join(more)}), which have no exact sum."
                " Name adapters without those."
            )
    sums: list[tuple[CDVFTLayer, dict[str, float]]] = []
    for layer in tuner.model.modules():
        if isinstance(layer, CDVFTLayer):
            parts: dict[str, float] = {}
            for name, weight in zip(adapters, weights, strict=True):
                for part, factor in layer.resolve_adapter(name):
                    parts[part] = parts.get(part, 0.0) + float(weight) * factor
            for part, weight in parts.items():
                scale = weight * layer.cdvft_alpha[part]
                if not abs(scale) <= MAX_ALPHA:
                    raise ValueError(
                        f"The weight of {part!r} times its alpha is {scale:g}, but it must be at most "
                        f"{MAX_ALPHA:.3g}, the largest number of float32. Choose smaller weights."
                    )
            sums.append((layer, parts))
    for layer, parts in sums:
        if parts:
            layer.cdvft_weighted_adapters[adapter_name] = parts
    configurations[adapter_name] = replace(
        configurations[adapters[0]],
        inference_mode=True,
        weighted_adapters={part: weight for _, parts in sums for part, weight in parts.items()},
    )


def add_saved_weighted_adapter(tuner: Any, adapter_name: str) -> None:
    """Restore a weighted sum from its configuration.

    Raises:
        ValueError: if the model lacks one of its adapters, or a weight is no finite number.
    """
    weights = tuner.peft_config.pop(adapter_name).weighted_adapters
    missing = sorted(str(name) for name in weights if name not in tuner.peft_config)
    if missing:
        raise ValueError(
            f"Adapter {adapter_name!r} is a sum and has no vectors of its own: it adds {', '.join(missing)}, "
            "which the model does not have. Load those first, by these names."
        )
    add_weighted_adapter(tuner, list(weights), list(weights.values()), adapter_name)


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
            for name, parts in layer.cdvft_weighted_adapters.items()
            if adapter_name in parts
        }
    )
    if sums:
        raise ValueError(f"Adapter {adapter_name!r} is part of {', '.join(sums)}. Delete the sum first.")


def is_weighted_adapter(model: Any, adapter_name: str) -> bool:
    """Return whether an adapter is a weighted sum, without vectors of its own."""
    return bool(_describe_sum(model, adapter_name))


def check_loadable(model: Any, adapter_name: str) -> None:
    """Check that an adapter has vectors to load values into, and is not merged.

    Raises:
        ValueError: if it is a sum of others, or if it or a sum that contains it is merged: unmerging would
            subtract the new values.
    """
    if parts := _describe_sum(model, adapter_name):
        raise ValueError(
            f"Adapter {adapter_name!r} applies others ({parts}) and has no vectors to load into. Choose "
            f"another name for what is loaded, or call model.delete_adapter({adapter_name!r}) first."
        )
    for layer in (one for one in model.modules() if isinstance(one, CDVFTLayer)):
        for name in layer.merged_adapters:
            if adapter_name in dict(layer.resolve_adapter(name)):
                part = f"part of {name!r}, which is merged" if name != adapter_name else "merged"
                raise ValueError(f"Adapter {adapter_name!r} is {part}. Call model.unmerge_adapter() first.")


def _describe_sum(model: Any, adapter_name: str) -> str:
    """Return the weights and names of a sum's adapters; empty for an adapter with vectors of its own."""
    parts: dict[str, float] = {}
    for layer in model.modules():
        if isinstance(layer, CDVFTLayer):
            parts |= layer.cdvft_weighted_adapters.get(adapter_name, {})
    return ", ".join(f"{weight:g} x {name}" for name, weight in parts.items())
