"""A column of conversations as two columns, of a prompt and its answer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cdvft_app.catalog.conversations import MESSAGES, of_messages

PROMPT, ANSWER = "prompt", "answer"
NOTE = (
    f"Of each conversation in “{MESSAGES}” the last answer is learned, with the question right before it; "
    "what came earlier is left out."
)
WRONG = (
    "it has no answer of the assistant to a question of the user",
    "give it one, or drop the row",
)


def without_messages(names: Iterable[str]) -> tuple[str, ...]:
    """The columns with prompt and answer in place of the conversations."""
    return (*(name for name in names if name not in (MESSAGES, PROMPT, ANSWER)), PROMPT, ANSWER)


def asked_and_answered(messages: Any) -> tuple[str, str] | None:
    """The last answer of a conversation and what it answers; None where there is no such pair."""
    if not isinstance(messages, list) or not all(isinstance(one, dict) for one in messages):
        return None
    try:
        return of_messages({MESSAGES: messages})
    except ValueError:
        return None
