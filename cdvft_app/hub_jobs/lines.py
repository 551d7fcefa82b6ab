"""A run's events as lines of a Job's log, by which they come back."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import asdict, fields
from pathlib import Path

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
_BY_NAME = {kind.__name__: kind for kind in TOLD}
_LINE = re.compile(rf"(?:^|\s){MARK}(?P<event>\{{.*\}})\s*$")


def write(event: Event) -> str | None:
    """The line; None for a snapshot, whose file stays where it was made."""
    if isinstance(event, Snapshot) or type(event) not in TOLD:
        return None
    return MARK + json.dumps({"event": type(event).__name__, "fields": asdict(event)}, default=str)


def read(line: str) -> Event | None:
    """The event of a line, which may begin with a time; None for any other line."""
    found = _LINE.search(line)
    if found is None:
        return None
    with suppress(ValueError, KeyError, TypeError):
        told = json.loads(found["event"])
        kind = _BY_NAME[told["event"]]
        values = {field.name: told["fields"][field.name] for field in fields(kind)}
        if kind is events.Done:
            values["adapter_folder"] = Path(values["adapter_folder"])
        return kind(**values)
    return None
