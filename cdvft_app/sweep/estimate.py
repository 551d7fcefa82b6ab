"""How long a sweep will take, said before it starts."""

from __future__ import annotations

from collections.abc import Iterable

from cdvft_app import catalog
from cdvft_app.settings import RunSettings


def seconds(runs: Iterable[RunSettings]) -> float | None:
    """Seconds on two idle CPU cores, one run after the other; None where nothing was recorded for the recipe.

    The recipe's recorded run, scaled by how many training examples are seen. It leaves out evaluation and the
    reading of model and data.
    """
    total = 0.0
    for settings in runs:
        plan = catalog.resolve(settings)
        recorded, chosen, recipe = plan.recipe.expected.seconds_cpu2, plan.settings, plan.recipe
        if recorded is None or chosen.model != recipe.model or chosen.dataset != recipe.dataset:
            return None
        seen = (chosen.train_examples or 0) * (chosen.epochs or 0)
        if chosen.max_steps:
            seen = min(seen, chosen.max_steps * (chosen.batch_size or 0))
        total += recorded * seen / (recipe.train_examples * recipe.epochs)
    return total
