"""The list of a visitor's own data, and how long it is kept."""

from __future__ import annotations

from typing import Any

from cdvft_app.data import library
from cdvft_app.data.source import limits
from cdvft_app.ui.shared.state import AppState
from cdvft_app.ui.shared.texts import counted
from cdvft_app.ui.train import uploaded_view as view

NONE_YET = "You have given none yet."
KEPT = "Kept here until you delete it; only this browser sees it and trains on it."
KEPT_PUBLIC = "Kept for {hours} after its last use; only this browser sees it and trains on it."


def offer(app: AppState, token: str, value: str | None = None) -> dict[str, Any]:
    """The visitor's data for a list."""
    records = library.owned(app.store, token)
    choices = [(view.choice_label(record), record.id) for record in records]
    known = {record.id for record in records}
    return {
        "choices": choices,
        "value": value if value in known else None,
        "info": how_long_kept() if choices else NONE_YET,
    }


def how_long_kept() -> str:
    """On this machine, or on a public server."""
    hours = limits().keep_hours
    return KEPT if hours is None else KEPT_PUBLIC.format(hours=counted(hours, "hour"))
