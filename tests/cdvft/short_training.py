"""A few steps, for tests of what can be trained."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


def losses_of(model: nn.Module, loss_of: Callable[[], Tensor], steps: int, lr: float) -> list[float]:
    """The loss before each of Adam's steps, which change all that the model trains."""
    optimizer, losses = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=lr), []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = loss_of()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses
