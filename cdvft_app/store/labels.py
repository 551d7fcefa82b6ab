"""What a run is called beside the others of its race."""

from __future__ import annotations

from collections.abc import Sequence

from cdvft_app.methods import labels
from cdvft_app.store.records import RunRecord
from cdvft_app.store.runs import RunStore


def label_in(run: RunRecord, race: Sequence[RunRecord]) -> str:
    """LoRA r = 8: its method, with all that tells it from others of the race."""
    if run.damaged:
        return "Damaged entry"
    return labels([one.settings.method for one in (run, *race)])[0]


def label_of(store: RunStore, run: RunRecord) -> str:
    """The same in its own race; of a sweep's many runs, by itself."""
    return label_in(run, [] if run.sweep else store.group(run.group_id))
