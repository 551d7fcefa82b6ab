"""How long texts are, in tokens."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from cdvft_app.catalog import mirror
from cdvft_app.catalog.own import Division, table
from cdvft_app.settings import OwnData

SAMPLE = 2_000  # rows, drawn at random where there are more
EDGES = (8, 16, 32, 48, 64, 96, 128, 192, 256, 512)
_WORDS = re.compile(r"\w+|[^\w\s]")
MODEL = "minilm"  # of the offline text model, whose vocabulary BERT and many others share


@dataclass(frozen=True)
class Lengths:
    """Of `counted` rows: mean, the length that 19 of 20 do not exceed, the longest; `bars` are the shares of
    rows up to each of `EDGES`, and beyond. `exact`: by MiniLM's tokenizer, else words and marks."""

    counted: int
    mean: int
    usual: int
    longest: int
    bars: tuple[float, ...]
    exact: bool
    tokens: tuple[int, ...]

    def share_over(self, length: int) -> float:
        """The share of rows that are cut at so many tokens."""
        return sum(one > length for one in self.tokens) / len(self.tokens)


def lengths_of(data: OwnData, division: Division) -> Lengths:
    places = division.train
    if len(places) > SAMPLE:
        places = np.random.default_rng(0).choice(places, SAMPLE, replace=False)
    every = table(data.sha256).select(list(data.inputs))
    drawn = np.zeros(every.num_rows, bool)
    drawn[places] = True
    rows = every.filter(drawn)  # `take` would join all batches in memory first
    columns = [rows.column(name).to_pylist() for name in data.inputs]
    place = mirror.prepared(MODEL)
    file = place / "tokenizer.json" if place else None
    if file is not None and file.is_file():
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(file))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        tokenizer_inputs = columns[0] if len(columns) == 1 else list(zip(*columns, strict=True))
        counts = [len(one.ids) for one in tokenizer.encode_batch(tokenizer_inputs)]
    else:
        counts = [
            1 + sum(len(_WORDS.findall(text)) + 1 for text in texts) for texts in zip(*columns, strict=True)
        ]
    numbers = np.array(counts)
    shares = np.histogram(numbers, bins=[0, *(edge + 1 for edge in EDGES), 10**9])[0] / len(numbers)
    return Lengths(
        len(counts),
        round(float(numbers.mean())),
        int(np.ceil(np.quantile(numbers, 0.95))),
        int(numbers.max()),
        tuple(map(float, shares)),
        file is not None,
        tuple(counts),
    )
