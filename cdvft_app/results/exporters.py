"""Export formats of finished runs, listed in `EXPORTERS` for the app, the API and the commands.

A new format is a class here and an entry there. Imports of torch are inside functions.
"""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from cdvft_app.catalog import offline
from cdvft_app.errors import UserError
from cdvft_app.files import folder_bytes, is_full
from cdvft_app.format import amount
from cdvft_app.methods import METHODS
from cdvft_app.metrics import get_metric
from cdvft_app.progress import Progress, silent
from cdvft_app.results.exported_folder import write_manifest
from cdvft_app.results.finished_run import (
    BASE,
    TASK_FILE,
    FinishedRun,
    ResultsError,
    load,
    slug,
)
from cdvft_app.settings import RunSettings
from cdvft_app.store.runs import RunStore

if TYPE_CHECKING:
    from torch import nn

    from cdvft_app.catalog.dataset_readers import Rows
    from cdvft_app.results.card import Exported
    from cdvft_app.tasks.base import Task
    from cdvft_app.tasks.saved import TaskRecord

DEFAULT_RANK = 8
ZIP = ".zip"
ABOUT = {
    "adapter": "An adapter and its head, if any, trained with {label} by CDVFT Studio.",
    "head": "A classifier head, trained by CDVFT Studio.",
    "whole": "A whole model, trained with {label} by CDVFT Studio.",
    "merged": "A whole model: the weights trained with {label} are merged into the base model's.",
}
ABOUT_LORA = (
    "A LoRA adapter of rank {rank}: the largest singular values of the weight updates trained with {label}. "
    "They have {share:.1%} of the updates' energy, and {least:.1%} in {layer}, the worst layer. The score "
    "below is of the original run, and was not measured for this adapter."
)
BASE_NOTE = "The adapter is exported with its base model {model}{size}, which cannot be fetched elsewhere."


@dataclass(frozen=True)
class Export:
    """The run to export; `rank` is LoRA's, and scripts take `rows` in place of the dataset's."""

    store: RunStore
    run: FinishedRun
    rank: int = DEFAULT_RANK
    rows: Rows | None = None


class Exporter(ABC):
    """A format of exports.

    Attributes:
        key: its name on the page and in the endpoint.
        option: its name on the command line.
        title: its title on the page.
        help: its description on the command line.
        takes_rank: whether it needs to be told a rank.
        is_adapter: whether it needs a base model.
    """

    key: ClassVar[str]
    option: ClassVar[str]
    title: ClassVar[str]
    help: ClassVar[str]
    takes_rank: ClassVar[bool] = False
    is_adapter: ClassVar[bool] = False

    @abstractmethod
    def write(self, export: Export, folder: Path, progress: Progress) -> None:
        """Make the folder, whole.

        Raises:
            ResultsError: why it cannot be done.
        """

    def write_folder(self, export: Export, out: Path, progress: Progress = silent) -> None:
        """Write the folder `out`, which is whole or not there at all.

        Args:
            export: what is wanted.
            out: must not be there yet.
            progress: told what is fetched and loaded.

        Raises:
            ResultsError: why it cannot be done; what was there before is untouched.
        """
        with atomic_output(out) as made:
            self.write(export, made, progress)

    def write_zip(self, export: Export, out: Path, progress: Progress = silent) -> None:
        """Write the folder as a zip, with all files in one folder of its name."""
        with atomic_output(out) as made:
            folder = made.parent / out.stem
            self.write(export, folder, progress)
            with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
                for path in sorted(path for path in folder.rglob("*") if path.is_file()):
                    # Weights hardly get smaller, which takes minutes for large ones.
                    stored = zipfile.ZIP_STORED if path.suffix == ".safetensors" else None
                    archive.write(path, path.relative_to(folder.parent), stored)

    def write_as_named(self, export: Export, out: Path, progress: Progress = silent) -> None:
        """Write a zip where `out` ends in .zip, else a folder."""
        write = self.write_zip if out.suffix.lower() == ZIP else self.write_folder
        write(export, out, progress)


class _Weights(Exporter):
    """A format of weights, written with what loads them: a card, requirements, and the manifest."""

    @abstractmethod
    def write_weights(self, export: Export, folder: Path, progress: Progress) -> Exported:
        """Write the weights into the folder, and return what it has."""

    def settings(self, export: Export) -> RunSettings:
        """Return the settings of the method whose weights are written."""
        return export.run.plan.settings

    def write(self, export: Export, folder: Path, progress: Progress) -> None:
        from cdvft_app.results.card import card
        from cdvft_app.results.requirements import write_requirements
        from cdvft_app.results.weights import write_base

        run = export.run
        folder.mkdir()
        exported = self.write_weights(export, folder, progress)
        if _needs_base_beside(run):
            exported = exported.with_base_beside
        # A whole model is its own base model, but of a head on the mean, whose encoder has other names.
        is_whole = exported.is_merged or (exported.weights == "whole" and exported.task.pooling != "mean")
        base_bytes = 0
        if not is_whole and exported.task.base_model is None:
            write_base(run.plan, folder / BASE, progress)
            base_bytes = folder_bytes(folder / BASE)
        (folder / TASK_FILE).write_text(exported.task.model_dump_json(indent=2), encoding="utf-8")
        write_manifest(run, self.settings(export), "merged" if is_whole else exported.weights, folder)
        write_requirements(
            run.plan.model.kind,
            folder,
            with_peft=exported.weights == "adapter",
            with_library=exported.needs_library,
            more=get_metric(run.plan.dataset.metric).packages,
        )
        card(exported, base_bytes).save(folder / "README.md")


def _needs_base_beside(run: FinishedRun) -> bool:
    """Return whether the base model of a run's adapter or head cannot be fetched elsewhere."""
    return run.plan.model.source == "local" or run.plan.model.base(None)[0] is None


def base_note(run: FinishedRun) -> str:
    """Return the sentence that a run's adapter comes with its base model; empty where it comes without.

    The size is that of the model's files, once they are here.
    """
    model = run.plan.model
    if run.weights == "whole" or not _needs_base_beside(run):
        return ""
    folder = Path(model.location) if model.source == "local" else offline.prepared(model.location)
    size = f" ({amount('bytes', folder_bytes(folder))})" if folder else ""
    return BASE_NOTE.format(model=model.title, size=size)


def _loaded(run: FinishedRun, progress: Progress) -> tuple[Task, nn.Module, TaskRecord]:
    """Load a run: return its task, its trained model, and the record of what the outputs mean."""
    from cdvft_app.tasks import saved

    task, model = load(run, progress)
    progress(None, "Writing the files")
    return task, model, saved.describe(task, run.plan)


class AsTrained(_Weights):
    key, option = "adapter", "folder"
    title = "Adapter, as it was trained"
    help = "as it was trained, with the pretrained model where that can be fetched nowhere else"
    is_adapter = True

    def write_weights(self, export: Export, folder: Path, progress: Progress) -> Exported:
        from cdvft_app.results.card import Exported
        from cdvft_app.tasks import saved
        from cdvft_app.training import trainable

        run, task = export.run, saved.read(export.run.folder)
        if task is not None:
            shutil.copytree(run.folder, folder, dirs_exist_ok=True)
        else:  # recorded runs have no record of their task
            loaded, model, task = _loaded(run, progress)
            trainable.name_base(model, task.base_model, task.revision)
            trainable.save(model, folder)
            saved.save(loaded, run.plan, folder)
        about = ABOUT[run.weights].format(label=run.label)
        return Exported(run, task, run.weights, about, is_as_trained=True)


class WithBase(AsTrained):
    key = option = "offline"
    title, help = "Adapter with its base model", "as it was trained, the pretrained model beside it"

    def write_weights(self, export: Export, folder: Path, progress: Progress) -> Exported:
        return super().write_weights(export, folder, progress).with_base_beside


class Merged(_Weights):
    key = option = "merged"
    title, help = "Merged: one plain model", "one plain model"

    def write_weights(self, export: Export, folder: Path, progress: Progress) -> Exported:
        from cdvft_app.results.card import Exported
        from cdvft_app.results.weights import write_merged

        run = export.run
        loaded, model, task = _loaded(run, progress)
        write_merged(loaded, model, task, folder)
        about = ABOUT["merged"].format(label=run.label)
        return Exported(run, task, "whole", about, is_merged=True)


class Lora(_Weights):
    key = option = "lora"
    title, help = "LoRA adapter", "cut to LoRA"
    takes_rank = is_adapter = True

    def write_weights(self, export: Export, folder: Path, progress: Progress) -> Exported:
        from cdvft_app.results.card import Exported
        from cdvft_app.results.weights import write_lora
        from cdvft_app.tasks import saved
        from cdvft_app.training import trainable

        run = export.run
        loaded, model, task = _loaded(run, progress)
        trainable.name_base(model, task.base_model, task.revision)
        conversion = write_lora(model, export.rank, folder)
        saved.save(loaded, run.plan, folder)
        layer, least = min(conversion.layers.items(), key=lambda item: item[1])
        about = ABOUT_LORA.format(
            label=run.label, rank=conversion.rank, share=conversion.share, layer=layer, least=least
        )
        return Exported(run, task, run.weights, about)

    def settings(self, export: Export) -> RunSettings:
        own = export.run.plan.settings
        lora = METHODS["lora"].model_validate(
            {"r": export.rank, "alpha": export.rank, "learning_rate": own.method.learning_rate}
        )
        return own.model_copy(update={"method": lora})


class Script(Exporter):
    key = option = "script"
    title, help = "Training script", "a folder that trains a similar run without the app"

    def write(self, export: Export, folder: Path, progress: Progress) -> None:
        from cdvft_app.results.script import write_script

        write_script(export.run, folder, export.rows, progress)


EXPORTERS: Mapping[str, Exporter] = {
    one.key: one for one in (AsTrained(), WithBase(), Merged(), Lora(), Script())
}
AS_TRAINED = EXPORTERS["adapter"]


def file_name(run: FinishedRun, key: str) -> str:
    """Return tickets_cdvft_adapter.zip: race, method and format; with settings where a method comes twice."""
    twice = sum(one.method == run.record.method for one in run.race) > 1
    parts = (run.record.name, run.label if twice else run.record.method, key)
    return f"{'_'.join(filter(None, map(slug, parts)))}.zip"


def exporter(key: object) -> Exporter:
    """Return the exporter with this key.

    Raises:
        ResultsError: there is none.
    """
    if not isinstance(key, str) or key not in EXPORTERS:
        raise ResultsError(f"to: got {str(key)[:40]!r}; it is one of {', '.join(EXPORTERS)}.")
    return EXPORTERS[key]


@contextmanager
def atomic_output(out: Path) -> Iterator[Path]:
    """Give a path for a file or folder that becomes `out` at the end; raise `ResultsError` for the disk's."""
    if out.exists():
        raise ResultsError(f"{out} is already there; choose another place, or remove it first.")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".export-", dir=out.parent) as beside:
            made = Path(beside) / out.name
            yield made
            made.replace(out)
    except UserError:
        raise
    except Exception as error:
        if is_full(error):
            raise ResultsError(
                f"There is no room left for {out}. Nothing of it was kept; free some space and try again."
            ) from error
        if isinstance(error, OSError):
            raise ResultsError(f"{out} cannot be written: {error.strerror or error}.") from error
        raise
