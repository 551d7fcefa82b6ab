"""What the judge says about two sides: one word, and all that stands behind it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

Chosen = Literal["other seeds and rows", "other seeds", "other rows", "all"]
Word = Literal["ahead", "behind", "as good", "not shown"]
MARGIN = 0.01
"""As good within 1 point: of a share 1 of 100 rows, of a correlation 0.01."""
SIGNIFICANCE_LEVEL = 0.05
"""Of a whole family of pairs: how often at most a difference may be called one where there is none at all."""
METHODS_FROM = 5
"""Seeds of each side from which the judge speaks of methods; below it speaks of these runs."""
_OPPOSITE: dict[Word, Word] = {"ahead": "behind", "behind": "ahead"}


@dataclass(frozen=True)
class Verdict:
    """`first` is `word` of, against or as `second`: ahead of it, behind it, as good as it, or not shown.

    `size` is the first's score minus the second's, `low` to `high` its interval at `confidence`, None where
    nothing is known of its error. `about`: these very runs, or methods, with `seeds` of each side. `paired`:
    row by row over `rows`. `family`: how many pairs were judged together, for which `p` and the interval are
    corrected (Holm). `chosen`: a side is the best of several, chosen on other rows and other seeds than it is
    judged on, or without such among "all" pairs, for which `p` and the interval are corrected as well.
    `alone`: rows that one run alone has right. `more_rows`, `more_seeds`: about how many of each would settle
    it, where that is known.
    """

    first: str
    second: str
    word: Word
    about: Literal["runs", "methods"]
    metric_name: str
    size: float
    low: float | None
    high: float | None
    confidence: float
    p: float | None
    rows: int | None
    seeds: tuple[int, int]
    paired: bool
    family: int
    chosen: Chosen | None = None
    alone: tuple[int, int] | None = None
    more_rows: int | None = None
    more_seeds: int | None = None

    @property
    def turned(self) -> Verdict:
        """The same as the second's."""
        return replace(
            self,
            first=self.second,
            second=self.first,
            word=_OPPOSITE.get(self.word, self.word),
            size=-self.size,
            low=None if self.high is None else -self.high,
            high=None if self.low is None else -self.low,
            seeds=self.seeds[::-1],
            alone=None if self.alone is None else self.alone[::-1],
        )
