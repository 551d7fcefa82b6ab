"""How a causal language model writes: one token after another, and the text that the tokens make."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from cdvft_app.tasks import shared_prefix

IGNORED = -100
"""The label of a place that is not learned, as torch and the Trainer have it."""
STILL_WRITING = 0.75
"""Where no more than this share of a batch still writes, the others are left out: copying has its price."""


MIN_ROWS, MAX_ROWS = 32, 96
"""That are written together. With more each weight is read once for more rows: 96 answers to `addresses` took
three quarters of the time in one batch that they take in three."""
CACHE_BYTES = 600 * 2**20
"""Of keys and values that more than the fewest rows may have together."""


def rows_at_once(config: Any, length: int) -> int:
    """Return how many rows of up to `length` tokens are written together by a model of this
    `PretrainedConfig`."""
    of_text = config.get_text_config(decoder=True)
    layers, heads, width = (
        getattr(of_text, name, 0) for name in ("num_hidden_layers", "num_attention_heads", "hidden_size")
    )
    if not (layers and heads and width):
        return MIN_ROWS
    kept = (getattr(of_text, "num_key_value_heads", 0) or heads) * (
        getattr(of_text, "head_dim", 0) or width // heads
    )
    row = 2 * 4 * layers * kept * length  # keys and values in float32
    return min(max(CACHE_BYTES // row, MIN_ROWS), MAX_ROWS)


@dataclass(frozen=True)
class Sampling:
    """The choice of the next token: at temperature 0 the most probable one, else drawn by `seed`."""

    temperature: float = 0.0
    seed: int = 0


GREEDY = Sampling()


@torch.no_grad()
def tokens(
    model: PreTrainedModel,
    inputs: dict[str, Tensor],
    *,
    eos_token_id: int,
    max_new_tokens: int,
    forward: Callable[..., Any] | None = None,
    sampling: Sampling = GREEDY,
    adapter_names: Sequence[str] | None = None,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the next tokens (B,) of a batch, and the probability (B,) that the model gave each at temperature
    1.

    Keys and values of what was read are kept, so that each token costs one step of the model. A row that has
    ended goes on with `eos_token_id`; once a quarter of the rows have, the others go on without them.

    Args:
        model: is in evaluation mode while it writes.
        inputs: a batch whose rows end together: input_ids, attention_mask and position_ids.
        eos_token_id: the token that ends an answer.
        max_new_tokens: tokens at most.
        forward: takes the model's inputs by name in place of `model`.
        sampling: how a token is chosen.
        adapter_names: of each row, as `forward` takes them; None: it takes none.
    """
    cache_name, call = shared_prefix.cache_argument(model), forward or model
    more = {"logits_to_keep": 1} if shared_prefix.takes(model, "logits_to_keep") else {}
    device = next(model.parameters()).device
    generator = torch.Generator(device).manual_seed(sampling.seed)
    inputs = {name: inputs[name].to(device) for name in ("input_ids", "attention_mask", "position_ids")}
    cache = DynamicCache(config=model.config)
    positions = getattr(model.config, "max_position_embeddings", None)
    rows = torch.arange(len(inputs["input_ids"]), device=device)  # those that the batch still has
    written, probabilities = torch.full_like(rows, eos_token_id), torch.ones(len(rows), device=device)
    ended = torch.zeros(len(rows), dtype=torch.bool, device=device)
    trained = model.training
    model.eval()
    try:
        one_model = device.type == "cpu" and not adapter_names  # else keys and values are each row's own
        prefix = shared_prefix.common_prefix(inputs) if one_model else 0
        if prefix:
            shared, inputs = shared_prefix.split(inputs, prefix)
            cache = shared_prefix.read(call, model, shared, len(rows))
        mask = inputs.pop("attention_mask")
        model_inputs: dict[str, Any] = inputs
        for _ in range(max_new_tokens):
            model_inputs |= {"attention_mask": mask, cache_name: cache}
            if adapter_names:
                model_inputs["adapter_names"] = list(adapter_names)
            outputs: Any = call(**model_inputs, **more, use_cache=True)
            logits = outputs.logits[:, -1]
            token = _chosen(logits, sampling, generator).masked_fill(ended, eos_token_id)
            given = _probability(logits, token)
            yield written.index_copy(0, rows, token), probabilities.index_copy(0, rows, given)
            ended = ended | (token == eos_token_id)
            if ended.all():
                return
            mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
            position = model_inputs["position_ids"][:, -1:] + 1
            if positions:  # a full row goes on beside those that have room, and GPT-2's table ends there
                position = position.clamp(max=positions - 1)
            going = (~ended).nonzero()[:, 0]
            if len(going) <= STILL_WRITING * len(ended):
                cache.batch_select_indices(going)
                adapter_names = adapter_names and [adapter_names[place] for place in going.tolist()]
                token, mask, position, rows, ended = (
                    one[going] for one in (token, mask, position, rows, ended)
                )
            model_inputs = {"input_ids": token[:, None], "position_ids": position}
    finally:
        model.train(trained)


def _chosen(logits: Tensor, sampling: Sampling, generator: torch.Generator) -> Tensor:
    if sampling.temperature == 0:
        return logits.argmax(-1)
    probabilities = (logits.float() / sampling.temperature).softmax(-1)
    return torch.multinomial(probabilities, 1, generator=generator).squeeze(-1)


def _probability(logits: Tensor, token: Tensor) -> Tensor:
    return logits.float().softmax(-1).gather(-1, token[:, None]).squeeze(-1)


def prompts_of(batch: dict[str, Tensor]) -> list[list[int]]:
    """Return the rows of a batch without padding, and without the answers that "labels" has."""
    found = []
    for ids, mask, labels in zip(batch["input_ids"], batch["attention_mask"], batch["labels"], strict=True):
        row = ids[mask.bool()].tolist()
        found.append(row[: len(row) - int((labels != IGNORED).sum())])
    return found


class Pieces:
    """Tokens of one answer as pieces of text, each with its probability.

    A character whose bytes are several tokens is one piece, as probable as all of them together.
    """

    def __init__(self, decode: Callable[[list[int]], str]) -> None:
        self._decode = decode
        self._ids: list[int] = []
        self._probability = 1.0
        self.text = ""

    def add(self, token: int, probability: float) -> tuple[str, float] | None:
        """Return the piece that is whole now; None within a character, and of a token that is no text."""
        self._ids.append(token)
        self._probability *= probability
        text = self._decode(self._ids)
        if text.endswith("\N{REPLACEMENT CHARACTER}"):
            return None
        piece, probability = text[len(self.text) :], self._probability
        self.text, self._probability = text, 1.0
        return (piece, round(probability, 3)) if piece else None
