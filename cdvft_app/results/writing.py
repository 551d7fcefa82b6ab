"""Several runs and the model as it came write the answer to one prompt side by side, a token each in turn."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any, cast

from cdvft_app.catalog.download import DownloadFailed
from cdvft_app.catalog.rows import load_rows
from cdvft_app.metrics.fields import read_fields
from cdvft_app.results.errors import ResultsError
from cdvft_app.results.finished_run import FinishedRun
from cdvft_app.results.side_by_side import FROZEN, SideBySide
from cdvft_app.tasks.base import InvalidInput
from cdvft_app.tasks.generation import GenerationTask
from cdvft_app.tasks.worked_examples import worked_examples
from cdvft_app.tasks.writing import Sampling

UPDATE_SECONDS = 0.1
TOO_LONG = "No example fits beside this prompt."


@dataclass
class Side:
    """One column: what is written, piece by piece with probabilities, and how fast.

    `note` says what the model was given, or why it writes nothing; `tokens` and `seconds` are its own.
    """

    title: str
    note: str
    method: str | None
    pieces: list[tuple[str, float]] = field(default_factory=list)
    tokens: int = 0
    seconds: float = 0.0
    ended: bool = False
    fields: dict[str, str] = field(default_factory=dict)
    json: str = ""


def examples_of(run: FinishedRun) -> list[tuple[str, str]]:
    """Training rows of the run's data to show to the untrained model; none where the data cannot be had."""
    count = run.plan.settings.train_examples
    assert count is not None
    try:
        rows = load_rows(run.plan.dataset, train_examples=count, evaluation_examples=1, seed=0)
    except DownloadFailed:
        return []
    return worked_examples(rows.train)


def write(
    models: SideBySide,
    runs: Sequence[FinishedRun],
    examples: Sequence[tuple[str, str]],
    prompt: str,
    *,
    most: int,
    sampling: Sampling,
    stopped: Callable[[], bool],
) -> Iterator[list[dict[str, Any]]]:
    """All sides as they are, ten times a second at most, and once more at the end.

    Every side draws by the same seed. Once `stopped()`, nothing more is written.

    Raises:
        ResultsError: the prompt is too long for the model.
    """
    task = cast(GenerationTask, models.task)
    try:
        few_shot = task.fitting(prompt, examples, most)
    except InvalidInput as error:
        raise ResultsError(str(error)) from None
    note = (
        f"with {len(few_shot)} example{'s' if len(few_shot) > 1 else ''} in its prompt"
        if few_shot
        else TOO_LONG
    )
    sides = [Side("Base", "told the same", None), Side("Base", note, None, ended=not few_shot)]
    sides += [Side(run.label, "", run.record.method) for run in runs]
    ways = [(FROZEN, ()), (FROZEN, few_shot), *((run.record.id, ()) for run in runs)]
    streams = [
        task.stream(prompt, most, sampling, partial(models.forward, key), examples) for key, examples in ways
    ]
    last_update = 0.0
    while not stopped() and not all(side.ended for side in sides):
        for side, stream in zip(sides, streams, strict=True):
            if not side.ended:
                _write_token(side, stream)
            if (
                time.monotonic() - last_update >= UPDATE_SECONDS
            ):  # within a round: the first word is soon there
                last_update = time.monotonic()
                yield [asdict(side) for side in sides]
    yield [asdict(_with_fields(side, task.fields)) for side in sides]


def _write_token(side: Side, stream: Iterator[tuple[str, float] | None]) -> None:
    """One token more."""
    began = time.perf_counter()
    try:
        piece = next(stream)
    except StopIteration:
        side.ended = True
        return
    finally:
        side.seconds += time.perf_counter() - began
    side.tokens += 1
    if piece:
        side.pieces.append(piece)


def _with_fields(side: Side, names: Sequence[str]) -> Side:
    """With the fields of what it wrote."""
    if not names or not side.pieces:
        return side
    found = read_fields("".join(piece for piece, _ in side.pieces), names)
    ordered = {name: found[name] for name in names if name in found}
    return replace(side, fields=ordered, json=json.dumps(ordered, indent=2, ensure_ascii=False))
