"""Races that have been trained, of tiny models, for what is asked of finished ones."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterable
from pathlib import Path

from studio import Server

from cdvft_app.catalog import get_model, resolve
from cdvft_app.catalog.dataset_readers import Rows
from cdvft_app.catalog.entries import ModelEntry
from cdvft_app.settings import RunSettings

sys.path.insert(0, str(Path(__file__).parents[1] / "cdvft_app"))  # where tiny models are made


def entry(key: str, folder: Path) -> ModelEntry:
    """Of the catalogue, with the model of this folder in place of the hub's."""
    return dataclasses.replace(get_model(key), source="local", location=str(folder))


def films() -> Rows:
    import tiny_models

    return Rows(
        tiny_models.reviews(60, seed=1), tiny_models.reviews(24, seed=2), ("negative", "positive"), None
    )


def trained(server: Server, rows: Rows, name: str, runs: Iterable[RunSettings]) -> list[str]:
    """The ids of a race of this name, once it has finished."""
    from listening import run

    plans = [resolve(one) for one in runs]
    records = server.store.create([plan.settings for plan in plans], "somebody", name, "1:1")
    for record, plan in zip(records, plans, strict=True):
        heard, _ = run(plan, rows, server.store.make_folder(record.id))
        for event in heard:
            server.store.append(record.id, event)
    return [record.id for record in records]
