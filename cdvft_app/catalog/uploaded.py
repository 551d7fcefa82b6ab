"""An uploaded dataset: its entry of the catalogue, and its Arrow table, mended by its steps, and split so
that no input is both trained and evaluated on.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cdvft_app.catalog import cleaning
from cdvft_app.catalog.columns import as_number, inputs_of, lacks_input, texts
from cdvft_app.catalog.entries import MIN_VALIDATION, DatasetEntry, Recipe, wanted_validation
from cdvft_app.settings import UploadedDataset
from cdvft_app.settings.environment import data_folder

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

ROWS = "rows.arrow"
MAX_EPOCHS = 10
MAX_LENGTH = {"text": 256, "generation": 512}  # tokens, unless somebody asks for more


def folder(uploaded: UploadedDataset) -> Path:
    """Return the folder of the dataset's rows and of what was computed from them; deleted with it."""
    return data_folder() / uploaded.sha256


def is_kept(uploaded: UploadedDataset) -> bool:
    """Return whether the dataset's rows are still here."""
    return all((data_folder() / sha256 / ROWS).is_file() for sha256 in uploaded.files)


def gone(title: str) -> str:
    """Return the sentence for a dataset that was deleted."""
    return f"“{title}” has been deleted here, so nothing can be trained on it. Give it again."


def entry(uploaded: UploadedDataset) -> DatasetEntry:
    """Return the catalogue entry of an uploaded dataset."""
    return DatasetEntry(
        key=f"own-{uploaded.sha256[:12]}",
        title=uploaded.title,
        kind=uploaded.kind,
        source="own",
        location=uploaded.sha256,
        text_columns=uploaded.inputs[:1]
        if uploaded.kind == "generation"
        else uploaded.inputs,  # its parts are one text
        label_column=uploaded.label,
        labels=uploaded.labels,
        metric=uploaded.metric or ("accuracy" if uploaded.labels else "pearson"),
        evaluation_split="evaluation",
        licence="your own data; whether it may be passed on you know",
        examples=uploaded.train_rows,
        mean_tokens=uploaded.mean_length,
        uploaded=uploaded,
    )


def starting_values(uploaded: UploadedDataset, recipe: Recipe) -> dict[str, float | int]:
    """Return values of empty fields: the recipe's, with as many steps as it was measured with.

    19 of 20 texts fit into its `max_length`, a multiple of 16.
    """
    examples = min(recipe.train_examples, uploaded.train_rows)
    epochs = recipe.epochs * recipe.train_examples / examples
    values: dict[str, float | int] = {
        "epochs": float(round(min(max(epochs, recipe.epochs), MAX_EPOCHS))),
        "evaluation_examples": min(recipe.evaluation_examples, uploaded.evaluation_rows),
    }
    if uploaded.usual_length and recipe.max_length:
        values["max_length"] = min(max(-(-uploaded.usual_length // 16) * 16, 16), MAX_LENGTH[uploaded.kind])
    return values


MIN_TRAIN_ROWS = 240
"""About 300 rows with those for evaluation: of fewer none is spared to choose the step that is kept."""


def spared(uploaded: UploadedDataset, evaluation_examples: int) -> int:
    """Return how many training rows choose the step that is kept instead: one in ten, within limits, or 0."""
    if uploaded.train_rows < MIN_TRAIN_ROWS:
        return 0
    return min(wanted_validation(evaluation_examples), max(MIN_VALIDATION, uploaded.train_rows // 10))


ROW = "__row__"  # the column with a row's place in the uploaded file
IMAGE = "image"  # the column of images
CLEANED, MAX_CLEANED = "cleaned-", 3  # files of one dataset's mended rows
BATCH = 10_000
DONE = b"done"  # of the schema's metadata
TRAINING_NAMES = ("train", "training")
EVALUATION_NAMES = ("test", "testing", "validation", "valid", "val", "dev", "eval", "evaluation")


@dataclass(frozen=True)
class TrainTestSplit:
    """Places of rows in the table: to train on, and to evaluate on, which may be in the second one.

    `unusable` lack an input or a label; `duplicates` are rows whose input came before; `dropped` are those
    that are not trained on because their input is evaluated on.
    """

    train: np.ndarray
    evaluation: np.ndarray
    train_labels: np.ndarray
    evaluation_labels: np.ndarray
    unusable: int
    duplicates: int
    dropped: int


def kept_table(sha256: str) -> pa.Table:
    """Return the kept rows, mapped into memory and not read. FileNotFoundError where they are gone."""
    import pyarrow as pa

    return pa.ipc.open_stream(pa.memory_map(str(data_folder() / sha256 / ROWS))).read_all()


def cleaned_file(uploaded: UploadedDataset, sha256: str) -> Path:
    """Return the file of rows as they are learned from: those that were kept, or cleaned by its steps.

    Mended rows lie beside the others, the latest few of them, and are made where they are not there.
    """
    file = data_folder() / sha256 / ROWS
    if not uploaded.clean:
        return file
    is_evaluation = sha256 == uploaded.evaluation_sha256
    about = [uploaded.inputs, uploaded.label, uploaded.kind, uploaded.split, uploaded.clean]
    about += [uploaded.labels, "evaluation"] if is_evaluation else []
    place = file.with_name(f"{CLEANED}{hashlib.sha256(json.dumps(about).encode()).hexdigest()[:24]}.arrow")
    if not place.is_file():
        rows = kept_table(sha256)
        require_columns(uploaded, rows)
        columns = cleaning.CleanedColumns(uploaded.inputs, uploaded.label, uploaded.kind)
        if is_evaluation:
            rows = cleaning.mend(rows, columns, uploaded.clean, uploaded.labels)
        else:
            rows, done = cleaning.clean(rows, columns, uploaded.clean, apart(rows, uploaded.split))
            rows = rows.replace_schema_metadata({DONE: json.dumps([asdict(one) for one in done])})
        _write(rows, place)
    return place


def steps_done(rows: pa.Table) -> tuple[cleaning.StepEffect, ...]:
    """Return the effects of the cleaning steps that made these rows."""
    kept = json.loads((rows.schema.metadata or {}).get(DONE, b"[]"))
    return tuple(
        cleaning.StepEffect(one["step"], tuple(one["rows"]), tuple(one["labels"]), one["changed"])
        for one in kept
    )


def apart(rows: pa.Table, split: str | None) -> list[bool] | None:
    """Return, for each row, whether the column `split` says it is for evaluation; None without a column."""
    if not split:
        return None
    return [(one or "").strip().lower() in EVALUATION_NAMES for one in rows.column(split).to_pylist()]


def _write(rows: pa.Table, place: Path) -> None:
    import pyarrow as pa

    part = place.with_name(f".{place.name}.{secrets.token_hex(4)}")
    with pa.OSFile(str(part), "wb") as file, pa.ipc.new_stream(file, rows.schema) as writer:
        writer.write_table(rows, max_chunksize=BATCH)
    part.replace(place)
    with suppress(FileNotFoundError):  # others remove the oldest, too
        others = sorted(place.parent.glob(f"{CLEANED}*.arrow"), key=lambda one: one.stat().st_mtime)
        for old in others[:-MAX_CLEANED]:
            old.unlink(missing_ok=True)


def cleaned_table(uploaded: UploadedDataset, sha256: str) -> pa.Table:
    """Return the cleaned rows, mapped into memory and not read; FileNotFoundError where they are gone."""
    import pyarrow as pa

    return pa.ipc.open_stream(pa.memory_map(str(cleaned_file(uploaded, sha256)))).read_all()


def require_columns(uploaded: UploadedDataset, rows: pa.Table) -> None:
    """Raise ValueError where the rows lack one of the dataset's columns."""
    wanted = {*uploaded.inputs, uploaded.label, *([uploaded.split] if uploaded.split else [])}
    if lacking := wanted - {*rows.column_names}:
        raise ValueError(f"its columns are {', '.join(rows.column_names[1:])}; there is no {lacking.pop()}.")


def train_test_split(uploaded: UploadedDataset) -> TrainTestSplit:
    """Split the rows into those to train on and those to evaluate on, the same way every time.

    Where a share is held out it is drawn within each class, from rows of different inputs, and no row with
    an input that is evaluated on is trained on.
    """
    import numpy as np

    hashes, labels, sides = _columns(uploaded, uploaded.sha256)
    usable = ~np.isnan(labels)
    unusable = int((~usable).sum())
    places = np.flatnonzero(usable)
    first = np.zeros(len(hashes), bool)
    first[places[np.unique(hashes[places], return_index=True)[1]]] = True
    if uploaded.evaluation_sha256:
        other_hashes, other_labels, _ = _columns(uploaded, uploaded.evaluation_sha256)
        evaluation = np.flatnonzero(~np.isnan(other_labels))
        unusable += int(np.isnan(other_labels).sum())
        evaluation_hashes, evaluation_labels = other_hashes[evaluation], other_labels[evaluation]
    elif uploaded.split:
        evaluation = np.flatnonzero(usable & sides)
        evaluation_hashes, evaluation_labels = hashes[evaluation], labels[evaluation]
    else:
        evaluation = _held_out(np.flatnonzero(first), labels, uploaded)
        evaluation_hashes, evaluation_labels = hashes[evaluation], labels[evaluation]
    candidates = places if uploaded.evaluation_sha256 else places[~sides[places]]
    seen = np.isin(hashes[candidates], evaluation_hashes)
    if (
        not uploaded.split and not uploaded.evaluation_sha256
    ):  # rows that are evaluated on were drawn out of these
        dropped = int(seen.sum()) - len(evaluation)
    else:
        dropped = int(seen.sum())
    train = candidates[~seen]
    kind = np.int64 if uploaded.labels else np.float32
    return TrainTestSplit(
        train,
        evaluation,
        labels[train].astype(kind),
        evaluation_labels.astype(kind),
        unusable,
        len(places) - int(first.sum()),
        dropped,
    )


def _columns(uploaded: UploadedDataset, sha256: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a hash of each row's input, its target, and whether it is of the evaluation split.

    The hash ignores case and punctuation. The target is a class, a number, or 0 for generated text, and nan
    if it or the input is missing.
    """
    import numpy as np

    rows = cleaned_table(uploaded, sha256)
    require_columns(uploaded, rows)
    count = rows.num_rows
    numbers = dict(zip(uploaded.labels, map(float, range(len(uploaded.labels))), strict=True))

    def target(label: str) -> float:
        if uploaded.labels:
            return numbers.get(label, np.nan)
        if uploaded.kind == "generation":
            return 0.0 if label else np.nan
        return as_number(label)

    hashes, targets = np.zeros(count, np.int64), np.full(count, np.nan)
    labels = texts(rows.column(uploaded.label))
    every = inputs_of(rows, uploaded.inputs, uploaded.kind)
    for place, (inputs, label) in enumerate(zip(every, labels, strict=True)):
        if not lacks_input(inputs, uploaded.kind):
            hashes[place], targets[place] = hash(tuple(map(_plain, inputs))), target(label)
    if not uploaded.split:
        return hashes, targets, np.zeros(count, bool)
    sides = (one.lower() in EVALUATION_NAMES for one in texts(rows.column(uploaded.split)))
    return hashes, targets, np.fromiter(sides, bool, count)


_WORD = re.compile(r"\w+")


def _plain(value: str | bytes) -> str | bytes:
    """Return a text without case, punctuation, and repeated spaces, so that near-duplicates are equal."""
    return (" ".join(_WORD.findall(value.casefold())) or value) if isinstance(value, str) else value


def _held_out(places: np.ndarray, labels: np.ndarray, uploaded: UploadedDataset) -> np.ndarray:
    """Return the share `uploaded.held_out` of these places, of each class by itself; of two at least one."""
    import numpy as np

    random = np.random.default_rng(uploaded.split_seed)
    kept = []
    for value in range(len(uploaded.labels)) if uploaded.labels else [None]:
        of_class = places if value is None else places[labels[places] == value]
        count = round(uploaded.held_out * len(of_class)) or min(len(of_class) // 2, 1)
        kept.append(random.permutation(of_class)[:count])
    return np.sort(np.concatenate(kept))
