"""Prompts with answers that are to be written: how the answers are scored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from cdvft_app.catalog.uploaded_rows import table
from cdvft_app.data.columns import Column, Roles, connect, quoted
from cdvft_app.data.keep import ImportedTable

SHORT = 60  # characters that 19 of 20 answers do not exceed, where whole answers are right or wrong
FEW = 0.05  # share of the answers that may go over several lines then

Scored = Literal["exact_match", "chrf"]


def choose_metric(kept: ImportedTable, roles: Roles, columns: Sequence[Column]) -> tuple[Scored, str]:
    """The metric of the answers, and why: short ones in one line are right or wrong, others more or less."""
    column = next(one for one in columns if one.name == roles.label)
    with connect(r=table(kept.sha256)) as connection:
        query = (
            f"SELECT quantile_disc(length(a), 0.95), avg(contains(a, chr(10))::INT) FROM"
            f" (SELECT trim(r.{quoted(column.name)}) AS a FROM r) WHERE a <> ''"
        )
        found = connection.execute(query).fetchone()
    usual, lines = found if found and found[0] is not None else (0, 0.0)
    length = (
        f"“{column.name}” has {column.distinct:,} different values, 19 of 20 of at most {usual:,} characters"
    )
    if usual <= SHORT and lines < FEW:
        return (
            "exact_match",
            f"{length}: right is what is written exactly so (exact match).",
        )
    return "chrf", f"{length}: how alike in letters what is written is counts (chrF)."
