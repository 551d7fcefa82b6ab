"""The recorded races of benchmarks/results/default_race.json, as the judge takes them."""

from __future__ import annotations

from typing import Any

from benchmarks.evidence.drawing import read
from cdvft_app.judging.compared_runs import ComparedRun, contestant
from cdvft_app.judging.comparison_sets import ComparisonSet, judge_runs
from cdvft_app.judging.judge import band
from cdvft_app.judging.row_scores import of_wrong
from cdvft_app.methods import METHODS
from cdvft_app.settings import RunSettings

ADAPTERS = ("cdvft", "lora", "fourierft")


def record() -> dict[str, Any]:
    return read("default_race.json")


def recorded_runs(recipe: str) -> list[dict[str, Any]]:
    """The adapters' runs of one recipe, as they are recorded."""
    return [run for run in record()["runs"] if run["recipe"] == recipe and run["method"] in ADAPTERS]


def settings_of_run(run: dict[str, Any]) -> RunSettings:
    return RunSettings.model_validate(run["settings"])


def runs_of_race(recipe: str) -> list[ComparedRun]:
    """The same as the judge takes them."""
    runs = []
    for run in recorded_runs(recipe):
        settings = settings_of_run(run)
        runs.append(
            ComparedRun(
                settings=settings,
                state="finished",
                metric=run["metric"],
                rows=run.get("rows", settings.evaluation_examples),
                answers=of_wrong(run["rows"], run["wrong"]) if "wrong" in run else None,
            )
        )
    return runs


def metric_of_race(recipe: str) -> str:
    return recorded_runs(recipe)[0]["metric_name"]


def title(run: ComparedRun) -> str:
    return METHODS[run.settings.method.key].title


def compared_race(recipe: str) -> ComparisonSet:
    """The verdicts on them, each method against each other."""
    return judge_runs(runs_of_race(recipe), metric_of_race(recipe), title)


def scores(recipe: str) -> dict[str, tuple[float, float, float]]:
    """Each method's mean score, and the ends of its 95% interval."""
    runs, found = runs_of_race(recipe), {}
    for method in ADAPTERS:
        own = contestant(method, [run for run in runs if run.method == method])
        if own.runs and (interval := band(own, metric_of_race(recipe))):
            found[method] = (own.mean, *interval)
    return found
