"""Numbers as people write them: 1.234,50 €, $1,234.50, 12 %, 1 234,5.

This module imports nothing of the app: exported folders have it beside them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

_GAP = "[ \u00a0\u2009\u202f]"  # a space, and those that do not break a line
_CURRENCY = "[€$£¥₹₽₺₩]|[A-Z]{3}|Fr\\."
_UNIT = r"[^\s0-9.,+−–-][^\s0-9]{0,5}"
_ABOUT = "(?:ab|from|ca\\.?|circa|about|approx\\.?|~|≈|desde|dès)"
SYMBOLS = {"eur": "€", "euro": "€", "usd": "$", "gbp": "£", "jpy": "¥", "inr": "₹"}
NUMBER_MARKS: Mapping[str, str] = {"comma": ",", "point": "."}


def written_number(mark: str) -> str:
    """Return a regular expression for numbers such as 1.234,50 €, ab 12 % and 1 234,5.

    Args:
        mark: before the decimals, "," or "."; the other one may stand between thousands, as may spaces and
            apostrophes.

    Its groups are a sign, a sign behind the currency, and the number.
    """
    thousands = "|".join(
        f"[0-9]{{1,3}}(?:{between}[0-9]{{3}})+" for between in (rf"\{',.'.replace(mark, '')}", _GAP, "['’]")
    )
    decimals = rf"(?:\{mark}(?:[0-9]+|[-–—]{{1,2}}))?"  # 12,- has none
    number = f"((?:{thousands}|[0-9]+){decimals})"
    return f"(?:{_ABOUT}{_GAP}?)?([+−–-]?)(?:(?:{_CURRENCY}){_GAP}?)?([+−–-]?){number}(?:{_GAP}?{_UNIT})?"


def unit_of(text: str) -> str:
    """Return the unit of a written number in lower case, a currency as its symbol; empty if it has none."""
    unit = re.sub(f"^{_ABOUT}(?![a-z])|[0-9.,+−–'’ \u00a0\u2009\u202f-]", "", text.strip().lower())
    return SYMBOLS.get(unit, unit)


def number_reader(mark: str) -> Callable[[str], str | None]:
    """Return a function that writes such a number as programs do, 1.234,50 € as 1234.50; None for others."""
    written = re.compile(written_number(mark))

    def read(text: str) -> str | None:
        match = written.fullmatch(text)
        if match is None:
            return None
        sign = "-" if {*"-−–"} & {*match[1], *match[2]} else ""
        whole, _, decimals = match[3].partition(mark)
        decimals = decimals.strip("-–—")
        return sign + re.sub("[^0-9]", "", whole) + (f".{decimals}" if decimals else "")

    return read
