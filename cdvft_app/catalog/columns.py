"""What the columns of a table hold, and which of them are most likely text, label, prompt and answer.

Uploaded files and datasets of the hub are looked at alike: by the names that such columns usually have
(English, German, French and Spanish), then by what they hold. Where two columns are as likely, a person is
asked.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from cdvft_app.catalog.written_numbers import NUMBER_MARKS, unit_of, written_number

if TYPE_CHECKING:
    import pyarrow as pa

MAX_CLASSES = 1000
USUAL_CLASSES = 50  # a column that nobody named a label is one with at most so many values
LABEL_CHARACTERS = 40  # on average, at most, of a column that nobody named a label
TEXT_WORDS = 2.0  # on average, at least, of a column that nobody named a text
AMOUNT_WORDS = 3.0  # on average, below that, of a column of amounts: 1.234,50 EUR, and some on request
WRITTEN = "written numbers"  # such as 1.234,50 €
NUMBERS = ("whole numbers", "numbers", WRITTEN)
IMAGE_NAMES = ("image", "img")

# Names as `_key` writes them; of each list the first that is there counts.
TEXT_NAMES = (
    "text", "texte", "texto", "sentence", "satz", "phrase", "frase", "oracion", "review", "rezension",
    "avis", "resena", "content", "inhalt", "contenu", "contenido", "comment", "kommentar",
    "commentaire", "comentario", "message", "nachricht", "mensaje", "body", "tweet", "post", "beitrag",
    "question", "frage", "pregunta", "document", "dokument", "description", "beschreibung",
    "descripcion", "utterance", "query", "anfrage", "input", "eingabe", "entree", "entrada", "opinion",
    "meinung", "bewertung", "kritik", "critique", "critica", "title", "titel", "titre", "titulo",
    "headline", "subject", "betreff", "objet", "asunto",
)  # fmt: skip
PAIRS = (
    ("premise", "hypothesis"), ("question", "sentence"), ("query", "passage"), ("text", "text_pair"),
    ("question", "answer"), ("frage", "antwort"), ("question", "reponse"), ("pregunta", "respuesta"),
)  # fmt: skip
PAIR_ENDINGS = (("1", "2"), ("a", "b"))
LABEL_NAMES = (
    "label", "labels", "etikett", "etiquette", "etiqueta", "gold_label", "fine_label", "class",
    "klasse", "classe", "clase", "target", "gold", "y", "label_text", "label_name",
)  # fmt: skip
SUBJECTS = (  # what a label often is; of several one is asked for
    "category", "kategorie", "categorie", "categoria", "sentiment", "stimmung", "sentimiento",
    "polarity", "polarite", "polaridad", "stars", "sterne", "etoiles", "estrellas", "rating",
    "bewertung", "note", "puntuacion", "score", "intent", "topic", "thema", "theme", "sujet", "tema",
    "emotion", "coarse_label", "similarity", "similarity_score", "aehnlichkeit", "ahnlichkeit",
    "similarite", "similitud", "relatedness_score", "relevance", "is_duplicate",
)  # fmt: skip
AMOUNTS = (  # which are asked for beside classes that have no name of a label
    "price", "preis", "prix", "precio", "amount", "betrag", "montant", "importe", "cost", "costs", "kosten",
    "cout", "coste", "salary", "gehalt", "salaire", "salario", "rent", "miete", "kaltmiete", "warmmiete",
    "loyer", "alquiler", "revenue", "umsatz", "income", "einkommen", "revenu", "ingresos",
)  # fmt: skip
ABOUT_A_ROW = (  # what is said of a row besides; least likely a label
    "priority", "prioritaet", "prioritat", "priorite", "prioridad", "language", "lang", "sprache",
    "langue", "idioma", "source", "quelle", "origen", "country", "land", "pays", "pais", "region",
    "status", "channel", "kanal", "canal", "gender", "geschlecht", "genre", "age", "alter", "author",
    "authors", "autor", "auteur", "user", "year", "jahr",
)  # fmt: skip
INSTRUCTIONS = ("instruction", "prompt", "anweisung", "consigne", "instruccion")
PROMPTS = (
    *INSTRUCTIONS, "question", "frage", "pregunta", "query", "input", "eingabe", "entree", "entrada",
    "source", "article", "artikel", "articulo", "dialogue", "dialog", "problem",
)  # fmt: skip
MORE_OF_PROMPT = (
    "input", "eingabe", "entree", "entrada", "context", "kontext", "contexte", "contexto",
)  # fmt: skip
SUMMARIES = (
    "summary", "zusammenfassung", "resume", "resumen", "highlights", "translation", "uebersetzung",
    "ubersetzung", "traduction", "traduccion",
)  # fmt: skip
ANSWERS = (
    "output", "completion", "response", "answer", "answers", "target", "ausgabe", "antwort", "reponse",
    "sortie", "respuesta", "salida", "solution", "loesung", "losung", *SUMMARIES,
)  # fmt: skip
PREFERRED, REJECTED = ("chosen", "preferred", "winner"), ("rejected", "dispreferred", "loser")
SPEAKERS, SPOKEN = (
    ("role", "speaker", "sender", "rolle"),
    ("content", "text", "message", "value", "utterance"),
)
SPLITS = ("split", "set", "fold", "subset")

PREFERENCES = (
    "It holds preference pairs (“{0}” and “{1}”), which no method here learns from. Choose “{0}” as the "
    "answer, and the column of its prompt; where the prompt stands within “{0}”, make a column of it first."
)
ONE_MESSAGE_A_ROW = (
    "Each row is one message of a conversation (“{0}” says whose “{1}” it is). Give one conversation in each "
    'row, as {{"messages": [{{"role": "user", "content": "A"}}, {{"role": "assistant", "content": "B"}}]}}.'
)


@dataclass(frozen=True)
class Column:
    """`type` in plain words; `distinct` counts different values; the means are of those that are there."""

    name: str
    type: str
    missing: int
    distinct: int
    mean_characters: float
    mean_words: float = 1.0


@dataclass(frozen=True)
class Roles:
    """The columns of the inputs, of the label, and of the split; empty and None where none was found.

    If `is_generative` they are the prompt, or its parts, and the answer. `question` asks for what could not
    be guessed, or says why nothing can be learned from such columns.
    """

    inputs: tuple[str, ...]
    label: str | None
    split: str | None
    is_generative: bool = False
    question: str | None = None


_NUMBER = re.compile(
    r"[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)(e[+-]?[0-9]+)?|[+-]?(inf|infinity|nan)", re.IGNORECASE
)
_NOT_FINITE = re.compile(r"[+-]?(inf|infinity|nan)", re.IGNORECASE)
_DATE = re.compile(
    r"([0-9]{4}-[0-9]{1,2}-[0-9]{1,2}|[0-9]{1,2}[./-][0-9]{1,2}[./-]([0-9]{4}|[0-9]{2}))([ T].*)?"
)
_TYPES = (("whole numbers", re.compile("[+-]?[0-9]+")), ("numbers", _NUMBER), ("dates", _DATE))


def texts(column: pa.ChunkedArray) -> Iterator[str]:
    """Yield the text of each row without spaces around it, empty if there is none."""
    for chunk in column.chunks:
        yield from ((str(one) if one is not None else "").strip() for one in chunk.to_pylist())


def inputs_of(rows: pa.Table, names: Sequence[str], kind: str) -> Iterator[tuple[str | bytes, ...]]:
    """Yield what each row has in the columns of inputs: texts, or the bytes of an image."""
    if kind == "image":
        (name,) = names
        for chunk in rows.column(name).chunks:
            yield from (((one or {}).get("bytes") or b"",) for one in chunk.to_pylist())
    else:
        yield from zip(*(texts(rows.column(name)) for name in names), strict=True)


def lacks_input(inputs: Sequence[str | bytes], kind: str) -> bool:
    """Return whether a row cannot be read. A part of a prompt may be empty, other inputs may not."""
    return not (any(inputs) if kind == "generation" else all(inputs))


def as_number(text: str) -> float:
    """Return the finite number that a text holds, else nan."""
    value = float(text) if _NUMBER.fullmatch(text) else math.nan
    return value if math.isfinite(value) else math.nan


def columns_of(rows: pa.Table, names: Iterable[str], pictures: str | None = None) -> tuple[Column, ...]:
    """Return columns with types, missing and distinct values. `pictures` is the one of images."""
    import pyarrow as pa

    found = []
    for name in names:
        if name == pictures:
            found.append(Column(name, "pictures", 0, rows.num_rows, 0.0, 0.0))
        elif pa.types.is_nested(rows.schema.field(name).type):
            found.append(Column(name, "lists", 0, rows.num_rows, 0.0, 0.0))
        else:
            found.append(_column(name, rows.column(name)))
    return tuple(found)


def _column(name: str, column: pa.ChunkedArray) -> Column:
    counts = Counter(texts(column))
    missing = counts.pop("", 0)
    there = counts.total()
    characters = sum(len(text) * count for text, count in counts.items())
    words = sum((1 + text.count(" ")) * count for text, count in counts.items())
    return Column(
        name, _type(counts), missing, len(counts), characters / max(there, 1), words / max(there, 1)
    )  # fmt: skip


def _type(counts: Counter[str]) -> str:
    if not counts:
        return "nothing"
    for name, pattern in _TYPES:
        if all(map(pattern.fullmatch, counts)):
            return name
    written = _written(counts)
    if written and written.is_amount and not written.odd and len(written.units) < 2:
        return WRITTEN
    return "text"


@dataclass(frozen=True)
class WrittenNumbers:
    """A column of which almost all values are numbers, at least some of them as people write them.

    Attributes:
        mark: before the decimals, "comma" or "point"; None if the values allow both, or none of the two.
        example: how they are written.
        units: the distinct ones, such as €.
        is_mixed: whether some values need a comma and others a point.
        is_amount: with decimals, or more distinct values than classes have.
        odd: values that are not numbers, with their rows.
    """

    mark: Literal["comma", "point"] | None
    example: str
    units: tuple[str, ...]
    is_mixed: bool
    is_amount: bool
    odd: tuple[tuple[str, int], ...]


MAX_NUMBERS = 20  # distinct ones, beyond which they are amounts and not classes
ODD_AMONG_NUMBERS, ODD_SHARE = 5, 0.1  # distinct values that are not numbers, and share of the rows, at most


def written_numbers(rows: pa.Table, name: str) -> WrittenNumbers | None:
    """Return how people wrote the numbers of a column; None if it has none, or programs wrote them."""
    counts = Counter(texts(rows.column(name)))
    del counts[""]
    return _written(counts)


def odd_among_numbers(rows: pa.Table, name: str) -> list[tuple[str, int]]:
    """Return the few values that are not numbers, with their rows; none if they are not few."""
    counts = Counter(texts(rows.column(name)))
    del counts[""]
    odd = [(text, count) for text, count in counts.most_common() if not _NUMBER.fullmatch(text)]
    return odd if _are_few(odd, counts.total()) else []


def _are_few(odd: Sequence[tuple[str, int]], rows: int) -> bool:
    return len(odd) <= ODD_AMONG_NUMBERS and sum(count for _, count in odd) <= ODD_SHARE * rows


def _written(counts: Counter[str]) -> WrittenNumbers | None:
    by_mark = {name: re.compile(written_number(mark)) for name, mark in NUMBER_MARKS.items()}
    odd: list[tuple[str, int]] = []
    needed: set[str] = set()
    units: set[str] = set()
    example = ""
    has_mark, decimals = False, dict.fromkeys(NUMBER_MARKS, False)
    for text, count in counts.items():
        plain = bool(_NUMBER.fullmatch(text))
        fits = [name for name, pattern in by_mark.items() if pattern.fullmatch(text)]
        if not fits and not plain:
            odd.append((text, count))
            if len(odd) > ODD_AMONG_NUMBERS:
                return None
            continue
        if plain and "point" not in fits:
            fits.append("point")
        if len(fits) == 1 and not _NOT_FINITE.fullmatch(text):
            needed.update(fits)
        has_mark = has_mark or "," in text or "." in text
        for name in fits:
            decimals[name] = decimals[name] or bool(re.search(rf"\{NUMBER_MARKS[name]}[0-9]", text))
        if not plain:
            units.add(unit_of(text))
            example = max(example, text, key=lambda one: (len(one), one))
    if not example or not _are_few(odd, counts.total()):
        return None
    mark: Literal["comma", "point"] | None = None
    if len(needed) == 1 or not has_mark:
        mark = "comma" if "comma" in needed else "point"
    by_decimals = decimals[mark] if mark else has_mark
    is_amount = by_decimals or len(counts) - len(odd) > MAX_NUMBERS
    odd.sort(key=lambda one: -one[1])
    return WrittenNumbers(
        mark, example, tuple(sorted(units - {""})), len(needed) > 1, is_amount, tuple(odd)
    )  # fmt: skip


def guess_roles(
    columns: Sequence[Column],
    rows: int,
    *,
    pictures: str | None = None,
    is_generative: bool | None = None,
) -> Roles:
    """Guess the columns' roles by usual names first, then by what the columns hold.

    Args:
        columns: of the table.
        rows: how many it has.
        pictures: the column of pictures, if it has one.
        is_generative: whether answers are written; None: that is guessed, too.
    """
    split = next((one.name for one in _named(columns, SPLITS) if one.distinct <= 5), None)
    columns = [one for one in columns if one.name != split]
    if pictures:
        label, question = _label([one for one in columns if one.name != pictures], rows)
        return Roles((pictures,), label, split, question=question)
    if is_generative is None:
        refused = _preferences(columns) or _one_message_a_row(columns)
        if refused:
            return Roles((), None, split, question=refused)
    texts = [one for one in columns if one.type == "text"]
    label, question = _label(columns, rows)
    if is_generative is None:
        is_generative, either = _writes(columns, texts, rows, label)
        if either:
            return Roles((), None, split, question=either)
    if is_generative:
        return Roles(*_prompt_and_answer(columns, texts), split, True)
    likely = {one.name for one in _likely_labels(columns, rows)}
    texts = [one for one in texts if one.name != label]
    inputs, of_text = _inputs([one for one in texts if one.name not in likely] or texts)
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
    return f"{', '.join(first)} and {last} are as likely the {role}. Say which one is."


# Labels


def _is_categorical(column: Column, rows: int) -> bool:
    most = min(USUAL_CLASSES, rows // 2)
    is_short = column.mean_characters < LABEL_CHARACTERS
    return column.type in ("text", "whole numbers") and 2 <= column.distinct <= most and is_short


def _likely_labels(columns: Sequence[Column], rows: int) -> list[Column]:
    """Return the likeliest columns, all as likely as each other; none where no column looks like a label."""
    said = next((one for one in _named(columns, LABEL_NAMES) if one.distinct > 1), None)
    if said:
        return [said]
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


def _is_number(column: Column) -> bool:
    return column.type in NUMBERS and column.distinct > 1


def _label(columns: Sequence[Column], rows: int) -> tuple[str | None, str | None]:
    """Return the label; or a question where several are as likely."""
    likely = _likely_labels(columns, rows)
    if len(likely) > 1:
        return None, _either(likely, "label")
    return (likely[0].name if likely else None), None


# Texts


def _inputs(texts: Sequence[Column]) -> tuple[tuple[str, ...], str | None]:
    """Return the text, or the two of a pair; or a question where several are as likely."""
    by_key = {_key(one.name): one.name for one in reversed(texts)}
    for key, first in by_key.items():
        for one, two in PAIR_ENDINGS:
            second = by_key.get(key[:-1] + two)
            if key.endswith(one) and key[:-1] and second:
                return (first, second), None
    for pair in PAIRS:
        if set(pair) <= set(by_key):
            return (by_key[pair[0]], by_key[pair[1]]), None
    named = [*_named(texts, TEXT_NAMES), *_partly_named(texts, TEXT_NAMES)]
    if named:
        return (named[0].name,), None
    spoken = [one for one in texts if one.mean_words >= TEXT_WORDS] or list(texts)
    longest = max((one.mean_characters for one in spoken), default=0.0)
    likely = [one for one in spoken if one.mean_characters >= longest / 2]
    if len(likely) > 1:
        return (), _either(likely, "text")
    return ((likely[0].name,) if likely else ()), None


# Prompts and answers


def _preferences(columns: Sequence[Column]) -> str | None:
    """Return what `refuses_preferences` says of the columns of texts."""
    return refuses_preferences([one.name for one in columns if one.type in ("text", "lists")])


def refuses_preferences(names: Sequence[str]) -> str | None:
    """Return why nothing is learned from columns of a better and a worse answer; None for others."""
    better, worse = (
        next((name for name in names if {*_key(name).split("_")} & {*words}), None)
        for words in (PREFERRED, REJECTED)
    )
    return PREFERENCES.format(better, worse) if better and worse else None


def _one_message_a_row(columns: Sequence[Column]) -> str | None:
    speakers = [one for one in _named(columns, SPEAKERS) if 2 <= one.distinct <= 5]
    spoken = [one for one in _named(columns, SPOKEN) if one.type == "text"]
    others = [one for one in columns if one not in (*speakers, *spoken)]
    if not speakers or not spoken or _named(others, (*LABEL_NAMES, *SUBJECTS)):
        return None
    return ONE_MESSAGE_A_ROW.format(speakers[0].name, spoken[0].name)


def _writes(
    columns: Sequence[Column], texts: Sequence[Column], rows: int, label: str | None
) -> tuple[bool, str | None]:
    """Return whether answers seem to be written texts, and a question where classes are as likely.

    Columns of prompts and of many different answers look so, and instructions with however few. With a label
    beside them, that is asked for: only an instruction says what its answer is for.
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
    subjects = [one for one in _named(rest, SUBJECTS) if one.name == label]
    if subjects:
        return False, (
            f"Answers could be written (“{answers[0].name}”), or one of some classes told "
            f"(“{subjects[0].name}”). Say which."
        )
    return True, None


def _prompt_and_answer(
    columns: Sequence[Column], texts: Sequence[Column]
) -> tuple[tuple[str, ...], str | None]:
    """Return the columns of the prompt and of the answer: by name, else the first text and the last."""
    prompt = next(iter(_named(texts, (*PROMPTS, *TEXT_NAMES))), None)
    there = [one for one in columns if one.type != "nothing"]
    answer = next((one for one in _named(there, ANSWERS) if one != prompt), None)
    left = [one for one in texts if one not in (prompt, answer)]
    prompt = prompt or (left.pop(0) if left else None)
    answer = answer or (left.pop() if left else None)
    parts = [prompt] if prompt else []
    if prompt and _key(prompt.name) in INSTRUCTIONS:
        parts += [one for one in _named(there, MORE_OF_PROMPT) if one not in (prompt, answer)][:1]
    return tuple(one.name for one in parts), answer.name if answer else None
