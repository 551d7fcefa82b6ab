"""Read rows of files in any layout that the datasets library reads without running code.

Entries of the catalogue say which columns they have. In data that nobody described, columns, splits and
labels are found by their usual names and types.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import datasets
import datasets.exceptions
import numpy as np

from cdvft_app.catalog.conversations import reader
from cdvft_app.catalog.entries import DatasetEntry
from cdvft_app.catalog.pool import Pool, Pools
from cdvft_app.metrics import get_metric

# Usual names, the first that is there counts.
TEXT_COLUMNS = (
    ("sentence1", "sentence2"),
    ("premise", "hypothesis"),
    ("question", "sentence"),
    ("text",),
    ("sentence",),
    ("content",),
    ("review",),
)
IMAGE_COLUMNS = (("image",), ("img",))
LABEL_COLUMNS = ("label", "labels", "fine_label", "target", "category", "class")
EVALUATION_SPLITS = ("validation", "test", "dev", "valid", "val", "eval")
USUAL_SPLIT = "train"  # where there is none, the first one is trained on
MOST_CLASSES = 1000


def read_tables(entry: DatasetEntry, folder: Path, commit: str | None) -> Pools:
    """Rows of the files in a folder. ValueError says what is not as it must be."""
    train, evaluation = _splits(entry, folder)
    if entry.kind == "generation":
        return Pools(_answers(entry, train), _answers(entry, evaluation) if evaluation else None, (), commit)
    columns = _input_columns(entry, train)
    label = _label_column(entry, train)
    names, to_numbers = _labels(entry, train, label)

    def pool(split: datasets.Dataset) -> Pool:
        return Pool(_taker(entry, split, columns), to_numbers(split[label][:]))

    return Pools(pool(train), pool(evaluation) if evaluation is not None else None, names, commit)


def _answers(entry: DatasetEntry, split: datasets.Dataset) -> Pool:
    """Prompts and their answers; prompts are read when they are asked for, answers all at once."""
    pair = (entry.text_columns[0], entry.label_column) if entry.text_columns and entry.label_column else None
    read = reader(split.column_names, pair)
    answers = np.empty(len(split), dtype=object)
    answers[:] = [read(row)[1] for row in split]
    return Pool(lambda places: [read(split[int(place)])[0] for place in places], answers)


def _splits(entry: DatasetEntry, folder: Path) -> tuple[datasets.Dataset, datasets.Dataset | None]:
    """The rows to train on, and those to evaluate on where there are any."""
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


def _input_columns(entry: DatasetEntry, split: datasets.Dataset) -> tuple[str, ...]:
    usual = TEXT_COLUMNS if entry.kind == "text" else IMAGE_COLUMNS
    wanted = (entry.text_columns,) if entry.text_columns else usual
    for names in wanted:
        if set(names) <= set(split.column_names):
            return names
    raise ValueError(
        f"its columns are {', '.join(split.column_names)}; "
        f"the {entry.kind} must be in {' or '.join(' and '.join(names) for names in wanted)}."
    )


def _label_column(entry: DatasetEntry, split: datasets.Dataset) -> str:
    wanted = (entry.label_column,) if entry.label_column else LABEL_COLUMNS
    for name in wanted:
        if name in split.column_names:
            return name
    raise ValueError(
        f"its columns are {', '.join(split.column_names)}; the label must be in {' or '.join(wanted)}."
    )


def _labels(
    entry: DatasetEntry, split: datasets.Dataset, column: str
) -> tuple[tuple[str, ...], Callable[[Sequence[Any]], np.ndarray]]:
    """Names of the classes, and a function from a column's values to class numbers (or targets)."""
    if get_metric(entry.metric).regression:
        return (), lambda values: np.asarray(values, dtype=np.float32)
    feature, values = split.features[column], split[column][:]
    if isinstance(feature, datasets.ClassLabel):
        names = entry.labels if len(entry.labels) == feature.num_classes else tuple(feature.names)
        table = {number: number for number in range(len(names))}
    elif all(isinstance(value, (str, bool, int)) for value in values):
        distinct = sorted(set(values))
        if len(distinct) > MOST_CLASSES:
            raise ValueError(
                f"column {column} has {len(distinct)} different labels; at most {MOST_CLASSES} can be."
            )
        names = tuple(map(str, distinct))
        table = {value: number for number, value in enumerate(distinct)}
    else:
        raise ValueError(
            f"column {column} holds {type(values[0]).__name__}; labels must be text or whole numbers."
        )

    def to_numbers(values: Sequence[Any]) -> np.ndarray:
        unknown = next((value for value in values if value not in table), None)
        if unknown is not None or None in values:
            raise ValueError(
                f"column {column} holds {unknown!r}, which is none of the labels {', '.join(names[:20])}."
            )
        return np.array([table[value] for value in values], dtype=np.int64)

    return names, to_numbers


def _taker(
    entry: DatasetEntry, split: datasets.Dataset, columns: tuple[str, ...]
) -> Callable[[np.ndarray], Sequence[Any]]:
    if entry.kind == "image":
        images = split.cast_column(columns[0], datasets.Image())
        return lambda places: images.select(places)[columns[0]]  # a column that decodes what is looked at
    if len(columns) == 1:
        return lambda places: [text or "" for text in split.select(places)[columns[0]]]

    def pairs(places: np.ndarray) -> list[tuple[str, str]]:
        first, second = (split.select(places)[name] for name in columns)
        return [(one or "", two or "") for one, two in zip(first, second, strict=True)]

    return pairs
