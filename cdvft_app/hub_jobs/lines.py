"""A run's events as lines of a Job's log, by which they come back."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import asdict

from pydantic import TypeAdapter

from cdvft_app import events
from cdvft_app.events import Event, Snapshot

MARK = "cdvft-event "
TOLD = (
    events.Preparing,
    events.Started,
    events.Step,
    events.Evaluation,
    events.Answers,
    events.Note,
    events.Done,
)
MAX_CHARACTERS = 200_000
_BY_NAME: dict[str, TypeAdapter[Event]] = {kind.__name__: TypeAdapter(kind) for kind in TOLD}
_LINE = re.compile(rf"(?:^|\s){MARK}(?P<event>\{{.*\}})\s*$")


def write(event: Event) -> str | None:
    """The line; None for a snapshot, whose file stays where it was made."""
    if isinstance(event, Snapshot) or type(event) not in TOLD:
        return None
    return MARK + json.dumps({"event": type(event).__name__, "fields": asdict(event)}, default=str)


def read(line: str) -> Event | None:
    """The event of a line, which may begin with a time; None for any other line."""
    found = _LINE.search(line) if len(line) <= MAX_CHARACTERS else None
    if found is None:
        return None
    with suppress(ValueError, KeyError, TypeError):  # what is no event has been written by something else
        told = json.loads(found["event"])
        return _BY_NAME[told["event"]].validate_python(told["fields"])
    return None
