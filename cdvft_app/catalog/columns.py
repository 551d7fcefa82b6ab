"""Guess the roles of a table's columns: by their usual names, then by their content.

Uploaded files and datasets of the Hub use the same rules. The usual names are English, German, French, and
Spanish (`column_names.json`). The user chooses if two columns are equally likely.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import pyarrow as pa

MAX_CLASSES = 1000
USUAL_CLASSES = 50  # at most, in a column without the name of a label
LABEL_CHARACTERS = 40  # on average, at most, in a column without the name of a label
TEXT_WORDS = 2.0  # on average, at least, in a column without the name of a text
AMOUNT_WORDS = 3.0  # on average, at most, in a column of amounts: 1.234,50 EUR, and some on request
WRITTEN = "written numbers"  # such as 1.234,50 €
NUMBERS = ("whole numbers", "numbers", WRITTEN)
IMAGE_NAMES = ("image", "img")

# Names as `_key` writes them. The first one of a list that exists counts.
_NAMES = json.loads(Path(__file__).with_name("column_names.json").read_text(encoding="utf-8"))
TEXT_NAMES, LABEL_NAMES, AMOUNTS = _NAMES["text_names"], _NAMES["label_names"], _NAMES["amounts"]
SUBJECTS = _NAMES["subjects"]  # what a label often is; the user chooses among several
ABOUT_A_ROW = _NAMES["about_a_row"]  # the least likely labels
INSTRUCTIONS, SUMMARIES = _NAMES["instructions"], _NAMES["summaries"]
PROMPTS, ANSWERS = [*INSTRUCTIONS, *_NAMES["prompts"]], [*_NAMES["answers"], *SUMMARIES]
PAIR_ENDINGS = (("1", "2"), ("a", "b"))
PREFERRED, REJECTED = {"chosen", "preferred", "winner"}, {"rejected", "dispreferred", "loser"}
PREFERENCES = (
    "It holds preference pairs (“{0}” and “{1}”), which no method here learns from. Choose “{0}” as the "
    "response, and the column of its prompt."
)


@dataclass(frozen=True)
class Column:
    """A column's type, its missing and unique values, and means over the values that exist."""

    name: str
    type: str
    missing: int
    distinct: int
    mean_characters: float
    mean_words: float = 1.0


@dataclass(frozen=True)
class Roles:
    """The columns of the inputs, of the label, and of the split; empty and None if unknown.

    If `is_generative`, they are the prompt, or its parts, and the response. `question` asks the user
    to choose, or says why such columns cannot be used.
    """

    inputs: tuple[str, ...]
    label: str | None
    split: str | None
    is_generative: bool = False
    question: str | None = None


_NUMBER = re.compile(
    r"[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)(e[+-]?[0-9]+)?|[+-]?(inf|infinity|nan)", re.IGNORECASE
)
_DATE = re.compile(
    r"([0-9]{4}-[0-9]{1,2}-[0-9]{1,2}|[0-9]{1,2}[./-][0-9]{1,2}[./-]([0-9]{4}|[0-9]{2}))([ T].*)?"
)
_TYPES = (("whole numbers", re.compile("[+-]?[0-9]+")), ("numbers", _NUMBER), ("dates", _DATE))


def texts(column: pa.ChunkedArray) -> Iterator[str]:
    """Yield the text of each row without spaces around it, empty if there is none."""
    for chunk in column.chunks:
        yield from ((str(one) if one is not None else "").strip() for one in chunk.to_pylist())


def inputs_of(rows: pa.Table, names: Sequence[str], kind: str) -> Iterator[tuple[str | bytes, ...]]:
    """Yield the inputs of each row: texts, or the bytes of an image."""
    if kind == "image":
        for chunk in rows.column(names[0]).chunks:
            yield from (((one or {}).get("bytes") or b"",) for one in chunk.to_pylist())
    else:
        yield from zip(*(texts(rows.column(name)) for name in names), strict=True)


def lacks_input(inputs: Sequence[str | bytes], kind: str) -> bool:
    """Return whether a row has no input. A part of a prompt may be empty, other inputs may not."""
    return not (any(inputs) if kind == "generation" else all(inputs))


def as_number(text: str) -> float:
    """Return the finite number in a text, or nan."""
    value = float(text) if _NUMBER.fullmatch(text) else math.nan
    return value if math.isfinite(value) else math.nan


def columns_of(rows: pa.Table, names: Iterable[str], pictures: str | None = None) -> tuple[Column, ...]:
    """Return columns with types, missing and unique values. `pictures` is the one of images."""
    import pyarrow as pa

    found = []
    for name in names:
        if name == pictures or pa.types.is_nested(rows.schema.field(name).type):
            kind = "pictures" if name == pictures else "lists"
            found.append(Column(name, kind, 0, rows.num_rows, 0.0, 0.0))
        else:
            found.append(_column(name, rows.column(name)))
    return tuple(found)


def _column(name: str, column: pa.ChunkedArray) -> Column:
    counts = Counter(texts(column))
    missing = counts.pop("", 0)
    there = max(counts.total(), 1)
    characters = sum(len(text) * count for text, count in counts.items())
    words = sum((1 + text.count(" ")) * count for text, count in counts.items())
    return Column(name, _type(counts), missing, len(counts), characters / there, words / there)


def _type(counts: Counter[str]) -> str:
    if not counts:
        return "nothing"
    for name, pattern in _TYPES:
        if all(map(pattern.fullmatch, counts)):
            return name
    written = _written(counts)
    is_one = written and written.is_amount and not written.has_odd and len(written.units) < 2
    return WRITTEN if is_one else "text"


# Numbers as people write them: 1.234,50 €, $1,234.50, 12 %, 1 234,5

NUMBER_MARKS: Mapping[str, str] = {"comma": ",", "point": "."}
_GAP = "[ \u00a0\u2009\u202f]"  # a space, and those that do not break a line
_CURRENCY = "[€$£¥₹₽₺₩]|[A-Z]{3}|Fr\\."
_UNIT = r"[^\s0-9.,+−–-][^\s0-9]{0,5}"
_ABOUT = "(?:ab|from|ca\\.?|circa|about|approx\\.?|~|≈|desde|dès)"
_SYMBOLS = {"eur": "€", "euro": "€", "usd": "$", "gbp": "£", "jpy": "¥", "inr": "₹"}


def _pattern(mark: str) -> re.Pattern[str]:
    """Return the pattern of numbers with this decimal separator; its groups are two signs and the number."""
    between = (rf"\{',.'.replace(mark, '')}", _GAP, "['’]")
    thousands = "|".join(f"[0-9]{{1,3}}(?:{one}[0-9]{{3}})+" for one in between)
    number = rf"((?:{thousands}|[0-9]+)(?:\{mark}(?:[0-9]+|[-–—]{{1,2}}))?)"  # 12,- has no decimals
    sign = "([+−–-]?)"
    return re.compile(
        f"(?:{_ABOUT}{_GAP}?)?{sign}(?:(?:{_CURRENCY}){_GAP}?)?{sign}{number}(?:{_GAP}?{_UNIT})?"
    )


_PATTERNS = {name: _pattern(mark) for name, mark in NUMBER_MARKS.items()}


def number_reader(name: str) -> Callable[[str], str | None]:
    """Return a function that writes 1.234,50 € as 1234.50, for the decimal mark of this name."""

    def read(text: str) -> str | None:
        match = _PATTERNS[name].fullmatch(text)
        if match is None:
            return None
        sign = "-" if {*"-−–"} & {*match[1], *match[2]} else ""
        whole, _, decimals = match[3].partition(NUMBER_MARKS[name])
        decimals = decimals.strip("-–—")
        return sign + re.sub("[^0-9]", "", whole) + (f".{decimals}" if decimals else "")

    return read


def _unit(text: str) -> str:
    unit = re.sub(f"^{_ABOUT}(?![a-z])|[0-9.,+−–'’ \u00a0\u2009\u202f-]", "", text.strip().lower())
    return _SYMBOLS.get(unit, unit)


@dataclass(frozen=True)
class WrittenNumbers:
    """A column of which almost all values are numbers, at least some of them as people write them.

    Attributes:
        mark: the decimal separator, "comma" or "point"; None if the values allow both, or need both.
        example: one of the values.
        units: the unique ones, such as €.
        is_mixed: some values need a comma and others a point.
        is_amount: they have decimals, or are more unique values than classes.
        has_odd: a few values are not numbers.
    """

    mark: Literal["comma", "point"] | None
    example: str
    units: tuple[str, ...]
    is_mixed: bool
    is_amount: bool
    has_odd: bool

    @property
    def steps(self) -> tuple[str, ...]:
        """The cleaning steps that can parse them: one, or two if the decimal separator is unclear."""
        if not self.is_amount or self.is_mixed or len(self.units) > 1:
            return ()
        return tuple(f"numbers:{mark}" for mark in NUMBER_MARKS if self.mark in (None, mark))


MAX_NUMBERS = 20  # unique ones; more are amounts and not classes
ODD_AMONG_NUMBERS, ODD_SHARE = 5, 0.1  # unique values that are not numbers, and share of the rows, at most


def written_numbers(rows: pa.Table, name: str) -> WrittenNumbers | None:
    """Return how people wrote the numbers of a column; None if programs wrote them, or it has none."""
    counts = Counter(texts(rows.column(name)))
    del counts[""]
    return _written(counts)


def odd_among_numbers(rows: pa.Table, name: str) -> bool:
    """Return whether a few values of a column of numbers are not numbers."""
    counts = Counter(texts(rows.column(name)))
    del counts[""]
    odd = [text for text in counts if not _NUMBER.fullmatch(text)]
    return bool(odd) and _are_few(odd, counts)


def _are_few(odd: Sequence[str], counts: Counter[str]) -> bool:
    return len(odd) <= ODD_AMONG_NUMBERS and sum(counts[one] for one in odd) <= ODD_SHARE * counts.total()


def _fits(text: str) -> set[str]:
    """Return the decimal marks by which a text is a number."""
    found = {name for name, pattern in _PATTERNS.items() if pattern.fullmatch(text)}
    return found | {"point"} if _NUMBER.fullmatch(text) else found


def _written(counts: Counter[str]) -> WrittenNumbers | None:
    some = [*islice(counts, 100)]
    if sum(not _fits(text) for text in some) > ODD_AMONG_NUMBERS:
        return None
    fits = {text: _fits(text) for text in counts}
    odd = [text for text in counts if not fits[text]]
    written = [text for text in counts if fits[text] and not _NUMBER.fullmatch(text)]
    if not written or not _are_few(odd, counts):
        return None
    finite = [text for text in counts if not (_NUMBER.fullmatch(text) and math.isnan(as_number(text)))]
    needed = {name for text in finite if len(fits[text]) == 1 for name in fits[text]}
    has_mark = any("," in text or "." in text for text in counts)
    mark: Literal["comma", "point"] | None = None
    if len(needed) == 1 or not has_mark:
        mark = "comma" if "comma" in needed else "point"
    decimals = has_mark
    if mark:
        decimals = any(re.search(rf"\{NUMBER_MARKS[mark]}[0-9]", one) for one in counts if mark in fits[one])
    return WrittenNumbers(
        mark,
        max(written, key=lambda one: (len(one), one)),
        tuple(sorted({*map(_unit, written)} - {""})),
        len(needed) > 1,
        decimals or len(counts) - len(odd) > MAX_NUMBERS,
        bool(odd),
    )


# Roles


def guess_roles(
    columns: Sequence[Column],
    rows: int,
    *,
    pictures: str | None = None,
    is_generative: bool | None = None,
) -> Roles:
    """Guess the columns' roles by usual names first, then by their content.

    Args:
        columns: of the table.
        rows: how many it has.
        pictures: the column of images, if it has one.
        is_generative: whether text is generated; None: this is guessed too.
    """
    split = next((one.name for one in _named(columns, _NAMES["splits"]) if one.distinct <= 5), None)
    columns = [one for one in columns if one.name != split]
    if pictures:
        label, question = _label([one for one in columns if one.name != pictures], rows)
        return Roles((pictures,), label, split, question=question)
    all_texts = [one for one in columns if one.type == "text"]
    label, question = _label(columns, rows)
    if is_generative is None:
        refused = refuses_preferences([one.name for one in columns if one.type in ("text", "lists")])
        if refused:
            return Roles((), None, split, question=refused)
        is_generative, either = _generates(columns, all_texts, rows, label)
        if either:
            return Roles((), None, split, question=either)
    if is_generative:
        return Roles(*_prompt_and_answer(columns, all_texts), split, True)
    likely = {one.name for one in _likely_labels(columns, rows)}
    others = [one for one in all_texts if one.name != label]
    inputs, of_text = _inputs([one for one in others if one.name not in likely] or others)
    return Roles(inputs, label, split, question=question or of_text)


def _key(name: str) -> str:
    """Return a name in plain form: kategorie for “Kategorie ”, review_text for “reviewText”."""
    plain = unicodedata.normalize("NFKD", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name.strip()))
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return re.sub(r"[\W_]+", "_", plain.casefold()).strip("_")


def _named(columns: Iterable[Column], names: Sequence[str]) -> list[Column]:
    """Return the columns of these names, in the order of the names."""
    by_key: dict[str, Column] = {}
    for column in columns:
        by_key.setdefault(_key(column.name), column)
    return [by_key[name] for name in names if name in by_key]


def _partly_named(columns: Iterable[Column], names: Sequence[str]) -> list[Column]:
    """Return the columns with one of these names as one of their words, such as “Ticket Description”."""
    places = {}
    for column in columns:
        words = [names.index(word) for word in _key(column.name).split("_") if word in names]
        if words:
            places[column] = min(words)
    return sorted(places, key=places.__getitem__)


def _either(columns: Sequence[Column], role: str) -> str:
    *first, last = [f"“{one.name}”" for one in columns[:6]]
    return f"{', '.join(first)} and {last} are equally likely to be the {role}. Choose one."


def _is_categorical(column: Column, rows: int) -> bool:
    most = min(USUAL_CLASSES, rows // 2)
    is_short = column.mean_characters < LABEL_CHARACTERS
    return column.type in ("text", "whole numbers") and 2 <= column.distinct <= most and is_short


def _is_number(column: Column) -> bool:
    return column.type in NUMBERS and column.distinct > 1


def _likely_labels(columns: Sequence[Column], rows: int) -> list[Column]:
    """Return the most likely columns, all equally likely; none if no column looks like a label."""
    named = next((one for one in _named(columns, LABEL_NAMES) if one.distinct > 1), None)
    if named:
        return [named]
    fitting = [one for one in columns if _is_categorical(one, rows) or _is_number(one)]
    classes = [one for one in columns if _is_categorical(one, rows)]
    besides = {*_named(columns, ABOUT_A_ROW), *_partly_named(columns, ABOUT_A_ROW)}
    unnamed = [one for one in classes if one not in besides]
    terse = [one for one in columns if one.type == "text" and one.mean_words < AMOUNT_WORDS]
    amounts = _partly_named([*filter(_is_number, columns), *terse], AMOUNTS)
    for likely in (
        _named(fitting, SUBJECTS),
        _partly_named(fitting, SUBJECTS),
        [*dict.fromkeys([*(one for one in unnamed if one.type == "text"), *amounts])],
        unnamed,
        classes,
    ):
        if likely:
            return likely
    return _named(columns, LABEL_NAMES)[:1]


def _label(columns: Sequence[Column], rows: int) -> tuple[str | None, str | None]:
    """Return the label; or a question if several are equally likely."""
    likely = _likely_labels(columns, rows)
    if len(likely) > 1:
        return None, _either(likely, "label")
    return (likely[0].name if likely else None), None


def _inputs(texts: Sequence[Column]) -> tuple[tuple[str, ...], str | None]:
    """Return the text, or the two of a pair; or a question if several are equally likely."""
    by_key = {_key(one.name): one.name for one in reversed(texts)}
    endings = [(key, key[:-1] + two) for key in by_key for one, two in PAIR_ENDINGS if key[1:].endswith(one)]
    for first, second in (*endings, *_NAMES["pairs"]):
        if first in by_key and second in by_key:
            return (by_key[first], by_key[second]), None
    named = [*_named(texts, TEXT_NAMES), *_partly_named(texts, TEXT_NAMES)]
    if named:
        return (named[0].name,), None
    sentences = [one for one in texts if one.mean_words >= TEXT_WORDS] or list(texts)
    longest = max((one.mean_characters for one in sentences), default=0.0)
    likely = [one for one in sentences if one.mean_characters >= longest / 2]
    if len(likely) > 1:
        return (), _either(likely, "text")
    return ((likely[0].name,) if likely else ()), None


def refuses_preferences(names: Sequence[str]) -> str | None:
    """Return why columns of a better and a worse response cannot be used; None for others."""
    better, worse = (
        next((name for name in names if {*_key(name).split("_")} & words), None)
        for words in (PREFERRED, REJECTED)
    )
    return PREFERENCES.format(better, worse) if better and worse else None


def _generates(
    columns: Sequence[Column], texts: Sequence[Column], rows: int, label: str | None
) -> tuple[bool, str | None]:
    """Return whether the rows look like prompts with responses, and a question if classes are as likely.

    Columns of prompts and of many unique responses look so, and instructions with however few. The user
    chooses if there is a label too: only an instruction says what its response is for.
    """
    few = 1 if _named(texts, INSTRUCTIONS) else min(USUAL_CLASSES, rows // 2)
    numbers = [one for one in columns if one.type in NUMBERS and _key(one.name) not in LABEL_NAMES]
    answers = [one for one in _named([*texts, *numbers], ANSWERS) if one.distinct > few]
    others = [one for one in texts if one not in answers]
    prompts = _named(others, PROMPTS)
    if not prompts and _named(answers, SUMMARIES):
        prompts = _named(others, TEXT_NAMES)
    if not answers or not prompts:
        return False, None
    if _named(others, INSTRUCTIONS):
        return True, None
    rest = [one for one in columns if one not in answers]
    if any(one.distinct > 1 for one in _named(rest, LABEL_NAMES)):
        return False, None
    if any(one.name == label for one in _named(rest, SUBJECTS)):
        return False, f"It can be generated text (“{answers[0].name}”) or classes (“{label}”). Choose one."
    return True, None


def _prompt_and_answer(
    columns: Sequence[Column], texts: Sequence[Column]
) -> tuple[tuple[str, ...], str | None]:
    """Return the columns of the prompt and of the response: by name, else the first text and the last."""
    prompt = next(iter(_named(texts, (*PROMPTS, *TEXT_NAMES))), None)
    there = [one for one in columns if one.type != "nothing"]
    answer = next((one for one in _named(there, ANSWERS) if one != prompt), None)
    left = [one for one in texts if one not in (prompt, answer)]
    prompt = prompt or (left.pop(0) if left else None)
    answer = answer or (left.pop() if left else None)
    parts = [prompt] if prompt else []
    if prompt and _key(prompt.name) in INSTRUCTIONS:
        more = _named(there, _NAMES["more_of_prompt"])
        parts += [one for one in more if one not in (prompt, answer)][:1]
    return tuple(one.name for one in parts), answer.name if answer else None
