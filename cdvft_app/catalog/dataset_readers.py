"""Read the labelled rows of a dataset, wherever they come from, and draw a run's rows from them.

Images are decoded only when asked for.

Entries of the catalogue say which columns they have. In the files of a hub id, columns, splits and labels are
found by their usual names and types.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cdvft_app import ASSETS
from cdvft_app.catalog.columns import IMAGE_NAMES, MAX_CLASSES, Roles, columns_of, guess_roles
from cdvft_app.catalog.conversations import is_conversation, joined, split_conversation
from cdvft_app.catalog.download import DownloadFailed, first_line
from cdvft_app.catalog.entries import MIN_VALIDATION, ONE_HELD_OUT_IN, DatasetEntry, Kind, wanted_validation
from cdvft_app.catalog.sources import files_of
from cdvft_app.catalog.uploaded import IMAGE, cleaned_file, cleaned_table, gone, is_kept, train_test_split
from cdvft_app.metrics import get_metric
from cdvft_app.metrics.fields import answer_lines
from cdvft_app.progress import Progress, ShouldStop, never, silent
from cdvft_app.settings import UploadedDataset

if TYPE_CHECKING:
    from datasets import Dataset

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
    `validation` rows are neither trained nor evaluated on; None: there are too few.
    """

    train: Split
    evaluation: Split
    labels: tuple[str, ...]
    commit: str | None
    validation: Split | None = None


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
    """Return rows of a dataset, drawn at random: training ones by `seed`, evaluation ones always the same.

    Where there are fewer rows than asked for, all are taken. Data without an evaluation split gives one row
    in `ONE_HELD_OUT_IN` to evaluation, always the same ones, and none of them is trained on. With
    `validation` one training row in `ONE_HELD_OUT_IN` stands in the place of evaluation rows, in the same
    way; the evaluation rows are then neither trained nor evaluated on.

    Training rows that were not drawn are the validation rows: as many as there are evaluation rows, at most
    `entries.MAX_VALIDATION`; with fewer than `MIN_VALIDATION` there are none.

    Raises:
        DownloadFailed: it could not be had or read; says why and what to do.
        DownloadStopped: `should_stop()` became true.
    """

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
    shuffled = np.random.default_rng(seed).permutation(trainable)
    unused = shuffled[train_examples:][: wanted_validation(evaluation_examples)]
    return Rows(
        train.of(shuffled[:train_examples]),
        evaluation.of(order[:evaluation_examples]),
        splits.labels,
        splits.commit,
        train.of(unused) if len(unused) >= MIN_VALIDATION else None,
    )


Select = Callable[[np.ndarray], Sequence[Any]]
EVALUATION_SPLITS = ("validation", "test", "dev", "valid", "val", "eval")
USUAL_SPLIT = "train"  # where there is none, the first one is trained on
SAMPLE = 10_000  # rows by which the columns of a dataset of the hub are told from each other


@dataclass(frozen=True)
class DatasetSplit:
    """A split: `select(places)` gives the inputs at these places, `labels` all labels or answers."""

    select: Select
    labels: np.ndarray

    def of(self, places: np.ndarray) -> Split:
        """Return the rows at these places."""
        return Split(self.select(places), self.labels[places])


@dataclass(frozen=True)
class DatasetSplits:
    """All rows of a dataset; `evaluation` is None where the data has one split only.

    `labels` are the classes' names, empty for regression and written answers; `commit` is the hub's.
    """

    train: DatasetSplit
    evaluation: DatasetSplit | None
    labels: tuple[str, ...]
    commit: str | None = None


def read_dataset(entry: DatasetEntry, progress: Progress, should_stop: ShouldStop) -> DatasetSplits:
    """Return all labelled rows of a dataset.

    Raises:
        DownloadFailed: it could not be had or read; says why and what to do.
        DownloadStopped: `should_stop()` became true.
    """
    if entry.source == "sklearn":
        return _read_digits(entry)
    if entry.source == "assets":
        return _read_answers(entry)
    if entry.uploaded:
        return _read_uploaded(entry, progress)
    source = files_of(entry, progress, should_stop)
    progress(None, f"Loading {entry.title}")
    if entry.source == "mirror":
        return MIRROR_READERS[entry.location](entry, source.folder)
    try:
        return read_hub_files(entry, source.folder, source.commit)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise DownloadFailed(f"{entry.title} could not be read: {first_line(error)[:400]}") from error


def _read_uploaded(entry: DatasetEntry, progress: Progress) -> DatasetSplits:
    assert entry.uploaded
    if not is_kept(entry.uploaded):
        raise DownloadFailed(gone(entry.title))
    progress(None, f"Reading {entry.title}")
    try:
        return read_uploaded(entry.uploaded)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DownloadFailed(f"{entry.title} could not be read: {str(error)[:400]}") from error


def _read_digits(entry: DatasetEntry) -> DatasetSplits:
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.round(digits.images * (255 / 16)).astype(np.uint8)  # (n, 8, 8), from 0..16
    return DatasetSplits(DatasetSplit(images.__getitem__, digits.target.astype(np.int64)), None, entry.labels)


def _read_mnist(entry: DatasetEntry, folder: Path) -> DatasetSplits:
    with np.load(folder / "mnist.npz", allow_pickle=False) as arrays:
        images, labels = arrays["images"], arrays["labels"].astype(np.int64)
    return DatasetSplits(DatasetSplit(images.__getitem__, labels), None, entry.labels)


def _read_reviews(entry: DatasetEntry, folder: Path) -> DatasetSplits:
    with (folder / "reviews.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    labels = np.array([int(row["label"]) for row in rows], dtype=np.int64)
    return DatasetSplits(
        DatasetSplit(lambda places: [rows[place]["text"] for place in places], labels), None, entry.labels
    )


def _read_answers(entry: DatasetEntry) -> DatasetSplits:
    lines = (ASSETS / entry.location / "rows.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    (prompt,) = entry.text_columns

    def answer(row: dict[str, str]) -> str:
        return row[entry.label_column] if entry.label_column else answer_lines(row, entry.fields)

    def labelled(split: str) -> DatasetSplit:
        of_split = [row for row in rows if row["split"] == split]
        answers = np.array([answer(row) for row in of_split], dtype=object)
        return DatasetSplit(lambda places: [of_split[place][prompt] for place in places], answers)

    return DatasetSplits(labelled(entry.train_split), labelled(entry.evaluation_split or "test"), ())


MIRROR_READERS: dict[str, Callable[[DatasetEntry, Path], DatasetSplits]] = {
    "rotten_tomatoes": _read_reviews,
    "mnist": _read_mnist,
}


def read_uploaded(uploaded: UploadedDataset) -> DatasetSplits:
    """Return rows to train and to evaluate on. ValueError says what is not as it must be."""
    split = train_test_split(uploaded)
    if not len(split.train) or not len(split.evaluation):
        raise ValueError("no rows are left to train on or to evaluate on.")
    other = uploaded.evaluation_sha256 or uploaded.sha256
    train_labels, evaluation_labels = split.train_labels, split.evaluation_labels
    if uploaded.kind == "generation":
        train_labels = _uploaded_answers(uploaded, uploaded.sha256, split.train)
        evaluation_labels = _uploaded_answers(uploaded, other, split.evaluation)
    return DatasetSplits(
        DatasetSplit(_select_uploaded(uploaded, uploaded.sha256, split.train), train_labels),
        DatasetSplit(_select_uploaded(uploaded, other, split.evaluation), evaluation_labels),
        uploaded.labels,
    )


def _uploaded_answers(uploaded: UploadedDataset, sha256: str, places: np.ndarray) -> np.ndarray:
    """Return the answers in these rows, as text."""
    column = cleaned_table(uploaded, sha256).column(uploaded.label).to_pylist()
    return np.array([column[place].strip() for place in places], dtype=object)


def _select_uploaded(uploaded: UploadedDataset, sha256: str, places: np.ndarray) -> Select:
    import datasets

    datasets.disable_progress_bars()
    rows = datasets.Dataset.from_file(str(cleaned_file(uploaded, sha256))).select(places)
    if uploaded.kind == "generation":
        return lambda chosen: [joined(row, *uploaded.inputs) for row in rows.select(chosen)]
    columns = (IMAGE,) if uploaded.kind == "image" else uploaded.inputs
    return _select(uploaded.kind, rows, columns, str.strip)


def read_hub_files(entry: DatasetEntry, folder: Path, commit: str | None) -> DatasetSplits:
    """Return rows of the files in a folder. ValueError says what is not as it must be."""
    train, evaluation = _splits(entry, folder)
    if entry.kind == "generation":
        return DatasetSplits(
            _answers(entry, train), _answers(entry, evaluation) if evaluation else None, (), commit
        )
    roles = _roles(entry, train)
    columns, label = roles.inputs, roles.label
    assert label
    names, to_numbers = _labels(entry, train, label)

    def labelled(split: Dataset) -> DatasetSplit:
        return DatasetSplit(_select(entry.kind, split, columns, _or_empty), to_numbers(split[label][:]))

    return DatasetSplits(
        labelled(train), labelled(evaluation) if evaluation is not None else None, names, commit
    )


def _answers(entry: DatasetEntry, split: Dataset) -> DatasetSplit:
    """Return prompts and their answers; prompts are read when they are asked for, answers all at once."""
    talks = next((name for name, value in split[0].items() if is_conversation(value)), None)
    if talks and not entry.text_columns:

        def read(row: dict[str, Any]) -> tuple[str, str]:
            try:
                return split_conversation(row[talks])
            except ValueError as error:
                raise ValueError(f"a conversation in column {talks}: {error}.") from None

    else:
        roles = _roles(entry, split)

        def read(row: dict[str, Any]) -> tuple[str, str]:
            return joined(row, *roles.inputs), joined(row, roles.label or "")

    answers = np.empty(len(split), dtype=object)
    answers[:] = [read(row)[1] for row in split]
    return DatasetSplit(lambda places: [read(split[int(place)])[0] for place in places], answers)


def _roles(entry: DatasetEntry, split: Dataset) -> Roles:
    """Return the columns that the entry names; those that it does not name are guessed.

    Raises:
        ValueError: which columns there are, and what is lacking.
    """
    names = split.column_names
    lacking = {*entry.text_columns, *filter(None, [entry.label_column])} - {*names}
    if lacking:
        raise ValueError(f"its columns are {', '.join(names)}; there is no {', '.join(sorted(lacking))}.")
    if entry.text_columns and entry.label_column:
        return Roles(entry.text_columns, entry.label_column, None, entry.kind == "generation")
    pictures = next((name for name in IMAGE_NAMES if name in names), None)
    if (entry.kind == "image") != (pictures is not None):
        raise ValueError(f"its columns are {', '.join(names)}; {_NEEDED[entry.kind]}.")
    places = np.random.default_rng(0).permutation(len(split))[:SAMPLE]
    drawn = split.select_columns([name for name in names if name != pictures]).select(np.sort(places))
    rows = drawn.with_format("arrow")[:]
    found = guess_roles(columns_of(rows, rows.column_names), rows.num_rows, pictures=pictures)
    found = replace(found, inputs=entry.text_columns or found.inputs, label=entry.label_column or found.label)
    if not found.inputs or not found.label or found.is_generative != (entry.kind == "generation"):
        asked = f" {found.question}" if found.question else ""
        raise ValueError(f"its columns are {', '.join(names)}; {_NEEDED[entry.kind]}.{asked}")
    return found


_NEEDED: dict[Kind, str] = {
    "text": "one must hold texts, such as text, or two of them pairs, and one a label",
    "image": "one must hold images and be named image, and one a label",
    "generation": "prompts and answers must be in messages, or in columns such as prompt and answer",
}


def _splits(entry: DatasetEntry, folder: Path) -> tuple[Dataset, Dataset | None]:
    """Return the rows to train on, and those to evaluate on where there are any."""
    import datasets
    import datasets.exceptions

    datasets.disable_progress_bars()
    try:
        if entry.files:
            names = [name for name in (entry.train_split, entry.evaluation_split) if name]
            files = {name: sorted(map(str, folder.glob(entry.files.format(split=name)))) for name in names}
            found = datasets.load_dataset("parquet", data_files=files)
        else:
            found = datasets.load_dataset(str(folder), name=entry.config)
    except datasets.exceptions.DatasetsError as error:
        raise ValueError(str(error.__cause__ or error)) from error
    for name in (entry.train_split, entry.evaluation_split):
        if name not in (None, USUAL_SPLIT) and name not in found:
            raise ValueError(f"it has no split {name!r}; its splits are {', '.join(found)}.")
    train = entry.train_split if entry.train_split in found else next(iter(found))
    usual = (entry.evaluation_split,) if entry.evaluation_split else EVALUATION_SPLITS
    evaluation = next((name for name in usual if name in found and name != train), None)
    return found[train], found[evaluation] if evaluation else None


def _labels(
    entry: DatasetEntry, split: Dataset, column: str
) -> tuple[tuple[str, ...], Callable[[Sequence[Any]], np.ndarray]]:
    """Return names of the classes, and a function from a column's values to class numbers (or targets)."""
    import datasets

    if get_metric(entry.metric).regression:
        return (), lambda values: np.asarray(values, dtype=np.float32)
    feature, values = split.features[column], split[column][:]
    if isinstance(feature, datasets.ClassLabel):
        names = entry.labels if len(entry.labels) == feature.num_classes else tuple(feature.names)
        numbers = {number: number for number in range(len(names))}
    elif all(isinstance(value, (str, bool, int)) for value in values):
        distinct = sorted(set(values))
        if len(distinct) > MAX_CLASSES:
            raise ValueError(
                f"column {column} has {len(distinct)} different labels; at most {MAX_CLASSES} can be."
            )
        names = tuple(map(str, distinct))
        numbers = {value: number for number, value in enumerate(distinct)}
    else:
        odd = next(value for value in values if not isinstance(value, (str, bool, int)))
        held = "rows without a label" if odd is None else type(odd).__name__
        raise ValueError(f"column {column} holds {held}; labels must be text or whole numbers.")

    def to_numbers(values: Sequence[Any]) -> np.ndarray:
        unknown = next((value for value in values if value not in numbers), None)
        if unknown is not None or None in values:
            raise ValueError(
                f"column {column} holds {unknown!r}, which is none of the labels {', '.join(names[:20])}."
            )
        return np.array([numbers[value] for value in values], dtype=np.int64)

    return names, to_numbers


def _or_empty(text: str | None) -> str:
    return text or ""


def _select(kind: Kind, rows: Dataset, columns: Sequence[str], text_of: Callable[[Any], str]) -> Select:
    """Return a function from places to the inputs in those rows; `text_of` turns a value into text."""
    import datasets

    if kind == "image":
        images = rows.cast_column(columns[0], datasets.Image())
        return lambda places: images.select(places)[columns[0]]  # a column that decodes what is looked at
    if len(columns) == 1:
        return lambda places: [text_of(one) for one in rows.select(places)[columns[0]]]

    def pairs(places: np.ndarray) -> list[tuple[str, str]]:
        first, second = (rows.select(places)[name] for name in columns)
        return [(text_of(one), text_of(two)) for one, two in zip(first, second, strict=True)]

    return pairs
