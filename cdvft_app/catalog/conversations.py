"""Conversations, in the layouts that data for language models comes in, as a prompt and its answer.

A conversation is a list of messages, each with a role and content (as OpenAI's API and most datasets have it)
or with from and value (ShareGPT), as a list or as JSON in a column of text. Its last answer is learned; what
comes before it is the prompt. A prompt is one text; that of several messages is their JSON, which
`messages_of` reads and `transcript` shows. This module imports nothing of the app: exported scripts have it
beside them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

Message = Mapping[str, str]
ROLES = {
    "system": "system", "developer": "system",
    "user": "user", "human": "user", "prompter": "user",
    "assistant": "assistant", "gpt": "assistant", "chatgpt": "assistant", "bot": "assistant",
    "model": "assistant",
}  # fmt: skip
LAYOUTS = (("role", "content"), ("from", "value"))


def joined(row: Mapping[str, Any], *names: str) -> str:
    """Return the values of these columns with an empty line between; an empty one is left out."""
    return "\n\n".join(str(row[name]).strip() for name in names if str(row[name] or "").strip())


def is_conversation(value: Any) -> bool:
    """Return whether a value has the layout of a conversation, whatever is said in it."""
    if isinstance(value, str):
        text = value.strip()
        if not (text.startswith("[") and text.endswith("]")):
            return False
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return False
    if (
        not isinstance(value, Sequence)
        or not len(value)
        or not all(isinstance(one, Mapping) for one in value)
    ):
        return False
    return any(all({*names} <= {*one} for one in value) for names in LAYOUTS)


def split_conversation(value: Any) -> tuple[str, str]:
    """Return the prompt and the last answer of a conversation.

    Raises:
        ValueError: it is none, has an unknown role, or no answer to what a user said.
    """
    said = _messages(value)
    last = max((place for place, one in enumerate(said) if one["role"] == "assistant"), default=0)
    if not last or said[last - 1]["role"] != "user":
        raise ValueError("it has no answer of the assistant to a message of the user")
    return prompt_of(said[:last]), said[last]["content"]


def asked_in(value: Any) -> tuple[str, str | None]:
    """Return the prompt of a conversation to answer: what the user said last, with all before it.

    Where an answer stands after that it is given, too. Raises as `split_conversation` does.
    """
    said = _messages(value)
    if not said or said[-1]["role"] != "user":
        return split_conversation(value)
    return prompt_of(said), None


def _messages(value: Any) -> list[dict[str, str]]:
    """Return the messages that are not empty, in one layout; ValueError for what is none."""
    if not is_conversation(value):
        raise ValueError("it is no list of messages with role and content")
    messages = json.loads(value) if isinstance(value, str) else value
    role, content = next(names for names in LAYOUTS if all({*names} <= {*one} for one in messages))
    said = []
    for one in messages:
        name = str(one[role]).strip().lower()
        if name not in ROLES:
            raise ValueError(f"it has a message of {name[:40]!r}; system, user and assistant are known")
        text = str(one[content] if one[content] is not None else "").strip()
        if text:
            said.append({"role": ROLES[name], "content": text})
    return said


def join_conversations(parts: Sequence[Any]) -> list[Message]:
    """Return the messages of all of them, one after the other.

    Raises:
        ValueError: one of them is no conversation.
    """
    if not all(map(is_conversation, parts)):
        raise ValueError("it is no list of messages with role and content")
    return [one for part in parts for one in (json.loads(part) if isinstance(part, str) else part)]


def prompt_of(messages: Sequence[Message]) -> str:
    """Return the text that `messages_of` reads as these messages."""
    alone = messages[0]["content"] if len(messages) == 1 and messages[0]["role"] == "user" else None
    if alone is not None and not is_conversation(alone):
        return alone
    return json.dumps(list(messages), ensure_ascii=False)


def messages_of(prompt: str) -> list[dict[str, str]]:
    """Return the messages that a prompt stands for: one of the user, unless it is a conversation itself."""
    if is_conversation(prompt):
        messages = json.loads(prompt)
        if all({"role", "content"} <= {*one} and str(one["role"]) in ROLES for one in messages):
            return [{"role": ROLES[one["role"]], "content": str(one["content"])} for one in messages]
    return [{"role": "user", "content": prompt}]


_TURN = re.compile(r"(?:^|\n\n)(System|User|Assistant): ")


def transcript(prompt: str) -> str:
    """Return a prompt as a person reads it: several messages as "User: ...", an empty line between."""
    messages = messages_of(prompt)
    if messages[0]["content"] == prompt:
        return prompt
    return "\n\n".join(f"{one['role'].capitalize()}: {one['content']}" for one in messages)


def prompt_in(text: str) -> str:
    """Return the prompt that a person wrote: a transcript stands for its messages, other text for itself.

    A transcript begins with a turn, ends with one of the user, and has a turn besides.
    """
    start, *parts = _TURN.split(text.strip())
    roles, said = parts[::2], [one.strip() for one in parts[1::2]]
    if start or len(roles) < 2 or roles[-1] != "User" or not all(said):
        return text
    return prompt_of([{"role": role.lower(), "content": one} for role, one in zip(roles, said, strict=True)])
