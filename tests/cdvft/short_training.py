"""A few steps on one batch, for tests of what can be trained."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def losses_of(model: Any, tokens: Tensor, steps: int, lr: float) -> list[float]:
    """The loss before each of Adam's steps, with which the causal language model learns `tokens` by heart."""
    optimizer, losses = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=lr), []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = model(input_ids=tokens, labels=tokens).loss
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses
