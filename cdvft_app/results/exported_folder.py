"""Exported folders as finished runs: the manifest that an export writes, and `cdvft apply` reads."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ValidationError

from cdvft_app import catalog
from cdvft_app.catalog import DatasetEntry, ModelEntry, Plan
from cdvft_app.catalog.entries import HUB_ID
from cdvft_app.progress import Progress, silent
from cdvft_app.results.finished_run import BASE, NO_WEIGHTS, FinishedRun, ResultsError, Weights, find
from cdvft_app.results.hub import fetch
from cdvft_app.settings import RunSettings
from cdvft_app.store.records import RunRecord
from cdvft_app.store.runs import RunStore
from cdvft_app.training.inference_service import message_of

MANIFEST = "cdvft.json"
NO_MANIFEST = "{folder} has no {file}. Export the run again with this version: cdvft export RUN {folder}"
INVALID_MANIFEST = "{file} in {folder} is invalid: {error} Export the run again."


class Manifest(BaseModel):
    """What `cdvft apply` needs to know of an exported folder."""

    version: Literal[1] = 1
    name: str
    weights: Weights
    settings: RunSettings
    model: ModelEntry
    dataset: DatasetEntry


def write_manifest(run: FinishedRun, settings: RunSettings, weights: Weights, folder: Path) -> None:
    """Write the manifest of an exported folder; a local model's path is left out."""
    model = run.plan.model
    if model.source == "local":
        model = dataclasses.replace(model, location=BASE)
    manifest = Manifest(
        name=run.record.name, weights=weights, settings=settings, model=model, dataset=run.plan.dataset
    )
    (folder / MANIFEST).write_text(manifest.model_dump_json(indent=2), encoding="utf-8")


def exported(folder: Path) -> FinishedRun:
    """Return the run in an exported folder.

    Raises:
        ResultsError: It is not an exported folder of this version.
    """
    file = folder / MANIFEST
    if not file.is_file():
        raise ResultsError(NO_MANIFEST.format(folder=folder, file=MANIFEST))
    try:
        manifest = Manifest.model_validate_json(file.read_text(encoding="utf-8"))
    except (OSError, ValidationError) as error:
        raise ResultsError(
            INVALID_MANIFEST.format(folder=folder, file=MANIFEST, error=message_of(error, 200))
        ) from None
    weights = "adapter_model" if manifest.weights == "adapter" else "model*"
    if not any(folder.glob(f"{weights}.safetensors")):  # PEFT would read pickled weights in their place
        raise ResultsError(NO_WEIGHTS.format(name=folder))
    model = manifest.model
    # Only paths inside the folder are read: it may come from someone else.
    if manifest.weights == "merged":
        model = dataclasses.replace(model, source="local", location=str(folder))
    elif (folder / BASE).is_dir() or model.source == "local":
        model = dataclasses.replace(model, source="local", location=str(folder / BASE))
    settings = manifest.settings
    plan = Plan(settings, catalog.get_recipe(settings.recipe), model, manifest.dataset, ())
    values = dict.fromkeys((field.name for field in dataclasses.fields(RunRecord)), None) | {
        "id": folder.name, "name": manifest.name, "settings": settings, "method": settings.method.key,
        "state": "finished", "result": {}, "created": file.stat().st_mtime,
    }  # fmt: skip
    return FinishedRun(RunRecord(**values), plan, folder, (), manifest.weights)  # type: ignore[arg-type]


def open_run(store: RunStore, source: str, progress: Progress = silent) -> FinishedRun:
    """Return the run of an exported folder, a Hub id (owner/name), or a run id.

    Raises:
        ResultsError, UnknownRun: It cannot be opened.
    """
    if Path(source).is_dir():
        return exported(Path(source))
    if HUB_ID.fullmatch(source) and "/" in source:
        progress(None, f"Fetching {source}")
        return exported(fetch(source))
    return find(store, source)
