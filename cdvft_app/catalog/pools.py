"""Read all labelled rows of a dataset, from wherever it comes; images are decoded only when asked for."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from cdvft_app import ASSETS
from cdvft_app.catalog.download import DownloadFailed, Progress, ShouldStop
from cdvft_app.catalog.entries import DatasetEntry
from cdvft_app.catalog.own import read_own
from cdvft_app.catalog.own_entry import gone, is_kept
from cdvft_app.catalog.pool import Pool, Pools
from cdvft_app.catalog.sources import files_of
from cdvft_app.metrics.fields import answer_lines


def read_pools(entry: DatasetEntry, progress: Progress, should_stop: ShouldStop) -> Pools:
    """All labelled rows of a dataset.

    Raises:
        DownloadFailed: it could not be had or read; says why and what to do.
        DownloadStopped: `should_stop()` became true.
    """
    if entry.source == "sklearn":
        return _read_digits(entry)
    if entry.source == "assets":
        return _read_answers(entry)
    if entry.own:
        return _read_own(entry, progress)
    source = files_of(entry, progress, should_stop)
    progress(None, f"Loading {entry.title}")
    if entry.source == "mirror":
        return MIRROR_READERS[entry.location](entry, source.folder)
    from cdvft_app.catalog.tables import read_tables

    try:
        return read_tables(entry, source.folder, source.commit)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        message = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DownloadFailed(f"{entry.title} could not be read: {message[:400]}") from error


def _read_own(entry: DatasetEntry, progress: Progress) -> Pools:
    assert entry.own
    if not is_kept(entry.own):
        raise DownloadFailed(gone(entry.title))
    progress(None, f"Reading {entry.title}")
    try:
        return read_own(entry.own)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DownloadFailed(f"{entry.title} could not be read: {str(error)[:400]}") from error


def _read_digits(entry: DatasetEntry) -> Pools:
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.round(digits.images * (255 / 16)).astype(np.uint8)  # (n, 8, 8), from 0..16
    return Pools(Pool(images.__getitem__, digits.target.astype(np.int64)), None, entry.labels)


def _read_mnist(entry: DatasetEntry, folder: Path) -> Pools:
    with np.load(folder / "mnist.npz", allow_pickle=False) as arrays:
        images, labels = arrays["images"], arrays["labels"].astype(np.int64)
    return Pools(Pool(images.__getitem__, labels), None, entry.labels)


def _read_reviews(entry: DatasetEntry, folder: Path) -> Pools:
    with (folder / "reviews.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    labels = np.array([int(row["label"]) for row in rows], dtype=np.int64)
    return Pools(Pool(lambda places: [rows[place]["text"] for place in places], labels), None, entry.labels)


def _read_answers(entry: DatasetEntry) -> Pools:
    lines = (ASSETS / entry.location / "rows.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    (prompt,) = entry.text_columns

    def answer(row: dict[str, str]) -> str:
        return row[entry.label_column] if entry.label_column else answer_lines(row, entry.fields)

    def pool(split: str) -> Pool:
        of_split = [row for row in rows if row["split"] == split]
        answers = np.array([answer(row) for row in of_split], dtype=object)
        return Pool(lambda places: [of_split[place][prompt] for place in places], answers)

    return Pools(pool(entry.train_split), pool(entry.evaluation_split or "test"), ())


MIRROR_READERS: dict[str, Callable[[DatasetEntry, Path], Pools]] = {
    "rotten_tomatoes": _read_reviews,
    "mnist": _read_mnist,
}
