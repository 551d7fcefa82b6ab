"""Rows that begin with the same tokens, such as one instruction: what they share is read once for all.

In a causal model keys and values of the first P tokens follow from these alone. They are computed for one row
and given to all B rows of a batch, so that (B - 1) P tokens are not read again; gradients flow back through
them from every row. The same in exact arithmetic as reading every row whole. It pays on a CPU in float32,
whose time goes with the tokens; in half precision a second pass costs as much as it saves.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from transformers import DynamicCache, PreTrainedModel

MIN_PREFIX = 8
"""A shorter beginning is not worth a pass of its own."""


def common_prefix(inputs: dict[str, Tensor], answers: Tensor | None = None) -> int:
    """P: how many tokens all rows of a batch begin with, always fewer than any prompt has; 0 if too few.

    Args:
        inputs: rows that end together.
        answers: (B,) how many of each row's tokens are its answer.
    """
    ids, mask = inputs["input_ids"], inputs["attention_mask"].bool()
    if len(ids) < 2:
        return 0
    lengths = mask.sum(1) - (0 if answers is None else answers)
    most = int(lengths.min()) - 1
    if most < MIN_PREFIX:
        return 0
    begins = torch.stack([row[kept][:most] for row, kept in zip(ids, mask, strict=True)])
    same = int((begins == begins[0]).all(0).long().cumprod(0).sum())
    return same if same >= MIN_PREFIX else 0


def split(inputs: dict[str, Tensor], prefix: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return the model's inputs for the first `prefix` tokens, of one row, and for what follows in all
    rows."""
    ids, mask = inputs["input_ids"], inputs["attention_mask"]
    columns = torch.arange(ids.shape[1], device=ids.device)
    begins = (mask == 0).sum(1, keepdim=True)  # rows end together: padding stands in front
    rest = ((columns >= begins + prefix) & mask.bool()).to(mask.dtype)[:, prefix:]
    (first,) = ids[:1, begins[0, 0] : begins[0, 0] + prefix].unbind()
    places = torch.arange(prefix, device=ids.device)
    shared = {
        "input_ids": first[None],
        "attention_mask": mask.new_ones(1, prefix),
        "position_ids": places[None],
    }
    following = {
        "input_ids": ids[:, prefix:],
        "attention_mask": torch.cat([mask.new_ones(len(ids), prefix), rest], dim=1),
        "position_ids": (rest.cumsum(1) - 1).clamp(min=0) + prefix,
    }
    return shared, following


def read(
    call: Callable[..., Any], base: PreTrainedModel, shared: dict[str, Tensor], rows: int
) -> DynamicCache:
    """Return keys and values of the shared beginning, for so many rows.

    Args:
        call: takes the inputs of `base` by name: the model itself, or what was made of it.
        base: the language model, whose cache it is.
        shared: from `split`.
        rows: that begin with it.
    """
    cache = DynamicCache(config=base.config)
    more = {"logits_to_keep": 1} if takes(base, "logits_to_keep") else {}
    call(**shared, **more, **{cache_argument(base): cache}, use_cache=True)
    cache.batch_repeat_interleave(rows)
    return cache


def forward(model: nn.Module, base: PreTrainedModel, inputs: dict[str, Any], prefix: int) -> Any:
    """Return `model(**inputs)`, its logits without those of the `prefix` that all rows share; see `read`."""
    shared, following = split(inputs, prefix)
    cache = read(model, base, shared, len(inputs["input_ids"]))
    return model(**{**inputs, **following, cache_argument(base): cache, "use_cache": True})


def takes(base: PreTrainedModel | type[PreTrainedModel], argument: str) -> bool:
    return argument in inspect.signature(base.forward).parameters


def cache_argument(base: PreTrainedModel | type[PreTrainedModel]) -> str:
    return "cache" if takes(base, "cache") else "past_key_values"  # its name in earlier versions


def must_read_whole(model: PreTrainedModel, checkpointing: bool) -> bool:
    """Return whether training needs one pass over whole rows.

    With dropout, the model's own or an adapter's, rows that share a pass would share what is drawn;
    activations that are computed twice keep no cache; and several processes count one pass a step.
    """
    configs = [model.config, *getattr(model, "peft_config", {}).values()]
    chances = (value for config in configs for name, value in config.to_dict().items() if "drop" in name)
    drops = any(isinstance(value, float) and value > 0 for value in chances)
    spread = torch.distributed.is_available() and torch.distributed.is_initialized()
    return drops or checkpointing or spread
