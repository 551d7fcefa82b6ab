"""Few-shot examples: training rows with their answers, put before the prompt of an untrained model."""

from __future__ import annotations

from cdvft_app.catalog.rows import Split

SHOWN = 3


def worked_examples(train: Split, count: int = SHOWN) -> list[tuple[str, str]]:
    """So many prompts with their answers: first one for each number of lines, so that it is seen what may be
    missing; then others, in their order."""
    pairs = list(zip(train.inputs, train.labels, strict=True))
    by_lines = {answer.count("\n"): (prompt, answer) for prompt, answer in reversed(pairs)}
    return [*by_lines.values(), *(pair for pair in pairs if pair not in by_lines.values())][:count]
