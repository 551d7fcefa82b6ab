"""What a model writes to the watched prompts, as an event."""

from __future__ import annotations

from collections.abc import Sequence

from cdvft_app.events import Answers
from cdvft_app.tasks.base import Task, Watched
from cdvft_app.tasks.metrics import wrong_fields


def answers(task: Task, watched: Watched, fields: Sequence[str], step: int, seconds: float) -> Answers | None:
    """All prompts answered at once, None where there are none; `fields` are the names in an answer."""
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
            () if right is None else wrong_fields(text, right, fields)
            for text, right in zip(texts, watched.right, strict=True)
        ),
        tokens=tuple(one.tokens for one in predictions),
        own=None in watched.right,
    )
