"""Floating-point operations that a run's method added to its training, by formula."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache

from cdvft_app.catalog.entries import find_known_model
from cdvft_app.costs.request import CostRequest
from cdvft_app.costs.table import cost_table
from cdvft_app.judging.outcomes import Outcome
from cdvft_app.settings import InvalidChoice


def with_flops(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """The same outcomes with `flops` of all steps; None for a model whose shapes are not known here."""
    return [replace(one, amounts={**one.amounts, "flops": extra_flops(one)}) for one in outcomes]


def extra_flops(outcome: Outcome) -> int | None:
    """Forward and backward of all batches, every text at `max_length` tokens; the head's never count."""
    settings = outcome.settings
    if outcome.method == "head":
        return 0
    if settings.model is None or settings.batch_size is None or find_known_model(settings.model) is None:
        return None  # asking the hub for its shapes is not worth one number
    of_a_step = _counted(
        CostRequest(
            model=settings.model,
            targets=settings.target_modules,
            methods=(settings.method.model_copy(update={"learning_rate": None}),),
            batch=settings.batch_size,
            sequence=settings.max_length,
            image_size=settings.image_size,
        )
    )
    return None if of_a_step is None else outcome.steps * of_a_step


@lru_cache(maxsize=1024)
def _counted(request: CostRequest) -> int | None:
    try:
        return cost_table(request)[0]["flops_per_step"]
    except InvalidChoice:
        return None
