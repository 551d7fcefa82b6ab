"""What a run of the store answered row by row, read for the judge from its folder."""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from cdvft_app.judging.row_scores import RowScores, of_predictions, of_scores
from cdvft_app.store import predictions, written_answers
from cdvft_app.store.records import StoreError
from cdvft_app.store.runs import RunStore
from cdvft_app.store.written_answers import WrittenAnswers

MAX_KEPT = 512


def of_run(store: RunStore, run_id: str, metric_name: str) -> RowScores | None:
    """None for a run that keeps no answers, as those of earlier versions, or that was deleted meanwhile."""
    try:
        return of_folder(store.folder(run_id), metric_name)
    except StoreError:
        return None


def of_folder(folder: Path, metric_name: str) -> RowScores | None:
    """Of the folder in which a run's predictions lie."""
    for name in (predictions.FILE, written_answers.FILE):
        with suppress(OSError):
            return _read(folder, metric_name, (folder / name).stat().st_mtime_ns)
    return None


@lru_cache(maxsize=MAX_KEPT)
def _read(folder: Path, metric_name: str, changed: int) -> RowScores | None:
    kept = predictions.read_either(folder)
    if isinstance(kept, WrittenAnswers):
        with suppress(KeyError):  # a metric whose rows have no score
            return of_scores(kept.scores(metric_name), kept.rows, kept.labels)
        return None
    return None if kept is None else of_predictions(kept, metric_name)
