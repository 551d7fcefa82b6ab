"""Rows of prompts with their answers, in the layouts that data for language models comes in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]
MESSAGES = "messages"
ALPACA = ("instruction", "output")
PAIRS = (
    ("prompt", "completion"),
    ("prompt", "answer"),
    ("prompt", "response"),
    ("query", "response"),
    ("question", "answer"),
)
"""Columns of a prompt and its answer, by their usual names."""


def reader(columns: Sequence[str], pair: tuple[str, str] | None = None) -> Callable[[Row], tuple[str, str]]:
    """What takes a prompt and its answer out of a row with these columns.

    Args:
        columns: of the data.
        pair: the columns of prompt and answer, where somebody said which.

    Raises:
        ValueError: no layout fits; says which are known.
    """
    if MESSAGES in columns:
        return of_messages
    if pair is None:
        known = (ALPACA, *PAIRS)
        pair = next((one for one in known if set(one) <= set(columns)), None)
    if pair is None or not set(pair) <= set(columns):
        layouts = " or ".join(" and ".join(one) for one in (ALPACA, *PAIRS))
        raise ValueError(
            f"its columns are {', '.join(columns)}; prompts and answers must be in {MESSAGES}, or {layouts}."
        )
    prompt, answer = pair
    if prompt == ALPACA[0] and "input" in columns:
        return lambda row: (joined(row, "instruction", "input"), joined(row, answer))
    return lambda row: (joined(row, prompt), joined(row, answer))


def joined(row: Row, *names: str) -> str:
    """What these columns hold, an empty line between; one that is empty is left out."""
    return "\n\n".join(str(row[name]).strip() for name in names if str(row[name] or "").strip())


def of_messages(row: Row) -> tuple[str, str]:
    """The last answer of a conversation, and what the user asked right before it.

    Raises:
        ValueError: the conversation has no answer to a question.
    """
    messages = [(one.get("role"), str(one.get("content") or "").strip()) for one in row[MESSAGES] or ()]
    last = max((place for place, (role, _) in enumerate(messages) if role == "assistant"), default=0)
    if not last or messages[last - 1][0] != "user":
        roles = ", ".join(str(role) for role, _ in messages) or "none"
        raise ValueError(
            f"a conversation of {MESSAGES} has the roles {roles}; it must end with user and assistant."
        )
    return messages[last - 1][1], messages[last][1]
