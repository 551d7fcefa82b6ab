"""Inspect kept data: the task that it makes, its classes, lengths and split, and warnings."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from cdvft_app.catalog import uploaded_rows
from cdvft_app.catalog.entries import Kind
from cdvft_app.catalog.uploaded_rows import Division, divide, table
from cdvft_app.data.columns import (
    Column,
    Roles,
    columns_of,
    connect,
    guess,
    quoted,
)
from cdvft_app.data.faults import DataRefused, RowErrors
from cdvft_app.data.keep import ImportedTable, faults_of
from cdvft_app.data.lengths import Lengths, lengths_of
from cdvft_app.data.task import no_roles, task_of
from cdvft_app.data.warnings import warnings_of
from cdvft_app.data.written import choose_metric
from cdvft_app.settings import HELD_OUT, UploadedDataset

MIN_ROWS = 8
Task = Literal["classification", "regression", "generation", "none"]


@dataclass(frozen=True)
class Inspection:
    """`data` is what a run needs, None where nothing can be learned, and `problem` says why not.

    `classes` are (name, rows to train on, rows to evaluate on). `majority` is the share of evaluation rows
    that the commonest class has, None for a regression.
    """

    kept: ImportedTable
    columns: tuple[Column, ...]
    roles: Roles
    task: Task
    why: str
    faults: tuple[str, ...]
    notes: tuple[str, ...]
    left_out: int
    problem: str | None = None
    data: UploadedDataset | None = None
    classes: tuple[tuple[str, int, int], ...] = ()
    lengths: Lengths | None = None
    division: Division | None = None
    majority: tuple[str, float] | None = None
    warnings: tuple[str, ...] = ()

    @property
    def kind(self) -> Kind:
        """Of what is learned."""
        return "generation" if self.roles.is_generative else self.kept.kind


def inspect(
    kept: ImportedTable,
    title: str,
    *,
    inputs: Sequence[str] = (),
    label: str | None = None,
    is_generative: bool | None = None,
    evaluation: ImportedTable | None = None,
    evaluation_title: str = "",
    held_out: float = HELD_OUT,
    split_seed: int = 0,
) -> Inspection:
    """What would be learned from it, with `inputs`, `label` and `is_generative` as said, else as guessed.

    `inputs` and `label` are prompt and answer of a generative task, whose answer is written in words.
    Errors of rows are named with the title of the file they are in.

    Raises:
        DataRefused: a column that was said is not there.
    """
    columns = columns_of(kept)
    roles = roles_of(kept, inputs, label, is_generative)
    files = [(title, kept, faults_of(kept))]
    if evaluation:
        files.append((evaluation_title, evaluation, faults_of(evaluation)))
    unread = sum(faults.count for _, _, faults in files)
    looked = Inspection(kept, columns, roles, "none", "", _sentences(files), tuple(kept.notes), unread)
    if roles.label is None or not roles.inputs:
        return dataclasses.replace(looked, problem=no_roles(columns, roles))
    labels: tuple[str, ...] = ()
    metric = None
    if roles.is_generative:
        metric, why = choose_metric(kept, roles, columns)
        looked = dataclasses.replace(looked, task="generation", why=why)
    else:
        labels, why, problem = task_of(kept, columns, roles)
        looked = dataclasses.replace(looked, task="classification" if labels else "regression", why=why)
        if problem:
            return dataclasses.replace(looked, problem=problem)
    data = UploadedDataset(
        sha256=kept.sha256,
        evaluation_sha256=evaluation.sha256 if evaluation else None,
        title=title,
        kind=looked.kind,
        inputs=roles.inputs,
        label=roles.label,
        labels=labels,
        metric=metric,
        split=None if evaluation else roles.split,
        held_out=held_out,
        split_seed=split_seed,
        train_rows=1,
        evaluation_rows=1,
        mean_length=None,
        usual_length=None,
    )
    for _, one, faults in files:
        _lacking(one, data, faults)
    try:
        division = divide(data)
        if data.split and not len(division.evaluation):  # the column says nothing of evaluation
            data = data.model_copy(update={"split": None})
            roles = dataclasses.replace(roles, split=None)
            division = divide(data)
    except ValueError as error:
        raise DataRefused(str(error)) from None
    looked = dataclasses.replace(
        looked,
        roles=roles,
        division=division,
        faults=_sentences(files),
        left_out=unread + division.unusable,  # one that lacks two values is named for each, and is one row
    )
    if len(division.train) < MIN_ROWS or not len(division.evaluation):
        doubled = (
            f" {division.doubled:,} rows repeat the input of an earlier one." if division.doubled else ""
        )
        return dataclasses.replace(
            looked,
            problem=f"{len(division.train):,} rows are left to train on and {len(division.evaluation):,} to "
            f"evaluate on; at least {MIN_ROWS} and 1 are needed.{doubled}",
        )
    lengths = lengths_of(data, division) if data.kind != "image" else None
    data = data.model_copy(
        update={
            "train_rows": len(division.train),
            "evaluation_rows": len(division.evaluation),
            "mean_length": lengths.mean if lengths else None,
            "usual_length": lengths and (lengths.longest if data.metric else lengths.usual),
        }
    )
    classes = _classes(labels, division)
    looked = dataclasses.replace(
        looked, data=data, classes=classes, lengths=lengths, majority=_majority(classes)
    )
    return dataclasses.replace(looked, warnings=tuple(warnings_of(data, division, classes, lengths)))


def _sentences(files: Sequence[tuple[str, ImportedTable, RowErrors]]) -> tuple[str, ...]:
    return tuple(sentence for title, _, faults in files for sentence in faults.sentences(title))


def roles_of(
    kept: ImportedTable, inputs: Sequence[str], label: str | None, is_generative: bool | None = None
) -> Roles:
    """Which columns are what, as said or guessed; `DataRefused` where one that was said is not there."""
    if is_generative and kept.kind == "image":
        raise DataRefused("Pictures have no prompts; their classes can be learned.")
    columns = columns_of(kept)
    names = [column.name for column in columns]
    for name in (*inputs, *([label] if label else [])):
        if name not in names:
            raise DataRefused(f"There is no column “{name[:80]}”. The columns are {', '.join(names[:30])}.")
    if label and label in inputs:
        raise DataRefused(
            f"“{label}” cannot be both what is read and what is to be answered; choose two columns."
        )
    found = guess(kept, columns, is_generative)
    if label and not inputs and label in found.inputs:
        rest = [column for column in columns if column.name != label]
        found = dataclasses.replace(found, inputs=guess(kept, rest, found.is_generative).inputs)
    if inputs and not label and found.label in inputs:
        rest = [one for one in columns if one.name not in inputs]
        found = dataclasses.replace(found, label=guess(kept, rest, found.is_generative).label)
    return Roles(tuple(inputs) or found.inputs, label or found.label, found.split, found.is_generative)


def _lacking(kept: ImportedTable, data: UploadedDataset, faults: RowErrors) -> None:
    """Name the rows that lack what is to be read or told."""
    row = quoted(uploaded_rows.ROW)
    with connect(r=table(kept.sha256)) as connection:
        names = {column[0] for column in connection.execute("DESCRIBE r").fetchall()}
        for name in (*data.inputs, data.label):
            if name not in names:
                raise DataRefused(
                    f"The rows to evaluate on have no column “{name}”; name it as in the others."
                )
        for condition, what, advice, name in _conditions(data):
            values = {"labels": list(data.labels)} if "$labels" in condition else {}
            query = f"SELECT {row} FROM r WHERE {condition} LIMIT 100000"
            for (number,) in connection.execute(query, values).fetchall():
                faults.add(number, what, advice, name)


def _conditions(data: UploadedDataset) -> Iterator[tuple[str, str, str, str]]:
    """What makes a row useless, as SQL on the table r: a condition, what is wrong, what to do, the column."""
    values = {name: f"coalesce(trim(r.{quoted(name)}), '')" for name in (*data.inputs, data.label)}
    empty = "it is empty", "give it a value, or drop the row"
    if data.kind == "generation":  # a part of a prompt may be empty
        yield " AND ".join(f"{values[name]} = ''" for name in data.inputs), *empty, data.inputs[0]
    elif data.kind == "text":
        for name in data.inputs:
            yield f"{values[name]} = ''", *empty, name
    label = values[data.label]
    yield f"{label} = ''", *empty, data.label
    if data.labels:
        unknown = f"{label} <> '' AND NOT list_contains($labels, {label})"
        yield unknown, "no row to train on has this label", "check how it is written", data.label
    elif data.kind != "generation":
        finite = f"coalesce(isfinite(try_cast({label} AS DOUBLE)), false)"  # nan and inf are none to learn
        yield f"{label} <> '' AND NOT {finite}", "it is no number", "write one", data.label


def _classes(labels: Sequence[str], division: Division) -> tuple[tuple[str, int, int], ...]:
    if not labels:
        return ()
    train, evaluation = (
        np.bincount(numbers.astype(np.int64), minlength=len(labels)).tolist()
        for numbers in (division.train_labels, division.evaluation_labels)
    )
    return tuple(zip(labels, train, evaluation, strict=True))


def _majority(classes: Sequence[tuple[str, int, int]]) -> tuple[str, float] | None:
    """The class that is commonest in training, and its share of the evaluation rows."""
    if not classes:
        return None
    name, _, many = max(classes, key=lambda one: one[1])
    return name, many / sum(one[2] for one in classes)
