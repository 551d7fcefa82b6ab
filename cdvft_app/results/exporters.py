"""The formats in which a finished run is taken home, listed in `EXPORTERS` for page, endpoint and commands.

A new format is a class here and its place in that list. What needs torch is imported where it is written.
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

from cdvft_app.catalog import mirror
from cdvft_app.errors import UserError
from cdvft_app.files import folder_bytes, is_full
from cdvft_app.format import amount
from cdvft_app.metrics import get_metric
from cdvft_app.progress import Progress, silent
from cdvft_app.results.finished_run import FinishedRun, ResultsError, load, losses, slug
from cdvft_app.store.runs import RunStore

if TYPE_CHECKING:
    from torch import nn

    from cdvft_app.catalog.dataset_readers import Rows
    from cdvft_app.results.card import Exported
    from cdvft_app.tasks.base import Task
    from cdvft_app.tasks.saved import TaskRecord

DEFAULT_RANK = 8
ZIP = ".zip"


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
    """A format of weights, written with a model card and all that is needed to load them."""

    @abstractmethod
    def write_weights(self, export: Export, folder: Path, progress: Progress) -> Exported:
        """Write them into the folder, and say what it holds then."""

    def write(self, export: Export, folder: Path, progress: Progress) -> None:
        from cdvft_app.judging.outcomes import judged_race
        from cdvft_app.results.card import CURVE, card, write_curve
        from cdvft_app.results.requirements import write_requirements
        from cdvft_app.results.weights import BASE, write_base
        from cdvft_app.store import predictions

        run, store = export.run, export.store
        folder.mkdir()
        exported = self.write_weights(export, folder, progress)
        if _needs_base_beside(run):
            exported = exported.with_base_beside
        base_bytes = 0
        if exported.weights != "whole" and exported.task.base_model is None:
            write_base(run.plan, folder / BASE, progress)
            base_bytes = folder_bytes(folder / BASE)
        write_requirements(
            run.plan.model.kind,
            folder,
            with_peft=exported.weights == "adapter",
            with_library=exported.needs_library,
            more=get_metric(run.plan.dataset.metric).packages,
        )
        title = f"{run.label}: loss, evaluations as circles"
        curve = write_curve(losses(store, run), run.colour, title, folder / CURVE)
        written = predictions.read_answers(store.folder(run.record.id))
        race = judged_race(store.group(run.record.group_id), store)
        told = card(exported, curve=curve, written=written, race=race, base_bytes=base_bytes)
        told.save(folder / "README.md")


def _needs_base_beside(run: FinishedRun) -> bool:
    """Return whether nobody else could fetch the base model of a run's adapter or head."""
    model = run.plan.model
    is_image_folder = model.kind == "image" and model.source == "local"  # timm loads no other folder
    return is_image_folder or model.base(None)[0] is None


def base_note(run: FinishedRun) -> str:
    """Return the sentence that a run's adapter comes with its base model; empty where it comes without.

    The size is that of the model's files, once they are here.
    """
    model = run.plan.model
    if run.weights == "whole" or not _needs_base_beside(run):
        return ""
    folder = Path(model.location) if model.source == "local" else mirror.prepared(model.location)
    size = f" ({amount('bytes', folder_bytes(folder))})" if folder else ""
    return f"An adapter of {model.title} comes with that base model{size}, which can be fetched nowhere else."


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
            saved.name_base_class(task, folder)  # earlier histories lack it
        else:  # recorded, or of a version that did not keep what a loader needs
            loaded, model, task = _loaded(run, progress)
            trainable.name_base(model, task.base_model, task.revision)
            trainable.save(model, folder)
            saved.save(loaded, run.plan, folder)
        kept = {
            "adapter": "An adapter" if task.head is None else "An adapter and a head",
            "head": "A head",
            "whole": "A whole model",
        }[run.weights]
        about = f"{kept}, trained with {run.label} by CDVFT Studio."
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
        about = f"A whole model: what {run.label} learned is merged into its weights."
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
        rank, share = conversion.rank, f"{100 * conversion.share:.1f} %"
        about = (
            f"A LoRA adapter of rank {rank}: of what {run.label} changed in each layer, the {rank} largest "
            f"singular values. They hold {share} of the change's energy, and {100 * least:.1f} % in "
            f"{layer}, which lost most. Its scores were not measured; those below are of the run itself."
        )
        return Exported(run, task, run.weights, about)


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
