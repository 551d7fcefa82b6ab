"""How long texts are, in tokens."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cdvft_app.catalog import mirror
from cdvft_app.catalog.conversations import joined
from cdvft_app.catalog.uploaded_rows import Division, table
from cdvft_app.settings import UploadedDataset

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
    usual: int
    longest: int
    bars: tuple[float, ...]
    exact: bool
    tokens: tuple[int, ...]

    def share_over(self, length: int) -> float:
        """The share of rows that are cut at so many tokens."""
        return sum(one > length for one in self.tokens) / len(self.tokens)


def lengths_of(data: UploadedDataset, division: Division) -> Lengths:
    places = division.train
    if len(places) > SAMPLE:
        places = np.random.default_rng(0).choice(places, SAMPLE, replace=False)
    written = [data.label] if data.kind == "generation" else []
    every = table(data.sha256).select([*data.inputs, *written])
    drawn = np.zeros(every.num_rows, bool)
    drawn[places] = True
    rows = every.filter(drawn)  # `take` would join all batches in memory first
    folder = mirror.prepared(WRITER if written else MODEL)
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
    """That of a prepared model, which cuts nothing; None where it has none."""
    from tokenizers import Tokenizer

    file = folder / "tokenizer.json"
    if not file.is_file():
        return None
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


def _of_answers(prompts: list[str], answers: list[str], folder: Path | None, tokenizer: Any) -> list[int]:
    """Of each prompt as the model's chat template lays it out, its answer, and the token that ends it."""
    if tokenizer is None or folder is None:
        both = zip(prompts, answers, strict=True)
        return [TEMPLATE_WORDS + sum(len(_WORDS.findall(text)) for text in row) for row in both]
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    # As transformers compiles it, which would take seconds to load.
    template = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True).from_string(
        settings["chat_template"]
    )
    laid_out = [
        template.render(messages=[{"role": "user", "content": prompt}], add_generation_prompt=True)
        for prompt in prompts
    ]
    sides = (tokenizer.encode_batch(side, add_special_tokens=False) for side in (laid_out, answers))
    return [len(prompt.ids) + len(answer.ids) + 1 for prompt, answer in zip(*sides, strict=True)]
