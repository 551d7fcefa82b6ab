"""Warnings before training on data (imbalance, duplicates, label leaks), each with its consequence."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from cdvft_app.catalog.uploaded_entry import MAX_LENGTH
from cdvft_app.catalog.uploaded_rows import Division, table
from cdvft_app.data.columns import connect, quoted
from cdvft_app.data.lengths import Lengths
from cdvft_app.settings import UploadedDataset

FEW_OF_CLASS = 8
FEW_TO_EVALUATE = 50
ALMOST_ALL = 0.95
LEAKS = 0.2  # share of the rows whose text has the name of their own label in it
NAMED = 5
LETTERS_OF = 2_000  # rows are looked at for the language
FOREIGN = 0.01  # share of letters beyond a to z: in German and French it is more, in English far less


def warnings_of(
    data: UploadedDataset,
    division: Division,
    classes: Sequence[tuple[str, int, int]],
    lengths: Lengths | None,
) -> Iterator[str]:
    """The most grave first."""
    total = sum(train for _, train, _ in classes)
    for name, train, _ in classes:
        if train > ALMOST_ALL * total:
            yield (
                f"“{name}” has {100 * train / total:.0f} % of the rows: always answering it is right almost "
                "always, so accuracy says little here."
            )
    few = [f"“{name}” ({train})" for name, train, _ in classes if train < FEW_OF_CLASS]
    if few:
        more = f" and {len(few) - NAMED} more" if len(few) > NAMED else ""
        yield (
            f"Fewer than {FEW_OF_CLASS} rows to train on for {', '.join(few[:NAMED])}{more}: "
            f"{'it is' if len(few) == 1 else 'they are'} hardly learned. Give more rows, or join classes."
        )
    right_or_wrong = data.labels or data.metric == "exact_match"
    if right_or_wrong and len(division.evaluation) < FEW_TO_EVALUATE:
        doubt = 100 * 1.96 * math.sqrt(0.25 / len(division.evaluation))
        yield (
            f"{len(division.evaluation)} rows to evaluate on: a score near 50 % is known to ± {doubt:.0f} "
            "points only, so small differences between methods mean nothing."
        )
    yield from _alike(data.labels)
    if data.kind == "text":
        yield from _leak(data)
        yield from _other_language(data)
    if division.doubled:
        have = "rows have" if division.doubled > 1 else "row has"
        yield (
            f"{division.doubled:,} {have} the same input as an earlier one. None is on both sides: "
            f"{division.dropped:,} that are evaluated on are left out of the training."
        )
    yield from _contradictions(data)
    most = MAX_LENGTH["generation"]
    if data.kind == "generation" and lengths and (over := lengths.share_over(most)):
        yield (
            f"{100 * over:.1f} % of the rows have more than {most} tokens, prompt and answer together, and "
            "are left out unless the length is raised: cut, an answer would teach to stop in its middle."
        )
    elif data.kind == "text" and lengths and lengths.longest > 512:
        yield (
            f"The longest text has {lengths.longest:,} tokens; models here read 512 at most, and the rest is "
            "cut."
        )


def _alike(labels: Sequence[str]) -> Iterator[str]:
    """Labels that are most likely one."""
    seen: dict[str, str] = {}
    for label in labels:
        other = seen.setdefault(label.casefold(), label)
        if other != label:
            yield f"The labels “{other}” and “{label}” differ in capitals only: they count as two classes."


def _leak(data: UploadedDataset) -> Iterator[str]:
    """Whether the text has its own label's name in it, and other labels' far less often."""
    if not data.labels:
        return
    text = " || ' ' || ".join(f"lower(coalesce(r.{quoted(name)}, ''))" for name in data.inputs)
    label = f"lower(trim(r.{quoted(data.label)}))"
    query = (
        "SELECT avg((length(l) >= 3 AND contains(t, l))::INT), avg((length(l) >= 3 AND contains(t, o))::INT)"
        f" FROM (SELECT {text} AS t, {label} AS l, $labels[1 + list_position($labels, l) % len($labels)] AS o"
        f" FROM r WHERE {label} <> '')"
    )
    values = {"labels": [one.lower() for one in data.labels]}
    with connect(r=table(data.sha256)) as connection:
        found = connection.execute(query, values).fetchone()
    its_own, of_others = (found[0] or 0.0, found[1] or 0.0) if found else (0.0, 0.0)
    if its_own > LEAKS and its_own > 2 * of_others:
        yield (
            f"In {100 * its_own:.0f} % of the rows the text holds the name of its own label: the answer may "
            "be given away, and the score will be too good."
        )


def _other_language(data: UploadedDataset) -> Iterator[str]:
    """Whether letters such as é or и are too many for English, by the first texts."""
    text = " || ' ' || ".join(f"coalesce(r.{quoted(name)}, '')" for name in data.inputs)
    query = (
        "SELECT sum(length(regexp_replace(t, '[\\P{L}a-zA-Z]', '', 'g'))),"
        " sum(length(regexp_replace(t, '\\P{L}', '', 'g')))"
        f" FROM (SELECT {text} AS t FROM r LIMIT {LETTERS_OF})"
    )
    with connect(r=table(data.sha256)) as connection:
        found = connection.execute(query).fetchone()
    others, letters = found or (0, 0)
    if letters and others > FOREIGN * letters:
        yield (
            f"{100 * others / letters:.0f} % of the letters are not among those of English, the language of "
            "MiniLM. Multilingual E5 small, under “Another model or other data” (--model e5_small), reads "
            "about 100 languages."
        )


def _contradictions(data: UploadedDataset) -> Iterator[str]:
    """Equal inputs with different labels, among rows that are not left out for an empty input or label."""
    label = f"trim(r.{quoted(data.label)})"
    if data.kind == "image":
        inputs, given = [f"r.{quoted(name)}.bytes" for name in data.inputs], "true"
    else:
        inputs = [f"coalesce(trim(r.{quoted(name)}), '')" for name in data.inputs]
        all_or_any = " OR " if data.kind == "generation" else " AND "  # a part of a prompt may be empty
        given = all_or_any.join(f"{one} <> ''" for one in inputs)
    query = (
        f"SELECT count(*) FROM (SELECT hash({', '.join(inputs)}) AS h FROM r WHERE {label} <> ''"
        f" AND ({given}) GROUP BY h HAVING count(DISTINCT {label}) > 1)"
    )
    with connect(r=table(data.sha256)) as connection:
        found = connection.execute(query).fetchone()
    if found and found[0]:
        many = found[0] > 1
        yield (
            f"{found[0]:,} input{'s come' if many else ' comes'} with different "
            f"{'answers' if data.kind == 'generation' else 'labels'}: nobody can be right "
            f"on {'them' if many else 'it'} each time."
        )
