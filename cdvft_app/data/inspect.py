"""Inspect an imported table: its task, classes, lengths, split, issues, and warnings."""

from __future__ import annotations

import dataclasses
import functools
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from cdvft_app.catalog import cleaning, get_recipe, offline, uploaded
from cdvft_app.catalog.columns import (
    MAX_CLASSES,
    MAX_NUMBERS,
    Column,
    Roles,
    WrittenNumbers,
    as_number,
    guess_roles,
    inputs_of,
    lacks_input,
    odd_among_numbers,
    texts,
    written_numbers,
)
from cdvft_app.catalog.columns import columns_of as columns_of_table
from cdvft_app.catalog.conversations import joined
from cdvft_app.catalog.entries import Kind, Recipe
from cdvft_app.catalog.uploaded import (
    MAX_LENGTH,
    TrainTestSplit,
    cleaned_table,
    kept_table,
    starting_values,
    steps_done,
    train_test_split,
)
from cdvft_app.data.imported_table import ImportedTable, columns_of
from cdvft_app.data.row_errors import Finding
from cdvft_app.data.source import DataRefused
from cdvft_app.format import counted
from cdvft_app.metrics.accuracy import CommonestClass, commonest_class
from cdvft_app.settings import HELD_OUT, UploadedDataset

if TYPE_CHECKING:
    import pyarrow as pa

MIN_ROWS = 8
Task = Literal["classification", "regression", "generation", "none"]


@dataclass(frozen=True)
class Inspection:
    """The result of `inspect`.

    Attributes:
        data: what a run needs; None if no run can use the table, and `problem` says why.
        faults: rows that are skipped, by reason; `left_out` counts them.
        classes: (name, training rows, evaluation rows).
        majority: the score of always predicting the most common class; None for a regression.
        clean, cleaned: the cleaning steps, and what they did.
        automatic: the steps of `clean` that were added without a request.
    """

    kept: ImportedTable
    columns: tuple[Column, ...]
    roles: Roles
    task: Task
    why: str
    faults: tuple[Finding, ...]
    notes: tuple[str, ...]
    left_out: int
    problem: str | None = None
    data: UploadedDataset | None = None
    classes: tuple[tuple[str, int, int], ...] = ()
    lengths: Lengths | None = None
    split: TrainTestSplit | None = None
    majority: CommonestClass | None = None
    warnings: tuple[Finding, ...] = ()
    clean: tuple[str, ...] = ()
    cleaned: tuple[str, ...] = ()
    automatic: tuple[str, ...] = ()

    @property
    def kind(self) -> Kind:
        """The kind of the task."""
        return "generation" if self.roles.is_generative else self.kept.kind


def inspect(
    kept: ImportedTable,
    title: str,
    roles: Roles | None = None,
    *,
    evaluation: ImportedTable | None = None,
    evaluation_title: str = "",
    held_out: float = HELD_OUT,
    split_seed: int = 0,
    clean: Sequence[str] = (),
) -> Inspection:
    """Return what a run would learn from the table.

    Args:
        kept: the table.
        title: its name in sentences.
        roles: of `roles_of`; None: as guessed.
        evaluation, evaluation_title: a table to evaluate on, and its name.
        held_out, split_seed: the share that is held out otherwise, and the seed of the split.
        clean: cleaning steps. Labels such as 1.234,50 € are parsed without one if it is clear how.

    Raises:
        DataRefused: the evaluation table lacks a column.
    """
    roles = roles or roles_of(kept)
    files = [(title, kept, kept.row_errors)]
    if evaluation:
        files.append((evaluation_title, evaluation, evaluation.row_errors))
    unread = sum(errors.count for _, _, errors in files)

    def issues() -> tuple[Finding, ...]:
        return tuple(one for name, _, errors in files for one in errors.sentences(name))

    columns = columns_of(kept)
    found = Inspection(kept, columns, roles, "none", "", issues(), tuple(kept.notes), unread)
    if roles.label is None or not roles.inputs:
        return dataclasses.replace(found, clean=tuple(clean), problem=no_roles(columns, roles))
    has_numbers = kept.kind == "text" and not roles.is_generative
    written = written_numbers(kept_table(kept.sha256), roles.label) if has_numbers else None
    automatic: tuple[str, ...] = (
        written.steps if written and len(written.steps) == 1 and not written.is_mixed else ()
    )
    if not any(step.startswith("numbers:") for step in clean) and len(clean) < cleaning.MAX_STEPS:
        clean = (*automatic, *clean)
    automatic = tuple(step for step in automatic if step in clean)
    found = dataclasses.replace(found, clean=tuple(clean), automatic=automatic)
    data = UploadedDataset(
        sha256=kept.sha256,
        evaluation_sha256=evaluation.sha256 if evaluation else None,
        title=title,
        kind=found.kind,
        inputs=roles.inputs,
        label=roles.label,
        labels=(),
        metric="exact_match" if roles.is_generative else None,
        split=None if evaluation else roles.split,
        held_out=held_out,
        split_seed=split_seed,
        clean=tuple(clean),
        train_rows=1,
        evaluation_rows=1,
        mean_length=None,
        usual_length=None,
        label_mean=None,
        label_deviation=None,
    )
    rows = cleaned_table(data, kept.sha256)
    if clean:
        columns = columns_of_table(rows, kept.columns, uploaded.IMAGE if kept.kind == "image" else None)
        found = dataclasses.replace(found, columns=columns)
    label = next(one for one in columns if one.name == roles.label)
    if roles.is_generative:
        metric, why = choose_metric(rows, label)
        found = dataclasses.replace(found, task="generation", why=why)
        data = data.model_copy(update={"metric": metric})
    else:
        labels, why, problem = task_of(rows, kept.kind, label)
        task: Task = "classification" if labels else "regression"
        found = dataclasses.replace(found, task=task, why=why, cleaned=_cleaned(rows, data))
        if problem:
            return dataclasses.replace(found, problem=problem, warnings=_number_steps(rows, label.name))
        data = data.model_copy(update={"labels": labels})
    for _, table, errors in files:
        _add_unusable(table, data, errors.add)
    try:
        split = train_test_split(data)
        if data.split and not len(split.evaluation):  # the column does not name evaluation rows
            data = data.model_copy(update={"split": None})
            roles = dataclasses.replace(roles, split=None)
            split = train_test_split(data)
    except ValueError as error:
        raise DataRefused(str(error)) from None
    found = dataclasses.replace(
        found,
        roles=roles,
        split=split,
        faults=issues(),
        left_out=unread + split.unusable,  # a row that lacks two values is one row
        cleaned=_cleaned(rows, data),
    )
    if len(split.train) < MIN_ROWS or not len(split.evaluation):
        left = counted(len(split.train), "row")
        repeat = "repeats" if split.duplicates == 1 else "repeat"
        repeated = f" {counted(split.duplicates, 'row')} {repeat} the input of an earlier one."
        problem = (
            f"{left} {'is' if len(split.train) == 1 else 'are'} left to train on and "
            f"{len(split.evaluation):,} to evaluate on; at least {MIN_ROWS} and 1 are needed."
        )
        return dataclasses.replace(found, problem=problem + (repeated if split.duplicates else ""))
    lengths = lengths_of(data, split) if data.kind != "image" else None
    numbers = split.train_labels.astype(np.float64) if found.task == "regression" else np.zeros(1)
    deviation = float(numbers.std()) or None
    data = data.model_copy(
        update={
            "train_rows": len(split.train),
            "evaluation_rows": len(split.evaluation),
            "mean_length": lengths and lengths.mean,
            "usual_length": lengths and (lengths.longest if data.metric else lengths.p95),
            "label_mean": float(numbers.mean()) if deviation else None,
            "label_deviation": deviation,
        }
    )
    sides = (split.train_labels, split.evaluation_labels)
    counts = [np.bincount(one.astype(np.int64), minlength=len(data.labels)) for one in sides if data.labels]
    classes = tuple(zip(data.labels, *(one.tolist() for one in counts), strict=True)) if counts else ()
    warnings = list(warnings_of(data, split, classes, lengths))
    if automatic and written:
        parsed = (
            f"“{label.name}” holds numbers such as {written.example}: they are read as numbers, the "
            f"{written.mark} before their decimals."
        )
        warnings = [Finding(parsed, label.name), *warnings]
    return dataclasses.replace(
        found,
        data=data,
        classes=classes,
        lengths=lengths,
        majority=commonest_class(*zip(*classes, strict=True)) if classes else None,
        warnings=tuple(warnings),
    )


def _cleaned(rows: pa.Table, data: UploadedDataset) -> tuple[str, ...]:
    """Return the effect of each step, and which rows of the evaluation set they apply to."""
    if not data.clean:
        return ()
    if data.evaluation_sha256 or data.split:
        applied = (
            "The same steps change texts and labels of the evaluation set. They skip none of its rows, "
            "except those of a dropped class."
        )
    else:
        applied = "The evaluation set is drawn from the cleaned rows."
    return (*(one.sentence for one in steps_done(rows)), applied)


def _number_steps(rows: pa.Table, label: str) -> tuple[Finding, ...]:
    """Return the steps that parse labels which can be read in two ways."""
    written = written_numbers(rows, label)
    if written is None or len(written.steps) < 2:
        return ()
    what = f"“{label}” holds numbers such as {written.example}, which can be read in two ways."
    return (Finding(what, label, steps=written.steps),)


def roles_of(
    kept: ImportedTable,
    inputs: Sequence[str] = (),
    label: str | None = None,
    is_generative: bool | None = None,
) -> Roles:
    """Return the columns' roles, as named or guessed.

    `inputs` and `label` are prompt and response of a generative task.

    Raises:
        DataRefused: a named column does not exist, or cannot have that role.
    """
    if is_generative and kept.kind == "image":
        raise DataRefused("Images have no prompts. Their classes can be learned.")
    columns = columns_of(kept)
    names = [column.name for column in columns]
    for name in (*inputs, *([label] if label else [])):
        if name not in names:
            raise DataRefused(f"There is no column “{name[:80]}”. The columns are {', '.join(names[:30])}.")
    if label and label in inputs:
        raise DataRefused(f"“{label}” cannot be both input and label. Choose two columns.")
    if is_generative is None and kept.conversations:
        is_generative = True
    free = [column for column in columns if column.name != label and column.name not in inputs]
    pictures = uploaded.IMAGE if kept.kind == "image" else None
    found = guess_roles(columns, kept.rows, pictures=pictures, is_generative=is_generative)
    if bool(label) != bool(inputs):  # guess the other one among the columns that are left
        rest = guess_roles(free, kept.rows, pictures=pictures, is_generative=found.is_generative)
        found = dataclasses.replace(rest, split=found.split, is_generative=found.is_generative)
    found = dataclasses.replace(found, inputs=tuple(inputs) or found.inputs, label=label or found.label)
    return dataclasses.replace(found, question=None) if found.inputs and found.label else found


def _add_unusable(kept: ImportedTable, data: UploadedDataset, add: Any) -> None:
    """Add the rows without an input or a usable label to the issues of their file."""
    for name in (*data.inputs, data.label):
        if name not in kept.columns:
            raise DataRefused(f"The rows to evaluate on have no column “{name}”. Name it as in the others.")
    rows = cleaned_table(data, kept.sha256)
    known = {*data.labels}
    empty = "it is empty", "give it a value, or drop the row"
    numbers = (number for chunk in rows.column(uploaded.ROW).chunks for number in chunk.to_pylist())
    inputs, labels = inputs_of(rows, data.inputs, data.kind), texts(rows.column(data.label))
    for number, given, label in zip(numbers, inputs, labels, strict=True):
        if lacks_input(given, data.kind):
            missing = [name for name, value in zip(data.inputs, given, strict=True) if not value]
            for name in missing[:1] if data.kind == "generation" else missing:
                add(number, *empty, name)
        if not label:
            add(number, *empty, data.label)
        elif known and label not in known:
            add(number, "no training row has this label", "check its spelling", data.label)
        elif not known and data.kind != "generation" and math.isnan(as_number(label)):
            add(number, "it is not a number", "write one", data.label)


# The task


def no_roles(columns: Sequence[Column], roles: Roles) -> str:
    """Return why these columns have no input or no label."""
    if roles.question:
        return roles.question
    if roles.is_generative:
        return "It needs two columns of text, one for the prompt and one for the response. Name both."
    if not roles.inputs:
        return "No column holds text. Name the one to read."
    if len(columns) == 1:
        return f"It has one column, “{columns[0].name}”. Give it a second one, with the label of each row."
    names = ", ".join(f"{column.name} ({column.distinct:,} unique)" for column in columns[:10])
    return f"No column looks like a label, which has a few unique values: {names}. Name the label."


def task_of(
    rows: pa.Table, kind: Literal["text", "image"], column: Column
) -> tuple[tuple[str, ...], str, str | None]:
    """Return the classes (none for a regression), why, and the problem if the label cannot be learned."""
    name, many = f"“{column.name}”", f"{column.distinct:,} unique values"
    if column.distinct < 2:
        have = "the same value in each row" if column.distinct else "no value in any row"
        return (), "", f"{name} has {have}. Choose another label."
    numbers = column.type in ("numbers", "whole numbers")
    if numbers and kind == "text" and (column.type == "numbers" or column.distinct > MAX_NUMBERS):
        return (), f"{name} holds {column.type}, {many}: a number is predicted.", None
    written = written_numbers(rows, column.name) if kind == "text" else None
    if written and written.is_amount and (doubt := _doubt(written, column)):
        return (), "", f"{name} holds {doubt}"
    if column.distinct > MAX_NUMBERS and odd_among_numbers(rows, column.name):
        return (), f"{name} holds numbers, {many}: a number is predicted.", None
    if column.distinct > min(MAX_CLASSES, max(rows.num_rows // 2, 2)):
        generate = ", or generate it as text" if column.type == "text" else ""
        return (), "", (
            f"{name} has {many} in {rows.num_rows:,} rows: it names rows, not classes. "
            f"Choose another label{generate}."
        )  # fmt: skip
    values = {*texts(rows.column(column.name))} - {""}
    if any(len(value) > 200 for value in values):
        return (), "", f"{name} has values of more than 200 characters. Choose another label."
    key: Any = (lambda value: (float(value), value)) if numbers else None
    return tuple(sorted(values, key=key)), f"{name} has {many}: one of these classes is predicted.", None


def _doubt(written: WrittenNumbers, column: Column) -> str | None:
    """Return why a column of amounts cannot be parsed."""
    if len(written.units) > 1:
        if column.distinct <= MAX_NUMBERS:
            return None  # 1,5 kg and 2 l may be classes
        units = ", ".join(unit[:20] for unit in written.units[:5])
        return f"numbers in different units: {units}. Write all in one, or choose another label."
    if written.is_mixed:
        return (
            "numbers with a decimal comma and others with a decimal point, such as "
            f"{written.example}. Write all of them alike."
        )
    if written.mark is None:
        sign = "comma" if "," in written.example else "point"
        return (
            f"numbers such as {written.example}: the {sign} may stand before decimals or between thousands. "
            "Choose the decimal separator (--clean numbers:comma or numbers:point)."
        )
    return None


SHORT = 60  # characters of 95% of the responses, for exact match
FEW = 0.05  # share of the responses that may have several lines then


def choose_metric(rows: pa.Table, column: Column) -> tuple[Literal["exact_match", "chrf"], str]:
    """Return the metric of the responses, and why: exact match for short ones, else chrF."""
    responses = [one for one in texts(rows.column(column.name)) if one]
    lengths = sorted(map(len, responses))
    usual = lengths[math.ceil(0.95 * len(lengths)) - 1] if lengths else 0
    lines = sum("\n" in one for one in responses) / max(len(responses), 1)
    length = f"“{column.name}” has {column.distinct:,} unique values, 95% of at most {usual:,} characters"
    if usual <= SHORT and lines < FEW:
        return "exact_match", f"{length}: a response is correct if it is exactly the same (exact match)."
    return "chrf", f"{length}: responses are scored by their similarity in letters (chrF)."


# Lengths

SAMPLE = 2_000  # rows, drawn at random if there are more
EDGES = (8, 16, 32, 48, 64, 96, 128, 192, 256, 512)
_WORDS = re.compile(r"\w+|[^\w\s]")
TOKENIZERS = {"text": "minilm", "generation": "smollm2_135m"}  # of the offline models
TEMPLATE_TOKENS = 52  # around prompt and response in a chat template


@dataclass(frozen=True)
class Lengths:
    """Lengths of training rows: prompt and response together for generation.

    Attributes:
        mean, p95, longest: over the rows.
        bars: shares of rows up to each of `EDGES`, and beyond.
        exact: counted by the tokenizer of the offline model; otherwise words and punctuation.
        tokens: the length of each row.
    """

    mean: int
    p95: int
    longest: int
    bars: tuple[float, ...]
    exact: bool
    tokens: tuple[int, ...]

    def share_over(self, length: int) -> float:
        """Return the share of rows with more tokens than this."""
        return sum(one > length for one in self.tokens) / len(self.tokens)


def lengths_of(data: UploadedDataset, split: TrainTestSplit) -> Lengths:
    """Count the tokens of the training rows, or of a sample."""
    places = split.train
    if len(places) > SAMPLE:
        places = np.random.default_rng(0).choice(places, SAMPLE, replace=False)
    written = data.kind == "generation"
    table = cleaned_table(data, data.sha256).select([*data.inputs, *([data.label] if written else [])])
    drawn = np.zeros(table.num_rows, bool)
    drawn[places] = True
    rows = table.filter(drawn).to_pylist()  # `take` would join all batches in memory first
    parts = [
        (joined(row, *data.inputs), row[data.label].strip())
        if written
        else tuple(row[name] for name in data.inputs)
        for row in rows
    ]
    folder = offline.prepared(TOKENIZERS[data.kind])
    file = folder / "tokenizer.json" if folder else None
    tokenizer = _read_tokenizer(file) if file and file.is_file() else None
    more = TEMPLATE_TOKENS if written else 0
    if tokenizer is None:
        counts = [more + 1 + sum(len(_WORDS.findall(one)) + 1 for one in part) for part in parts]
    else:
        pairs: Any = [part[0] if len(part) == 1 else part for part in parts]
        counts = [more + len(one.ids) for one in tokenizer.encode_batch(pairs)]
    numbers = np.array(counts)
    shares = np.histogram(numbers, bins=[0, *(edge + 1 for edge in EDGES), 10**9])[0] / len(numbers)
    return Lengths(
        round(float(numbers.mean())),
        int(np.ceil(np.quantile(numbers, 0.95))),
        int(numbers.max()),
        tuple(map(float, shares)),
        tokenizer is not None,
        tuple(counts),
    )


@functools.lru_cache(maxsize=2)
def _read_tokenizer(file: Path) -> Any:
    """Return the tokenizer in a file; it truncates nothing."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


# Warnings, each with the steps that fix it

FEW_OF_CLASS = 8
FEW_TO_EVALUATE = 50
ALMOST_ALL = 0.95
LEAKS = 0.2  # share of the rows whose text holds the name of their own label
MARKUP = 0.01  # share of the texts with HTML
MAX_TOKENS, WORDS = 512, 350  # of encoders, and about as many words


def warnings_of(
    data: UploadedDataset,
    split: TrainTestSplit,
    classes: Sequence[tuple[str, int, int]],
    lengths: Lengths | None,
) -> Iterator[Finding]:
    """Yield the warnings, the most severe first."""
    total = sum(train for _, train, _ in classes)
    for name, train, _ in classes:
        if train > ALMOST_ALL * total:
            share = min(math.floor(100 * train / total), 99)
            yield Finding(
                f"“{name}” has at least {share}% of the rows. Always predicting it is almost always correct.",
                data.label,
            )
    by_spelling: dict[str, list[str]] = {}
    for label in data.labels:
        by_spelling.setdefault(cleaning.spelling(label), []).append(label)
    if several := [one for one in by_spelling.values() if len(one) > 1]:
        first, second, *_ = several[0]
        more = f", and {len(several) - 1} more groups of labels" if several[1:] else ""
        yield Finding(
            f"The labels “{first}” and “{second}”{more} differ in case or spaces only. Each spelling counts "
            "as a class.",
            data.label,
            steps=("merge-case",),
        )
    few = [f"“{name}” ({train})" for name, train, _ in classes if train < FEW_OF_CLASS]
    if few:
        more = f" and {len(few) - 5} more" if len(few) > 5 else ""
        yield Finding(
            f"Fewer than {FEW_OF_CLASS} rows to train on for {', '.join(few[:5])}{more}. "
            "Give more rows, or join classes.",
            data.label,
            steps=(f"join-rare:{FEW_OF_CLASS}",) if len(few) < len(classes) else (),
        )
    if (data.labels or data.metric == "exact_match") and len(split.evaluation) < FEW_TO_EVALUATE:
        error = 100 * 1.96 * math.sqrt(0.25 / len(split.evaluation))
        yield Finding(
            f"{counted(len(split.evaluation), 'row')} to evaluate on: a score near 50% is accurate to "
            f"±{error:.0f} points."
        )
    if data.kind != "image":
        yield from _about_texts(data)
    if split.duplicates:
        have = "rows have" if split.duplicates > 1 else "row has"
        dropped = f" {split.dropped:,} {'are' if split.dropped > 1 else 'is'} used for evaluation only."
        yield Finding(
            f"{split.duplicates:,} {have} the same input as an earlier one. None is in both sets."
            f"{dropped if split.dropped else ''}",
            *data.inputs,
            steps=("drop-repeats",),
        )
    yield from _contradictions(data)
    if lengths:
        most = MAX_LENGTH["generation"] if data.kind == "generation" else MAX_TOKENS
        if over := lengths.share_over(most):
            skipped = "skipped unless you raise the max length" if data.metric else "truncated"
            yield Finding(
                f"{100 * over:.1f}% of the rows have more than {most} tokens and are {skipped}. The longest "
                f"has {lengths.longest:,}.",
                *data.inputs,
                steps=(f"cut:{WORDS}",),
            )


def _about_texts(data: UploadedDataset) -> Iterator[Finding]:
    """Yield warnings about HTML in texts, and about texts that hold the name of their own label."""
    rows = cleaned_table(data, data.sha256)
    names = [one.lower() for one in data.labels]
    following = dict(zip(names, [*names[1:], *names[:1]], strict=True))
    own_count = other_count = markup = count = 0
    labels = texts(rows.column(data.label))
    for given, label in zip(inputs_of(rows, data.inputs, data.kind), labels, strict=True):
        text, own = " ".join(map(str, given)), label.lower()
        count += 1
        markup += cleaning.has_markup(text)
        if len(own) >= cleaning.MIN_NAME and own in following:
            own_count += own in text.lower()
            other_count += following[own] in text.lower()
    if own_count > LEAKS * count and own_count > 2 * other_count and data.kind == "text":
        yield Finding(
            f"In {100 * own_count / count:.0f}% of the rows the text holds the name of its own label: the "
            "score will be too high.",
            *data.inputs,
            steps=("hide-labels",),
        )
    if markup > MARKUP * count:
        yield Finding(
            f"{100 * markup / count:.0f}% of the texts hold HTML, such as <br> or &amp;.",
            *data.inputs,
            steps=("strip-html",),
        )


def _contradictions(data: UploadedDataset) -> Iterator[Finding]:
    """Yield a warning about equal inputs with different labels."""
    rows = cleaned_table(data, data.sha256)
    seen: dict[int, str] = {}
    contradicting = set()
    labels = texts(rows.column(data.label))
    for given, label in zip(inputs_of(rows, data.inputs, data.kind), labels, strict=True):
        if label and not lacks_input(given, data.kind) and seen.setdefault(hash(given), label) != label:
            contradicting.add(hash(given))
    if count := len(contradicting):
        come = "inputs come" if count > 1 else "input comes"
        what = "responses" if data.kind == "generation" else "labels"
        yield Finding(
            f"{count:,} {come} with different {what}. No model can be correct on all of these rows.",
            data.label,
            steps=("drop-contradictions",),
        )


# Settings and output

NEAREST: dict[Kind, str] = {"text": "sentiment", "image": "mnist", "generation": "addresses"}
"""The measured recipe whose model, batch size, and learning rates are used for data of a kind."""


def nearest_recipe(kind: Kind) -> Recipe:
    return get_recipe(NEAREST[kind])


def recipe_reason(recipe: Recipe) -> str:
    """Return the source of the settings."""
    return (
        f"Model, batch size, and learning rates are those of “{recipe.title}”, the nearest measured recipe "
        f"({recipe.train_examples:,} examples). Epochs and max length are set for your rows."
    )


def as_dict(looked: Inspection) -> dict[str, Any]:
    """Return an inspection for the command line and the API.

    Lengths are in tokens. `cut` is the share of rows longer than `max_length`.
    """
    kept, data, lengths = looked.kept, looked.data, looked.lengths
    recipe = nearest_recipe(looked.kind)
    length = starting_values(data, recipe).get("max_length") if data else None
    classes = looked.classes
    return {
        "sha256": kept.sha256,
        "format": kept.format,
        "kind": looked.kind,
        "encoding": kept.encoding,
        "separator": kept.separator,
        "rows": kept.rows,
        "bytes": kept.bytes,
        "columns": [vars(column) for column in looked.columns],
        "inputs": list(looked.roles.inputs),
        "label": looked.roles.label,
        "split": looked.roles.split,
        "task": looked.task,
        "why": looked.why,
        "problem": looked.problem,
        "classes": [{"name": name, "train": train, "evaluation": some} for name, train, some in classes],
        "train_rows": data.train_rows if data else 0,
        "evaluation_rows": data.evaluation_rows if data else 0,
        "metric": data and data.metric,
        "model": recipe.model,
        "held_out": bool(data and not data.split and not data.evaluation_sha256),
        "held_out_share": data and data.held_out,
        "split_seed": data and data.split_seed,
        "duplicates": looked.split.duplicates if looked.split else 0,
        "lengths": lengths
        and {
            "mean": lengths.mean,
            "usual": lengths.p95,
            "longest": lengths.longest,
            "exact": lengths.exact,
            "edges": list(EDGES),
            "shares": list(lengths.bars),
        },
        "max_length": length,
        "cut": lengths.share_over(int(length)) if lengths and length else 0.0,
        "majority": looked.majority and {"label": looked.majority.label, "share": looked.majority.share},
        "left_out": looked.left_out,
        "faults": list(looked.faults),
        "notes": list(looked.notes),
        "warnings": list(looked.warnings),
        "mended_by": [
            {"warning": one, "step": step, "title": cleaning.title(step)}
            for one in looked.warnings
            for step in one.steps
        ],
        "clean": list(looked.clean),
        "cleaned": list(looked.cleaned),
        "automatic": list(looked.automatic),
        "recipe": recipe.key,
        "because": recipe_reason(recipe),
    }
