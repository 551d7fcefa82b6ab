"""A finished run as a folder or a zip that others can load: as it was trained, merged, or as LoRA."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cdvft_app.catalog.download import DownloadFailed, Progress, silent
from cdvft_app.results import held_out
from cdvft_app.results.card import CURVE, card
from cdvft_app.results.curve import write_curve
from cdvft_app.results.errors import ResultsError
from cdvft_app.results.finished_run import FinishedRun, load, losses
from cdvft_app.results.loading import BASE, Form
from cdvft_app.results.lora import write_lora
from cdvft_app.results.merged import write_base, write_merged
from cdvft_app.results.requirements import write_requirements
from cdvft_app.store import written_answers
from cdvft_app.store.database import is_full
from cdvft_app.store.runs import RunStore
from cdvft_app.tasks import saved
from cdvft_app.tasks.saved import TaskRecord
from cdvft_app.training import trainable

USUAL_RANK = 8


@dataclass(frozen=True)
class Export:
    """A run and the form to export: "adapter" as trained, "merged" into a plain model, or "lora"."""

    run: FinishedRun
    form: Form
    rank: int = USUAL_RANK


def write_folder(store: RunStore, export: Export, out: Path, progress: Progress = silent) -> None:
    """Write the folder `out`, which is whole or not there at all.

    Args:
        store: has the run's history, for the card.
        export: what is wanted.
        out: must not be there yet.
        progress: told what is fetched and loaded.

    Raises:
        ResultsError: why it cannot be done; what was there before is untouched.
    """
    with appearing(out) as made:
        _write(store, export, made, progress)


def write_zip(store: RunStore, export: Export, out: Path, progress: Progress = silent) -> None:
    """The same as a zip, with all files in one folder of its name.

    Raises:
        ResultsError: why it cannot be done; what was there before is untouched.
    """
    with appearing(out) as made:
        folder = made.parent / out.stem
        _write(store, export, folder, progress)
        pack(folder, made)


def pack(folder: Path, file: Path) -> None:
    """Zip the folder, under its name."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            archive.write(path, path.relative_to(folder.parent))


def _write(store: RunStore, export: Export, folder: Path, progress: Progress) -> None:
    run, form = export.run, export.form
    folder.mkdir()
    conversion = None
    task = saved.read(run.folder)
    if form == "adapter" and task is not None:
        shutil.copytree(run.folder, folder, dirs_exist_ok=True)
        saved.name_base_class(task, folder)  # which versions before did not
    else:
        loaded, model = load(run, progress)
        task = saved.describe(loaded, run.plan)
        progress(None, "Writing the files")
        if form == "merged":
            write_merged(loaded, model, task, folder)
        else:
            trainable.name_base(model, task.base_model, task.revision)
            conversion = write_lora(model, export.rank, folder) if form == "lora" else None
            if form == "adapter":  # recorded, or of a version that did not keep what a loader needs
                trainable.save(model, folder)
            saved.save(loaded, run.plan, folder)
    if form != "merged" and run.weights != "whole" and task.base_model is None:
        write_base(run.plan, folder / BASE, progress)
    write_requirements(
        run.plan.model.kind,
        folder,
        with_peft=run.weights == "adapter" and form != "merged",
        with_library=_needs_cdvft(export, task),
    )
    rows = losses(store, run)
    drawn = write_curve(rows, run.colour, f"{run.label}: loss, evaluations as circles", folder / CURVE)
    written = written_answers.read(held_out.folder(store, run))
    made = card(
        run, task, form, conversion=conversion, curve=drawn, written=written, race=held_out.judged(store, run)
    )
    made.save(folder / "README.md")


def _needs_cdvft(export: Export, task: TaskRecord) -> bool:
    """For the adapter itself, or for the head on the mean."""
    run, form = export.run, export.form
    return form != "merged" and (
        task.pooling == "mean" or (run.record.method == "cdvft" and form == "adapter")
    )


@contextmanager
def appearing(out: Path) -> Iterator[Path]:
    """A place for a file or folder that becomes `out` when it is whole; sentences for what a disk refuses."""
    if out.exists():
        raise ResultsError(f"{out} is already there; choose another place, or remove it first.")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".export-", dir=out.parent) as beside:
            made = Path(beside) / out.name
            yield made
            made.replace(out)
    except DownloadFailed as error:
        raise ResultsError(str(error)) from error
    except Exception as error:
        if is_full(error):
            raise ResultsError(
                f"There is no room left for {out}. Nothing of it was kept; free some space and try again."
            ) from error
        if isinstance(error, OSError):
            raise ResultsError(f"{out} cannot be written: {error.strerror or error}.") from error
        raise
