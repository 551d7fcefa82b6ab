"""Labelled rows of a dataset as its readers give them, before a run's share is drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Pool:
    """Rows of one split: `take(places)` gives the inputs at these places, `labels` all labels or answers."""

    take: Callable[[np.ndarray], Sequence[Any]]
    labels: np.ndarray


@dataclass(frozen=True)
class Pools:
    """All rows; `evaluation` is None where the data has one split only."""

    train: Pool
    evaluation: Pool | None
    labels: tuple[str, ...]
    commit: str | None = None
