"""How long a run of each hub recipe takes on this machine's CPU, measured without the hub.

    python -m benchmarks.hub_times [RECIPE ...]

Writes benchmarks/results/hub_times.json, with recipes that are not named as they were. A step is measured on
random weights and inputs, which change nothing about its time, with texts as long as the recipe lets them be:
batches of shorter texts take less. A run is its steps and, with the time of a forward pass, its evaluations;
loading is left out.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch

from benchmarks.machine import machine, write_record
from cdvft_app import catalog
from cdvft_app.catalog.plan import Plan
from cdvft_app.costs.request import CostRequest
from cdvft_app.measuring.measure import measure
from cdvft_app.settings import RunSettings
from cdvft_app.training import schedule

RESULT = Path(__file__).parent / "results/hub_times.json"
SECONDS = 30.0


def step(plan: Plan) -> CostRequest:
    settings = plan.settings
    assert settings.batch_size
    return CostRequest(
        model=plan.model.key,
        targets=settings.target_modules,
        methods=("cdvft",),
        batch=settings.batch_size,
        sequence=settings.max_length,
        image_size=settings.image_size,
    )


def run(plan: Plan, measured: dict[str, Any]) -> dict[str, Any]:
    """Seconds of all steps and evaluations of a plan, given those of one step and of one forward pass."""
    settings = plan.settings
    assert settings.batch_size and settings.train_examples and settings.evaluation_examples
    steps = schedule.total_steps(settings, settings.train_examples)
    batches = schedule.evaluations(settings, steps) * settings.evaluation_examples / settings.batch_size
    seconds = steps * measured["seconds"] + batches * measured["forward_seconds"]
    return {"steps": steps, "evaluation_batches": round(batches), "seconds": round(seconds)}


def main(recipe_keys: list[str]) -> None:
    steps: dict[CostRequest, dict[str, Any]] = {}
    recipes: dict[str, Any] = json.loads(RESULT.read_text())["recipes"] if recipe_keys else {}
    timed = [key for key, one in catalog.RECIPES.items() if not one.offline and one.kind != "generation"]
    for key in recipe_keys or timed:
        plan = catalog.resolve(RunSettings(recipe=key, method="cdvft"))
        request = step(plan)
        if request not in steps:
            reports: list[dict[str, Any]] = []
            measure(request, reports.append, SECONDS)
            steps[request] = next(line for line in reports if line["kind"] == "result")
        one = {name: round(steps[request][name], 3) for name in ("seconds", "forward_seconds")}
        recipes[key] = {"step": {**request.model_dump(include={"model", "batch", "sequence"}), **one}}
        recipes[key] |= run(plan, one)
        print(f"{key}: {recipes[key]}", flush=True)
    record = {"machine": machine(), "threads": torch.get_num_threads(), "recipes": recipes}
    write_record(RESULT, record)


if __name__ == "__main__":
    main(sys.argv[1:])
