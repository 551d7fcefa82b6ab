"""Load a dataset's rows: texts, pairs of texts or images with labels, prompts with answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cdvft_app.catalog.download import Progress, ShouldStop, never, silent
from cdvft_app.catalog.entries import DatasetEntry

if TYPE_CHECKING:
    import numpy as np

ONE_HELD_OUT_IN = 5  # one row in so many is for evaluation, where the data has no split of its own for it
EVALUATION_SEED = 0  # evaluation rows are the same for every run, whatever its seed
VALIDATION_SEED = 1  # so are validation rows


@dataclass(frozen=True)
class Split:
    """Inputs and labels in the same order.

    Inputs are texts, pairs of texts, or images: PIL ones of any mode, decoded when asked for, or (H, W) uint8
    arrays. Labels are int64 class numbers, or float32 targets of a regression, or the answers as text.
    """

    inputs: Sequence[Any]
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Rows:
    """Rows to train and evaluate on.

    `labels` are the classes' names, empty for regression; `commit` is the hub's, where they came from there.
    """

    train: Split
    evaluation: Split
    labels: tuple[str, ...]
    commit: str | None


def load_rows(
    entry: DatasetEntry,
    *,
    train_examples: int,
    evaluation_examples: int,
    seed: int,
    validation: bool = False,
    progress: Progress = silent,
    should_stop: ShouldStop = never,
) -> Rows:
    """Rows of a dataset, drawn at random: training ones by `seed`, evaluation ones always the same.

    Where there are fewer rows than asked for, all are taken. Data without an evaluation split gives one row
    in `ONE_HELD_OUT_IN` to evaluation, always the same ones, and none of them is trained on. With
    `validation` one training row in `ONE_HELD_OUT_IN` stands in the place of evaluation rows, in the same
    way; the evaluation rows are then neither trained nor evaluated on.

    Raises:
        DownloadFailed: it could not be had or read; says why and what to do.
        DownloadStopped: `should_stop()` became true.
    """
    import numpy as np

    from cdvft_app.catalog.dataset_readers import read_dataset

    splits = read_dataset(entry, progress, should_stop)
    train, evaluation = splits.train, splits.evaluation or splits.train
    order = np.random.default_rng(EVALUATION_SEED).permutation(len(evaluation.labels))
    held_out = len(order) // ONE_HELD_OUT_IN
    if splits.evaluation is None:
        order, trainable = order[:held_out], order[held_out:]
    else:
        trainable = np.arange(len(train.labels))
    if validation:
        shuffled = np.random.default_rng(VALIDATION_SEED).permutation(trainable)
        held_out = len(shuffled) // ONE_HELD_OUT_IN
        evaluation, order, trainable = train, shuffled[:held_out], shuffled[held_out:]
    drawn = np.random.default_rng(seed).permutation(trainable)[:train_examples]
    kept = order[:evaluation_examples]
    return Rows(
        Split(train.select(drawn), train.labels[drawn]),
        Split(evaluation.select(kept), evaluation.labels[kept]),
        splits.labels,
        splits.commit,
    )
