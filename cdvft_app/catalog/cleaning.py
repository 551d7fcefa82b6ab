"""Steps that mend an uploaded table before anything is learned from it: pure functions, rows in, rows out.

A step is a text, such as `merge-case`, `drop:n/a` or `cut:200`; steps are done in their order. They change
labels and texts, or leave rows out. Those that change are done to all rows, also to those of a file that is
evaluated on or applied to; those that leave rows out spare rows that are kept apart for evaluation.
"""

from __future__ import annotations

import html
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from cdvft_app.catalog.columns import NUMBER_MARKS, inputs_of, number_reader
from cdvft_app.catalog.conversations import is_conversation, messages_of

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

JOINED = "other"
"""What rare classes become, unless another name is given."""


@dataclass(frozen=True)
class CleanedColumns:
    """The columns of the inputs and of the label, and the `kind` of model that learns them."""

    inputs: tuple[str, ...]
    label: str
    kind: Literal["text", "image", "generation"]


@dataclass(frozen=True)
class StepEffect:
    """The effect of a step: rows and different labels before and after it, and how many values it changed."""

    step: str
    rows: tuple[int, int]
    labels: tuple[int, int]
    changed: int

    @property
    def sentence(self) -> str:
        parts = []
        if self.rows[0] != self.rows[1]:
            parts.append(f"{self.rows[0]:,} rows became {self.rows[1]:,}")
        if self.labels[0] != self.labels[1]:
            parts.append(f"{self.labels[0]:,} different labels became {self.labels[1]:,}")
        if self.changed:
            parts.append(f"{self.changed:,} value{'s' if self.changed > 1 else ''} changed")
        return f"{self.step}: {', '.join(parts) or 'nothing to do'}."


class InvalidStep(ValueError):
    """No such step, or not with such an argument; the text says which there are."""


Values = Sequence[str | None]
MapText = Callable[[str], str]


@dataclass(frozen=True)
class Step:
    """A kind of cleaning step.

    Attributes:
        title: its effect in words for a person.
        argument: what stands after the colon; empty where nothing does.
        texts: what becomes of a text, given the argument and the classes' names; None: nothing.
        labels: what becomes of each label, given the argument and how often each is there; None: nothing.
        kept: which rows stay, given argument, a number for each different input, and the labels; None: all.
        drops_class: whether rows of the evaluation that it does not keep go, too: their class is no more.
    """

    title: str
    argument: str = ""
    texts: Callable[[str, Sequence[str]], MapText] | None = None
    labels: Callable[[str, Mapping[str, int]], Mapping[str, str]] | None = None
    kept: Callable[[str, np.ndarray, Values], list[bool]] | None = None
    drops_class: bool = False


# Labels


def _one_spelling(_: str, counts: Mapping[str, int]) -> dict[str, str]:
    """Return the commonest label for each of those that differ in capitals and spaces alone."""
    commonest: dict[str, str] = {}
    for label in sorted(counts, key=lambda one: (-counts[one], one)):
        commonest.setdefault(spelling(label), label)
    return {label: commonest[spelling(label)] for label in counts}


def spelling(label: str) -> str:
    """Return a key that is equal for labels that differ in capitals and spaces alone."""
    return " ".join(label.split()).casefold()


def _renamed(argument: str, counts: Mapping[str, int]) -> dict[str, str]:
    old, _, new = argument.partition("=")
    return {label: new.strip() for label in counts if label == old.strip()}


def _joined(argument: str, counts: Mapping[str, int]) -> dict[str, str]:
    least, _, name = argument.partition("=")
    return {label: name.strip() or JOINED for label, count in counts.items() if count < int(least)}


def _as_numbers(argument: str, counts: Mapping[str, int]) -> dict[str, str]:
    """Return each number as programs write it: 1.234,50 € as 1234.50; other labels stay."""
    read = number_reader(argument)
    return {label: found for label in counts if (found := read(label)) is not None}


# Texts

# Linear, as no tag goes over the start of another. An address such as <help@shop.example> is not a tag.
_MARKUP = re.compile(r"<(?:!--|/?[a-zA-Z][a-zA-Z0-9]*(?=[\s/>]))[^<>]{0,1000}>")
_BREAK = re.compile(r"<(?:br|/?p|/?div|/?li|/?tr|/?h[1-6])\b[^<>]{0,1000}>", re.IGNORECASE)
_SPACES = re.compile(r"[ \t\u00a0]{2,}")


def has_markup(text: str) -> bool:
    return bool(_MARKUP.search(text)) or html.unescape(text) != text


def _without_markup(_: str, __: Sequence[str]) -> MapText:
    def strip(text: str) -> str:
        if "<" not in text and "&" not in text:
            return text
        plain = html.unescape(_MARKUP.sub("", _BREAK.sub("\n", text)))
        return _SPACES.sub(" ", plain).strip()

    return strip


def _first_words(argument: str, _: Sequence[str]) -> MapText:
    most = int(argument)
    words = re.compile(r"\S+")

    def cut(text: str) -> str:
        for place, word in enumerate(words.finditer(text)):
            if place == most:
                return text[: word.start()].rstrip()
        return text

    return cut


HIDDEN = "…"


def _without_labels(_: str, classes: Sequence[str]) -> MapText:
    """Return a map that removes all classes' names: were only its own removed, those left would tell it."""
    by_first_word: dict[str, list[str]] = {}
    for name in sorted((one.lower() for one in classes if len(one) >= MIN_NAME), key=len, reverse=True):
        if first := _WORD.match(name):
            by_first_word.setdefault(first[0], []).append(name)

    def hide(text: str) -> str:
        parts, done, lower = [], 0, text.lower()
        if len(lower) != len(text):  # of letters whose small one is two, places are not the same
            return text
        for word in _WORD.finditer(lower):
            for name in by_first_word.get(word[0], ()) if word.start() >= done else ():
                end = word.start() + len(name)
                if lower.startswith(name, word.start()) and not _WORD.match(lower, end):
                    parts += [text[done : word.start()], HIDDEN]
                    done = end
                    break
        return "".join([*parts, text[done:]])

    return hide


_WORD = re.compile(r"\w+")
MIN_NAME = 3  # letters of a class's name that is looked for in texts


# Rows


def _of_other_classes(argument: str, _: np.ndarray, labels: Values) -> list[bool]:
    return [label != argument for label in labels]


def _first_of_each(_: str, inputs: np.ndarray, labels: Values) -> list[bool]:
    seen: set[tuple[int, str | None]] = set()
    kept = []
    for row in zip(inputs.tolist(), labels, strict=True):
        kept.append(row not in seen)
        seen.add(row)
    return kept


def _labels_of_inputs(inputs: np.ndarray, labels: Values) -> dict[int, Counter[str]]:
    """Return how often each input has each label; rows without one do not count."""
    found: dict[int, Counter[str]] = {}
    for number, label in zip(inputs.tolist(), labels, strict=True):
        if label:
            found.setdefault(number, Counter())[label] += 1
    return found


def _undisputed(_: str, inputs: np.ndarray, labels: Values) -> list[bool]:
    of_inputs = _labels_of_inputs(inputs, labels)
    return [len(of_inputs.get(number, ())) < 2 for number in inputs.tolist()]


STEPS: Mapping[str, Step] = {
    "merge-case": Step("Make labels one that differ in capitals or spaces only", labels=_one_spelling),
    "rename": Step("Give a class another name, or that of another class", "OLD=NEW", labels=_renamed),
    "drop": Step("Leave out the rows of a class", "CLASS", kept=_of_other_classes, drops_class=True),
    "join-rare": Step("Join the classes with fewer rows than this", "ROWS or ROWS=NAME", labels=_joined),
    "drop-repeats": Step("Leave out rows that repeat an input and its label", kept=_first_of_each),
    "drop-contradictions": Step("Leave out inputs that come with different labels", kept=_undisputed),
    "strip-html": Step("Take HTML out of the texts", texts=_without_markup),
    "hide-labels": Step("Take the names of the classes out of the texts", texts=_without_labels),
    "cut": Step("Keep the first words of each text, so many", "WORDS", texts=_first_words),
    "numbers": Step("Read as numbers. Decimal mark", "comma or point", labels=_as_numbers),
}
MAX_STEPS, MAX_LENGTH = 32, 200


def title(step: str) -> str:
    """Return a step's title for a person: "Leave out the rows of a class: n/a"."""
    kind, argument = _kind_of(step)
    return f"{kind.title}: {argument}" if argument else kind.title


_COMMA_BEFORE_STEP = re.compile(rf",(?=\s*(?:{'|'.join(STEPS)})(?:[:,]|\s*$))")


def parse_steps(given: Iterable[str]) -> tuple[str, ...]:
    """Return steps from texts such as "merge-case,drop:n/a"; a comma within a class's name stays.

    Raises:
        InvalidStep: one of them is none; says which there are.
    """
    steps = tuple(one.strip() for text in given for one in _COMMA_BEFORE_STEP.split(text) if one.strip())
    for step in steps:
        _require_valid(step)
    if len(steps) > MAX_STEPS:
        raise InvalidStep(f"There are {len(steps)} steps; at most {MAX_STEPS} are done.")
    return steps


def _require_valid(step: str) -> None:
    name, colon, argument = step.partition(":")
    if len(step) > MAX_LENGTH:
        raise InvalidStep(f"A step has {len(step):,} characters; at most {MAX_LENGTH} are read.")
    if name not in STEPS:
        usage = ", ".join(f"{key}:{one.argument}" if one.argument else key for key, one in STEPS.items())
        raise InvalidStep(f"There is no step “{step[:60]}”. The steps are {usage}.")
    kind, argument = STEPS[name], argument.strip()
    number, equals, new = argument.partition("=")
    fits = {
        "": not colon,
        "CLASS": bool(argument),
        "comma or point": argument in NUMBER_MARKS,
        "OLD=NEW": bool(number.strip() and equals and new.strip()),
        "WORDS": argument.isdecimal() and 0 < int(argument) < 10**6,
        "ROWS or ROWS=NAME": number.isdecimal()
        and 0 < int(number) < 10**6
        and (not equals or bool(new.strip())),
    }[kind.argument]
    if not fits:
        wanted = f"{name}:{kind.argument}" if kind.argument else name
        raise InvalidStep(f"“{step[:60]}” is not how this step is written; write {wanted}.")


def clean(
    rows: pa.Table, columns: CleanedColumns, steps: Sequence[str], spared: Sequence[bool] | None = None
) -> tuple[pa.Table, tuple[StepEffect, ...]]:
    """Return the rows after the steps, and what each of them did.

    Args:
        rows: with the columns that `columns` names as text.
        columns: what is read and what is the label.
        steps: of `parse_steps`.
        spared: of each row whether it is kept apart for evaluation; None: none is.
    """
    done = []
    kept_apart = list(spared) if spared is not None else [False] * rows.num_rows
    for place, step in enumerate(steps):
        kind, argument = _kind_of(step)
        before = _labels(rows, columns)
        changed = 0
        if kind.labels:
            rows, changed = _with_labels(rows, columns, kind.labels(argument, Counter(filter(None, before))))
        if kind.texts and columns.kind != "image":
            names = sorted({*filter(None, before), *_named_by(steps[place + 1 :])})
            rows, changed = _with_texts(rows, columns, kind.texts(argument, names))
        count = rows.num_rows
        if kind.kept:
            fits = kind.kept(argument, _input_numbers(rows, columns), before)
            if not kind.drops_class:
                fits = [one or apart for one, apart in zip(fits, kept_apart, strict=True)]
            rows = rows.filter(fits)
            kept_apart = [apart for one, apart in zip(fits, kept_apart, strict=True) if one]
        labels = len({*filter(None, before)}), len({*filter(None, _labels(rows, columns))})
        done.append(StepEffect(step, (count, rows.num_rows), labels, changed))
    return rows, tuple(done)


def mend_texts(texts: Sequence[str], steps: Sequence[str], classes: Sequence[str]) -> list[str]:
    """Return texts of new rows after the steps that change texts."""
    found = list(texts)
    for map_text in _text_maps(steps, classes):
        found = [_in_messages(one, map_text) for one in found]
    return found


def _text_maps(steps: Sequence[str], classes: Sequence[str]) -> Iterator[MapText]:
    """Yield what the steps do to texts of new rows.

    A class that is renamed or dropped only after a step had still its own name in the rows to train on.
    """
    for place, step in enumerate(steps):
        kind, argument = _kind_of(step)
        if kind.texts:
            yield kind.texts(argument, [*classes, *_named_by(steps[place + 1 :])])


def mend_label(label: str, steps: Sequence[str], classes: Sequence[str]) -> str:
    """Return the label of a new row after the steps that change labels, where the classes are known by now.

    One that the steps cannot tell stays as it is, and so does one of a dropped class.
    """
    return _followed(label, steps, classes)[0]


def _followed(label: str, steps: Sequence[str], classes: Sequence[str]) -> tuple[str, bool]:
    """Return what becomes of a new row's label, and whether its class is dropped."""
    for place, step in enumerate(steps):
        kind, argument = _kind_of(step)
        later = [one for one in steps[place + 1 :] if _kind_of(one)[0] is not STEPS["join-rare"]]
        if kind.drops_class and label == argument:
            return label, True
        if kind is STEPS["merge-case"]:
            known = [*classes, *_named_by(later)]
            label = next((one for one in known if spelling(one) == spelling(label)), label)
        elif kind is STEPS["join-rare"]:
            other = argument.partition("=")[2].strip() or JOINED
            if _is_class(other, later, classes) and not _is_class(label, later, classes):
                label = other
        elif kind.labels:
            label = kind.labels(argument, {label: 1}).get(label, label)
    return label, False


def _named_by(steps: Sequence[str]) -> list[str]:
    """Return the classes that these steps rename, drop, or join others into, and their new names."""
    found = []
    for kind, argument in map(_kind_of, steps):
        old, _, new = argument.partition("=")
        if kind is STEPS["rename"]:
            found += [old.strip(), new.strip()]
        elif kind is STEPS["join-rare"]:
            found.append(new.strip() or JOINED)
        elif kind.drops_class:
            found.append(argument)
    return found


def _is_class(label: str, later: Sequence[str], classes: Sequence[str]) -> bool:
    """Return whether a label is a class before the `later` steps, whose classes are known."""
    found, is_dropped = _followed(label, later, classes)
    return is_dropped or found in classes


def mend(rows: pa.Table, columns: CleanedColumns, steps: Sequence[str], classes: Sequence[str]) -> pa.Table:
    """Return new rows, of a file to evaluate on, after the steps that change values; none is left out."""
    for map_text in _text_maps(steps, classes) if columns.kind != "image" else ():
        rows, _ = _with_texts(rows, columns, map_text)
    known = {one: mend_label(one, steps, classes) for one in {*filter(None, _labels(rows, columns))}}
    return _with_labels(rows, columns, known)[0]


def _kind_of(step: str) -> tuple[Step, str]:
    name, _, argument = step.partition(":")
    return STEPS[name], argument.strip()


def _labels(rows: pa.Table, columns: CleanedColumns) -> list[str | None]:
    return [one.strip() if one else None for one in rows.column(columns.label).to_pylist()]


def _with_labels(rows: pa.Table, columns: CleanedColumns, to: Mapping[str, str]) -> tuple[pa.Table, int]:
    import pyarrow as pa

    labels = _labels(rows, columns)
    found = [to.get(one, one) if one else one for one in labels]
    place = rows.column_names.index(columns.label)
    changed = sum(one != other for one, other in zip(labels, found, strict=True))
    return rows.set_column(place, columns.label, pa.array(found, pa.string())), changed


def _with_texts(rows: pa.Table, columns: CleanedColumns, map_text: MapText) -> tuple[pa.Table, int]:
    """Map the texts batch by batch; return the table, and how many values changed."""
    import pyarrow as pa

    changed = 0
    for name in columns.inputs:
        chunks = []
        for chunk in rows.column(name).chunks:
            texts = chunk.to_pylist()
            found = [_in_messages(one, map_text) if one else one for one in texts]
            changed += sum(one != other for one, other in zip(texts, found, strict=True))
            chunks.append(pa.array(found, pa.string()))
        rows = rows.set_column(rows.column_names.index(name), name, pa.chunked_array(chunks, pa.string()))
    return rows, changed


def _in_messages(text: str, map_text: MapText) -> str:
    """Map a text; of a conversation map each message's content, and not the JSON around it."""
    if not text.startswith("[") or not is_conversation(text):
        return map_text(text)
    messages = [{**one, "content": map_text(one["content"])} for one in messages_of(text)]
    return json.dumps(messages, ensure_ascii=False)


def _input_numbers(rows: pa.Table, columns: CleanedColumns) -> np.ndarray:
    """Return a hash of the inputs of each row, without spaces around them."""
    import numpy as np

    return np.fromiter(map(hash, inputs_of(rows, columns.inputs, columns.kind)), np.int64, rows.num_rows)
