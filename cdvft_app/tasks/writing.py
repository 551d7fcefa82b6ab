"""How a causal language model writes: one token after another, and the text that the tokens make."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen: at temperature 0 the most probable one, else drawn by `seed`."""

    temperature: float = 0.0
    seed: int = 0


GREEDY = Sampling()


@torch.no_grad()
def tokens(
    model: PreTrainedModel,
    inputs: dict[str, Tensor],
    *,
    end: int,
    most: int,
    forward: Callable[..., Any] | None = None,
    sampling: Sampling = GREEDY,
) -> Iterator[tuple[Tensor, Tensor]]:
    """The next tokens (B,) of a batch, and the logits (B, vocabulary) that each was chosen by.

    Keys and values of what was read are kept, so that each token costs one step of the model.

    Args:
        model: is in evaluation mode while it writes.
        inputs: a batch whose rows end together: input_ids, attention_mask and position_ids.
        end: the token that ends an answer; a row that has ended goes on with it.
        most: tokens at most.
        forward: takes the model's inputs by name in place of `model`.
        sampling: how a token is chosen.
    """
    parameters = inspect.signature(model.forward).parameters
    cache_name = "cache" if "cache" in parameters else "past_key_values"  # its name in earlier versions
    device = next(model.parameters()).device
    generator = torch.Generator(device).manual_seed(sampling.seed)
    mask = inputs["attention_mask"].to(device)
    model_inputs: dict[str, Any] = {name: inputs[name].to(device) for name in ("input_ids", "position_ids")}
    model_inputs[cache_name] = cache = DynamicCache(config=model.config)
    ended = torch.zeros(len(mask), dtype=torch.bool, device=device)
    trained = model.training
    model.eval()
    try:
        for _ in range(most):
            if "logits_to_keep" in parameters:
                model_inputs["logits_to_keep"] = 1
            outputs: Any = (forward or model)(**model_inputs, attention_mask=mask, use_cache=True)
            logits = outputs.logits[:, -1]
            token = _chosen(logits, sampling, generator).masked_fill(ended, end)
            yield token, logits
            ended |= token == end
            if ended.all():
                return
            mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
            position = model_inputs["position_ids"][:, -1:] + 1
            model_inputs = {"input_ids": token[:, None], "position_ids": position, cache_name: cache}
    finally:
        model.train(trained)


def _chosen(logits: Tensor, sampling: Sampling, generator: torch.Generator) -> Tensor:
    if sampling.temperature == 0:
        return logits.argmax(-1)
    shares = (logits.float() / sampling.temperature).softmax(-1)
    return torch.multinomial(shares, 1, generator=generator).squeeze(-1)


def probability(logits: Tensor, token: Tensor) -> Tensor:
    """(B,): what the model itself gave the tokens, at temperature 1."""
    return logits.float().softmax(-1).gather(-1, token[:, None]).squeeze(-1)


class Pieces:
    """Tokens of one answer as pieces of text, each with its probability.

    A character whose bytes are several tokens is one piece, as probable as all of them together.
    """

    def __init__(self, decode: Callable[[list[int]], str]) -> None:
        self._decode = decode
        self._ids: list[int] = []
        self._share = 1.0
        self.text = ""

    def add(self, token: int, share: float) -> tuple[str, float] | None:
        """The piece that is whole now; None within a character, and of a token that is no text."""
        self._ids.append(token)
        self._share *= share
        text = self._decode(self._ids)
        if text.endswith("\N{REPLACEMENT CHARACTER}"):
            return None
        piece, share = text[len(self.text) :], self._share
        self.text, self._share = text, 1.0
        return (piece, round(share, 3)) if piece else None
