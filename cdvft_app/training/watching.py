"""What a model writes to the watched prompts, as an event."""

from __future__ import annotations

from cdvft_app.catalog.entries import DatasetEntry
from cdvft_app.events import Answers
from cdvft_app.metrics.exact_match import wrong_parts
from cdvft_app.tasks.base import Task, Watched


def answers(task: Task, watched: Watched, dataset: DatasetEntry, step: int, seconds: float) -> Answers | None:
    """All prompts answered at once, None where there are none."""
    if not watched.prompts:
        return None
    predictions = task.predict(watched.prompts)
    texts = tuple(one.text or "" for one in predictions)
    return Answers(
        step=step,
        seconds=seconds,
        prompts=watched.prompts,
        answers=texts,
        right=watched.right,
        wrong=tuple(
            () if right is None else wrong_parts(text, right, dataset)
            for text, right in zip(texts, watched.right, strict=True)
        ),
        tokens=tuple(one.tokens for one in predictions),
        own=None in watched.right,
    )
