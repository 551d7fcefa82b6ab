"""What a recipe's language model writes before any training: told what is wanted, and shown worked examples.

    python -m benchmarks.record_untrained [--recipe addresses]

Writes benchmarks/results/untrained_<recipe>.json: every answer to the evaluation rows, scored as runs are;
the catalogue quotes the scores beside those of trained models. The examples are the first training rows of
seed 0: one for each number of lines, so that the model sees what may be missing. An answer may be as long as
prompt and answer together while training: a longer one is none that is right.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any, cast

from benchmarks.machine import machine, write_whole
from cdvft_app.catalog import resolve
from cdvft_app.catalog.dataset_readers import load_rows
from cdvft_app.metrics import measure_texts
from cdvft_app.progress import never, silent
from cdvft_app.settings import RunSettings
from cdvft_app.tasks.generation import GenerationTask, worked_examples
from cdvft_app.tasks.prepare import prepare

RESULTS = Path(__file__).parent / "results"
MAX_LENGTH = 512  # room for the examples


def main() -> None:
    """Ask the model all evaluation rows twice, and write down what it says."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--recipe", default="addresses")
    recipe = parser.parse_args().recipe
    plan = resolve(RunSettings(recipe=recipe, method="lora", max_length=MAX_LENGTH))
    settings, room = plan.settings, plan.recipe.max_length
    assert settings.train_examples and settings.evaluation_examples and room
    rows = load_rows(
        plan.dataset,
        train_examples=settings.train_examples,
        evaluation_examples=settings.evaluation_examples,
        seed=0,
    )
    task = cast(GenerationTask, prepare(plan, silent, never, rows).task)
    shown = worked_examples(rows.train)
    found: dict[str, Any] = {"machine": machine(), "examples_shown": shown}
    for name, examples in (("told", ()), ("shown", shown)):
        task.shots, task.max_length = examples, MAX_LENGTH
        prompts = task.examples(rows.evaluation.inputs)
        task.max_length = max(len(one["input_ids"]) for one in prompts) + room
        started = time.perf_counter()
        answers = [one.text or "" for one in task.predict(rows.evaluation.inputs)]
        seconds = time.perf_counter() - started
        scores = measure_texts(answers, list(rows.evaluation.labels), plan.dataset)
        found[name] = {**scores, "seconds": round(seconds, 1), "answers": answers}
        print(name, scores, f"{seconds:.0f} s")
    file = RESULTS / f"untrained_{recipe}.json"
    write_whole(file, json.dumps(found, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
