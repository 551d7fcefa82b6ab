"""Inspect an imported table: the task that it makes, its classes, lengths and split, and warnings."""

from __future__ import annotations

import dataclasses
import functools
import json
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
from cdvft_app.catalog.columns import (
    columns_of as columns_of_table,
)
from cdvft_app.catalog.conversations import joined, messages_of
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
from cdvft_app.data.row_errors import Finding, RowErrors
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
    """`data` is what a run needs, None where nothing can be learned, and `problem` says why not.

    `classes` are (name, rows to train on, rows to evaluate on). `majority` is the share of evaluation rows
    that the commonest class has, None for a regression. `clean` are the steps that mend the rows,
    `cleaned` says what they did; `automatic` are those of them that are done unasked.
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
        """Of what is learned."""
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
    """Return what would be learned from it by the columns' `roles`, those of `roles_of`; None: as guessed.

    `clean` are steps by which the rows are mended before; labels such as 1.234,50 € are read as numbers by a
    further one, where the column leaves no doubt how. Errors of rows are named with the title of the file
    they are in.

    Raises:
        DataRefused: the rows to evaluate on lack a column.
    """
    columns = columns_of(kept)
    roles = roles or roles_of(kept)
    files = [(title, kept, kept.row_errors)]
    if evaluation:
        files.append((evaluation_title, evaluation, evaluation.row_errors))
    unread = sum(faults.count for _, _, faults in files)
    looked = Inspection(
        kept, columns, roles, "none", "", _sentences(files), tuple(kept.notes), unread, clean=tuple(clean)
    )
    if roles.label is None or not roles.inputs:
        return dataclasses.replace(looked, problem=no_roles(columns, roles))
    written = None if roles.is_generative else _written(kept, roles.label)
    automatic = _read_by(written)
    if not any(map(_reads_numbers, clean)) and len(clean) < cleaning.MAX_STEPS:
        clean = (*automatic, *clean)
    automatic = tuple(step for step in automatic if step in clean)
    looked = dataclasses.replace(looked, clean=tuple(clean), automatic=automatic)
    data = UploadedDataset(
        sha256=kept.sha256,
        evaluation_sha256=evaluation.sha256 if evaluation else None,
        title=title,
        kind=looked.kind,
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
        looked = dataclasses.replace(looked, cleaned=_cleaned(rows, data), columns=columns)
    if roles.is_generative:
        metric, why = choose_metric(rows, roles, columns)
        looked = dataclasses.replace(looked, task="generation", why=why)
        data = data.model_copy(update={"metric": metric})
    else:
        labels, why, problem = task_of(rows, kept.kind, columns, roles)
        looked = dataclasses.replace(looked, task="classification" if labels else "regression", why=why)
        if problem:
            return dataclasses.replace(
                looked, problem=problem, warnings=tuple(_mendable(rows, columns, roles))
            )
        data = data.model_copy(update={"labels": labels})
    labels = data.labels
    for _, one, faults in files:
        _lacking(one, data, faults)
    try:
        split = train_test_split(data)
        if data.split and not len(split.evaluation):  # the column says nothing of evaluation
            data = data.model_copy(update={"split": None})
            roles = dataclasses.replace(roles, split=None)
            if clean:
                looked = dataclasses.replace(looked, cleaned=_cleaned(rows, data))
            split = train_test_split(data)
    except ValueError as error:
        raise DataRefused(str(error)) from None
    looked = dataclasses.replace(
        looked,
        roles=roles,
        split=split,
        faults=_sentences(files),
        left_out=unread + split.unusable,  # one that lacks two values is named for each, and is one row
    )
    if len(split.train) < MIN_ROWS or not len(split.evaluation):
        left, twice = counted(len(split.train), "row"), counted(split.duplicates, "row")
        repeat = "repeats" if split.duplicates == 1 else "repeat"
        repeated = f" {twice} {repeat} the input of an earlier one." if split.duplicates else ""
        return dataclasses.replace(
            looked,
            problem=f"{left} {'is' if len(split.train) == 1 else 'are'} left to train on and "
            f"{len(split.evaluation):,} to evaluate on; at least {MIN_ROWS} and 1 are needed.{repeated}",
        )
    lengths = lengths_of(data, split) if data.kind != "image" else None
    data = data.model_copy(
        update={
            "train_rows": len(split.train),
            "evaluation_rows": len(split.evaluation),
            "mean_length": lengths.mean if lengths else None,
            "usual_length": lengths and (lengths.longest if data.metric else lengths.p95),
            **_scale(looked.task, split),
        }
    )
    classes = _classes(labels, split)
    looked = dataclasses.replace(
        looked,
        data=data,
        classes=classes,
        lengths=lengths,
        majority=commonest_class(*zip(*classes, strict=True)) if classes else None,
    )
    warnings = warnings_of(data, split, classes, lengths)
    return dataclasses.replace(looked, warnings=(*_said_of_numbers(looked, written), *warnings))


def _written(kept: ImportedTable, label: str) -> WrittenNumbers | None:
    """Return how the labels are written, where these are numbers of texts."""
    return written_numbers(kept_table(kept.sha256), label) if kept.kind == "text" else None


def _read_by(written: WrittenNumbers | None) -> tuple[str, ...]:
    """Return the step that reads such labels as numbers, where there is no doubt."""
    if written is None or not written.is_amount or written.mark is None or len(written.units) > 1:
        return ()
    return (f"numbers:{written.mark}",)


def _reads_numbers(step: str) -> bool:
    return step.startswith("numbers:")


def _said_of_numbers(looked: Inspection, written: WrittenNumbers | None) -> Iterator[Finding]:
    if looked.automatic and written:
        label = str(looked.roles.label)
        yield Finding(
            f"“{label}” holds numbers such as {written.example}: they are read as numbers, the "
            f"{written.mark} before their decimals.",
            label,
        )


def _scale(task: Task, split: TrainTestSplit) -> dict[str, float]:
    """Return the mean and standard deviation of the numbers to train on, by which they are learned."""
    numbers = split.train_labels.astype(np.float64)
    if task != "regression" or not (deviation := float(numbers.std())):
        return {}
    return {"label_mean": float(numbers.mean()), "label_deviation": deviation}


def _cleaned(rows: pa.Table, data: UploadedDataset) -> tuple[str, ...]:
    """Return what the steps did, and what of it is done to the rows to evaluate on."""
    if data.evaluation_sha256 or data.split:
        of_evaluation = (
            "Texts and labels of the rows to evaluate on are mended by the same steps; of those rows none is "
            "left out, but those of a dropped class."
        )
    else:
        of_evaluation = "The rows to evaluate on are drawn from the mended ones."
    return (*(one.sentence for one in steps_done(rows)), of_evaluation)


def _mendable(rows: pa.Table, columns: Sequence[Column], roles: Roles) -> Iterator[Finding]:
    """Yield what stands in the way of learning, where a step takes it away."""
    column = next(one for one in columns if one.name == roles.label)
    written = written_numbers(rows, column.name)
    if written and written.is_amount and written.mark is None and not written.is_mixed:
        yield Finding(
            f"“{column.name}” holds numbers such as {written.example}, which can be read in two ways.",
            column.name,
            steps=("numbers:comma", "numbers:point"),
        )


def _sentences(files: Sequence[tuple[str, ImportedTable, RowErrors]]) -> tuple[Finding, ...]:
    return tuple(sentence for title, _, faults in files for sentence in faults.sentences(title))


def roles_of(
    kept: ImportedTable,
    inputs: Sequence[str] = (),
    label: str | None = None,
    is_generative: bool | None = None,
) -> Roles:
    """Return which columns are what, as said or guessed.

    `inputs` and `label` are prompt and answer of a generative task, whose answer is written in words.

    Raises:
        DataRefused: a column that was said is not there, or cannot be what it was said to be.
    """
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
    if is_generative is None and kept.conversations:
        is_generative = True

    def guessed(among: Sequence[Column], written: bool | None) -> Roles:
        pictures = uploaded.IMAGE if kept.kind == "image" else None
        return guess_roles(among, kept.rows, pictures=pictures, is_generative=written)

    found = guessed(columns, is_generative)
    if label and not inputs:
        rest = guessed([column for column in columns if column.name != label], found.is_generative)
        found = dataclasses.replace(
            found, inputs=rest.inputs, question=rest.question if not rest.inputs else None
        )
    if inputs and not label:
        rest = guessed([one for one in columns if one.name not in inputs], found.is_generative)
        found = dataclasses.replace(
            found, label=rest.label, question=rest.question if not rest.label else None
        )
    found = dataclasses.replace(found, inputs=tuple(inputs) or found.inputs, label=label or found.label)
    return dataclasses.replace(found, question=None) if found.inputs and found.label else found


def _lacking(kept: ImportedTable, data: UploadedDataset, faults: RowErrors) -> None:
    """Name the rows that lack what is to be read or told."""
    for name in (*data.inputs, data.label):
        if name not in kept.columns:
            raise DataRefused(f"The rows to evaluate on have no column “{name}”; name it as in the others.")
    rows = cleaned_table(data, kept.sha256)
    known = {*data.labels}
    empty = "it is empty", "give it a value, or drop the row"
    numbers = (number for chunk in rows.column(uploaded.ROW).chunks for number in chunk.to_pylist())
    inputs, labels = inputs_of(rows, data.inputs, data.kind), texts(rows.column(data.label))
    for number, given, label in zip(numbers, inputs, labels, strict=True):
        if lacks_input(given, data.kind):
            for name, value in zip(data.inputs, given, strict=True):
                if not value:
                    faults.add(number, *empty, name)
                    if data.kind == "generation":
                        break
        if not label:
            faults.add(number, *empty, data.label)
        elif known and label not in known:
            faults.add(number, "no training row has this label", "check its spelling", data.label)
        elif not known and data.kind != "generation" and math.isnan(as_number(label)):
            faults.add(number, "it is not a number", "write one", data.label)


def _classes(labels: Sequence[str], split: TrainTestSplit) -> tuple[tuple[str, int, int], ...]:
    if not labels:
        return ()
    train, evaluation = (
        np.bincount(numbers.astype(np.int64), minlength=len(labels)).tolist()
        for numbers in (split.train_labels, split.evaluation_labels)
    )
    return tuple(zip(labels, train, evaluation, strict=True))


# What a column of labels can teach


def no_roles(columns: Sequence[Column], roles: Roles) -> str:
    """Return why these columns have no input or no label."""
    if roles.question:
        return roles.question
    if roles.is_generative:
        return "It needs two columns of text, one for the prompt and one for the answer. Say which ones."
    if not roles.inputs:
        return "No column holds text to read. Say which one by its name."
    if len(columns) == 1:
        return f"It has one column, “{columns[0].name}”. Give it a second one, with the label of each row."
    names = ", ".join(f"{column.name} ({column.distinct:,} different)" for column in columns[:10])
    return f"No column looks like a label, which has a few different values: {names}. Say which one it is."


def _nothing_to_tell(column: Column) -> str:
    have = "the same value in each row" if column.distinct else "no value in any row"
    return f"“{column.name}” has {have}: there is nothing to tell apart. Choose another label."


def task_of(
    rows: pa.Table, kind: Literal["text", "image"], columns: Sequence[Column], roles: Roles
) -> tuple[tuple[str, ...], str, str | None]:
    """Return the classes, none for a regression; why; and why nothing can be learned, if so."""
    column = next(one for one in columns if one.name == roles.label)
    name = f"“{column.name}”"
    many = f"{column.distinct:,} different values"
    if column.distinct < 2:
        return (), "", _nothing_to_tell(column)
    numbers = column.type in ("numbers", "whole numbers")
    if numbers and kind == "text" and (column.type == "numbers" or column.distinct > MAX_NUMBERS):
        return (), f"{name} holds {column.type}, {many}: a number is predicted.", None
    written = written_numbers(rows, column.name) if kind == "text" else None
    if written and written.is_amount and (doubt := _doubt(written, column)):
        return (), "", f"{name} holds {doubt}"
    if column.distinct > MAX_NUMBERS and odd_among_numbers(rows, column.name):
        return (), f"{name} holds numbers, {many}: a number is predicted.", None
    if column.distinct > min(MAX_CLASSES, max(rows.num_rows // 2, 2)):
        return (
            (),
            "",
            f"{name} has {many} in {rows.num_rows:,} rows: it names rows, not classes. Choose another label"
            f"{', or let it be written as an answer' if column.type == 'text' else ''}.",
        )
    values = {*texts(rows.column(column.name))} - {""}
    if any(len(value) > 200 for value in values):
        return (), "", f"{name} has values of more than 200 characters: they are no names of classes."
    key: Any = (lambda value: (float(value), value)) if numbers else None
    return tuple(sorted(values, key=key)), f"{name} has {many}: one of these classes is predicted.", None


def _doubt(written: WrittenNumbers, column: Column) -> str | None:
    """Return why numbers as people write them cannot be read, beginning with how they are written."""
    if len(written.units) > 1 and column.distinct <= MAX_NUMBERS:
        return None  # 1,5 kg and 2 l may be classes
    if len(written.units) > 1:
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
            "Say which mark the decimals follow (--clean numbers:comma or numbers:point)."
        )
    return None


SHORT = 60  # characters that 19 of 20 answers do not exceed, where whole answers are right or wrong
FEW = 0.05  # share of the answers that may go over several lines then

Scored = Literal["exact_match", "chrf"]


def choose_metric(rows: pa.Table, roles: Roles, columns: Sequence[Column]) -> tuple[Scored, str]:
    """Return the metric of the answers, and why: short ones in one line are right or wrong, others more or
    less."""
    column = next(one for one in columns if one.name == roles.label)
    answers = [one for one in texts(rows.column(column.name)) if one]
    lengths = sorted(map(len, answers))
    usual = lengths[math.ceil(0.95 * len(lengths)) - 1] if lengths else 0
    lines = sum("\n" in one for one in answers) / max(len(answers), 1)
    length = (
        f"“{column.name}” has {column.distinct:,} different values, 19 of 20 of at most {usual:,} characters"
    )
    if usual <= SHORT and lines < FEW:
        return (
            "exact_match",
            f"{length}: right is what is written exactly so (exact match).",
        )
    return "chrf", f"{length}: how alike in letters what is written is counts (chrF)."


# Lengths

SAMPLE = 2_000  # rows, drawn at random where there are more
EDGES = (8, 16, 32, 48, 64, 96, 128, 192, 256, 512)
_WORDS = re.compile(r"\w+|[^\w\s]")
MODEL = "minilm"  # the offline text model, whose vocabulary BERT and many others share
WRITER = "smollm2_135m"  # the offline model that writes
TEMPLATE_WORDS = 30  # what a chat template adds, where there is none to ask


@dataclass(frozen=True)
class Lengths:
    """Of `counted` rows: mean, the length that 19 of 20 do not exceed, the longest; `bars` are the shares of
    rows up to each of `EDGES`, and beyond. `exact`: by the tokenizer of the offline model of that kind, of a
    prompt in its chat template and its answer together; else words and marks."""

    counted: int
    mean: int
    p95: int
    longest: int
    bars: tuple[float, ...]
    exact: bool
    tokens: tuple[int, ...]

    def share_over(self, length: int) -> float:
        """Return the share of rows that are cut at so many tokens."""
        return sum(one > length for one in self.tokens) / len(self.tokens)


def lengths_of(data: UploadedDataset, split: TrainTestSplit) -> Lengths:
    places = split.train
    if len(places) > SAMPLE:
        places = np.random.default_rng(0).choice(places, SAMPLE, replace=False)
    written = [data.label] if data.kind == "generation" else []
    every = cleaned_table(data, data.sha256).select([*data.inputs, *written])
    drawn = np.zeros(every.num_rows, bool)
    drawn[places] = True
    rows = every.filter(drawn)  # `take` would join all batches in memory first
    folder = offline.prepared(WRITER if written else MODEL)
    tokenizer = _tokenizer(folder) if folder else None
    if written:
        prompts = [joined(row, *data.inputs) for row in rows.to_pylist()]
        answers = [answer.strip() for answer in rows.column(data.label).to_pylist()]
        counts = _of_answers(prompts, answers, folder, tokenizer)
    else:
        counts = _of_texts([rows.column(name).to_pylist() for name in data.inputs], tokenizer)
    numbers = np.array(counts)
    shares = np.histogram(numbers, bins=[0, *(edge + 1 for edge in EDGES), 10**9])[0] / len(numbers)
    return Lengths(
        len(counts),
        round(float(numbers.mean())),
        int(np.ceil(np.quantile(numbers, 0.95))),
        int(numbers.max()),
        tuple(map(float, shares)),
        tokenizer is not None,
        tuple(counts),
    )


def _tokenizer(folder: Path) -> Any:
    """Return the tokenizer of a prepared model, which cuts nothing; None where it has none."""
    file = folder / "tokenizer.json"
    return _read_tokenizer(file, file.stat().st_mtime_ns) if file.is_file() else None


@functools.lru_cache(maxsize=2)
def _read_tokenizer(file: Path, changed: int) -> Any:
    """Return the tokenizer in a file as it was when `changed`, in nanoseconds; reading it takes a quarter
    second."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _of_texts(columns: list[list[str]], tokenizer: Any) -> list[int]:
    if tokenizer is None:
        return [
            1 + sum(len(_WORDS.findall(text)) + 1 for text in texts) for texts in zip(*columns, strict=True)
        ]
    inputs = columns[0] if len(columns) == 1 else list(zip(*columns, strict=True))
    return [len(one.ids) for one in tokenizer.encode_batch(inputs)]


def _chat_template(folder: Path) -> str:
    """Of a prepared model; transformers 5 saves it in a file of its own."""
    file = folder / "chat_template.jinja"
    if file.is_file():
        return file.read_text(encoding="utf-8")
    return json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))["chat_template"]


def _of_answers(prompts: list[str], answers: list[str], folder: Path | None, tokenizer: Any) -> list[int]:
    """Of each prompt as the model's chat template lays it out, its answer, and the token that ends it."""
    if tokenizer is None or folder is None:
        both = zip(prompts, answers, strict=True)
        return [TEMPLATE_WORDS + sum(len(_WORDS.findall(text)) for text in row) for row in both]
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    # As transformers compiles it, which would take seconds to load.
    template = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True).from_string(
        _chat_template(folder)
    )
    laid_out = [
        template.render(messages=messages_of(prompt), add_generation_prompt=True) for prompt in prompts
    ]
    sides = (tokenizer.encode_batch(side, add_special_tokens=False) for side in (laid_out, answers))
    return [len(prompt.ids) + len(answer.ids) + 1 for prompt, answer in zip(*sides, strict=True)]


# Warnings, each with its consequence, and what mends it

FEW_OF_CLASS = 8
FEW_TO_EVALUATE = 50
ALMOST_ALL = 0.95
LEAKS = 0.2  # share of the rows whose text has the name of their own label in it
MARKUP = 0.01  # share of the rows with HTML in them
NAMED = 5
LETTERS_OF = 2_000  # rows are looked at for the language
MAX_TOKENS, WORDS = 512, 350  # that encoders here read, and about as many words


def warnings_of(
    data: UploadedDataset,
    split: TrainTestSplit,
    classes: Sequence[tuple[str, int, int]],
    lengths: Lengths | None,
) -> Iterator[Finding]:
    """The most grave first."""
    total = sum(train for _, train, _ in classes)
    for name, train, _ in classes:
        if train > ALMOST_ALL * total:
            share = f"{100 * train / total:.0f}"
            share = "more than 99" if share == "100" else share  # as there is another class
            yield Finding(
                f"“{name}” has {share} % of the rows: always answering it is right almost always, so "
                "accuracy says little here.",
                data.label,
            )
    yield from _alike(data)
    few = [f"“{name}” ({train})" for name, train, _ in classes if train < FEW_OF_CLASS]
    if few:
        more = f" and {len(few) - NAMED} more" if len(few) > NAMED else ""
        yield Finding(
            f"Fewer than {FEW_OF_CLASS} rows to train on for {', '.join(few[:NAMED])}{more}: "
            f"{'it is' if len(few) == 1 else 'they are'} hardly learned. Give more rows, or join classes.",
            data.label,
            steps=(f"join-rare:{FEW_OF_CLASS}",) if len(few) < len(classes) else (),
        )
    right_or_wrong = data.labels or data.metric == "exact_match"
    if right_or_wrong and len(split.evaluation) < FEW_TO_EVALUATE:
        doubt = 100 * 1.96 * math.sqrt(0.25 / len(split.evaluation))
        yield Finding(
            f"{counted(len(split.evaluation), 'row')} to evaluate on: a score near 50 % is known to "
            f"± {doubt:.0f} points only, so small differences between methods mean nothing."
        )
    if data.kind == "text":
        yield from _leak(data)
    if data.kind != "image":
        yield from _markup(data)
    if split.duplicates:
        have = "rows have" if split.duplicates > 1 else "row has"
        dropped = f"{split.dropped:,} {'is' if split.dropped == 1 else 'are'} evaluated on only"
        yield Finding(
            f"{split.duplicates:,} {have} the same input as an earlier one. None is on both sides"
            f"{f': {dropped}' if split.dropped else ''}.",
            *data.inputs,
            steps=("drop-repeats",),
        )
    yield from _contradictions(data)
    most = MAX_LENGTH["generation"]
    if data.kind == "generation" and lengths and (over := lengths.share_over(most)):
        yield Finding(
            f"{100 * over:.1f} % of the rows have more than {most} tokens, prompt and answer together, and "
            "are left out unless the length is raised: cut, an answer would teach to stop in its middle.",
            *data.inputs,
            steps=(f"cut:{WORDS}",),
        )
    elif data.kind == "text" and lengths and lengths.longest > MAX_TOKENS:
        yield Finding(
            f"The longest text has {lengths.longest:,} tokens; models here read {MAX_TOKENS} at most, and "
            "the rest is cut.",
            *data.inputs,
            steps=(f"cut:{WORDS}",),
        )


def _alike(data: UploadedDataset) -> Iterator[Finding]:
    """Labels that are most likely one."""
    ways: dict[str, list[str]] = {}
    for label in data.labels:
        ways.setdefault(cleaning.spelling(label), []).append(label)
    several = [one for one in ways.values() if len(one) > 1]
    if not several:
        return
    first, second, *more = max(several, key=len)
    in_what = "capitals" if first.casefold() == second.casefold() else "spaces"
    sentence = f"The labels “{first}” and “{second}” differ in {in_what} only: they count as two classes."
    if more or len(several) > 1:
        many = f"{len(several)} labels are" if len(several) > 1 else "A label is"
        sentence = (
            f"{many} written in several ways, which differ in capitals or spaces only, such as “{first}” and "
            f"“{second}”: each way counts as a class."
        )
    yield Finding(sentence, data.label, steps=("merge-case",))


def _markup(data: UploadedDataset) -> Iterator[Finding]:
    """Yield a warning where texts have HTML in them, by the first ones."""
    rows = cleaned_table(data, data.sha256).slice(0, LETTERS_OF)
    texts = [one for name in data.inputs for one in rows.column(name).to_pylist() if one]
    having = sum(map(cleaning.has_markup, texts))
    if having > MARKUP * len(texts):
        yield Finding(
            f"{100 * having / len(texts):.0f} % of the texts have HTML in them, such as <br> or &amp;: it is "
            "read as words.",
            *data.inputs,
            steps=("strip-html",),
        )


def _leak(data: UploadedDataset) -> Iterator[Finding]:
    """Yield a warning where the text has its own label's name in it, and other labels' far less often."""
    if not data.labels:
        return
    rows = cleaned_table(data, data.sha256)
    names = [one.lower() for one in data.labels]
    following = dict(zip(names, [*names[1:], names[0]], strict=True))
    own_count = other_count = count = 0
    labels = texts(rows.column(data.label))
    for given, label in zip(inputs_of(rows, data.inputs, "text"), labels, strict=True):
        if own := label.lower():
            text, other = " ".join(map(str, given)).lower(), following.get(own, "")
            own_count += len(own) >= cleaning.MIN_NAME and own in text
            other_count += len(own) >= cleaning.MIN_NAME and other in text
            count += 1
    its_own, of_others = own_count / max(count, 1), other_count / max(count, 1)
    if its_own > LEAKS and its_own > 2 * of_others:
        yield Finding(
            f"In {100 * its_own:.0f} % of the rows the text holds the name of its own label: the answer may "
            "be given away, and the score will be too good.",
            *data.inputs,
            steps=("hide-labels",),
        )


def _contradictions(data: UploadedDataset) -> Iterator[Finding]:
    """Equal inputs with different labels, among rows that are not left out for an empty input or label."""
    rows = cleaned_table(data, data.sha256)
    seen: dict[int, str] = {}
    contradicting = set()
    labels = texts(rows.column(data.label))
    for given, label in zip(inputs_of(rows, data.inputs, data.kind), labels, strict=True):
        if label and not lacks_input(given, data.kind) and seen.setdefault(hash(given), label) != label:
            contradicting.add(hash(given))
    if count := len(contradicting):
        many = count > 1
        yield Finding(
            f"{count:,} input{'s come' if many else ' comes'} with different "
            f"{'answers' if data.kind == 'generation' else 'labels'}: nobody can be right "
            f"on {'them' if many else 'it'} each time.",
            data.label,
            steps=("drop-contradictions",),
        )


# What is told of it

# The measured recipe that data of a kind takes its model, batch and rates from.
NEAREST: dict[Kind, str] = {"text": "sentiment", "image": "mnist", "generation": "addresses"}


def nearest_recipe(kind: Kind) -> Recipe:
    return get_recipe(NEAREST[kind])


def recipe_reason(recipe: Recipe) -> str:
    """Return where the settings come from."""
    return (
        f"Model, batch size and learning rates are those of “{recipe.title}”, the nearest recipe that was "
        f"measured ({recipe.train_examples:,} examples); epochs and length are made for your rows."
    )


def as_dict(looked: Inspection) -> dict[str, Any]:
    """Return an inspection for the command line, the API and the page.

    Lengths are in tokens; `cut` is the share of the rows that are longer than `max_length`: texts are cut
    there, prompts with answers left out."""
    kept, data, lengths = looked.kept, looked.data, looked.lengths
    recipe = nearest_recipe(looked.kind)
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
        "classes": [
            {"name": name, "train": train, "evaluation": evaluation}
            for name, train, evaluation in looked.classes
        ],
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
        "max_length": (length := data and starting_values(data, recipe).get("max_length")),
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
