"""The answers of a server to the parts of the page, computed when the page is made: an answer a file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from cdvft_app import ASSETS
from cdvft_app.inspection import examples, sources
from cdvft_app.inspection.sources import RecordedRun
from cdvft_app.payloads.compare import OutcomesRequest, SweepViewRequest
from cdvft_app.payloads.factors import (
    FactorsRequest,
    FromLayerRequest,
    LayerRequest,
    LayerVectors,
    OpenedRun,
)
from cdvft_app.payloads.page import KeptAnswers
from cdvft_app.payloads.train import VerdictRequest
from cdvft_app.store.runs import RunStore
from cdvft_app.sweep import recorded as sweep_recordings
from cdvft_app.ui.compare import outcomes, pages, sweep
from cdvft_app.ui.factors.tab import Questions
from cdvft_app.ui.shared.state import AppState
from cdvft_app.ui.train import run_view

LESSONS = ASSETS / "recorded_lessons.json"  # written by benchmarks/record_lessons.py
_OTHER_EXAMPLE = {
    "error": "No model is loaded here: only examples that were recorded for this layer can be followed. "
    "The studio reads any.",
    "busy": False,
}
_NOT_KEPT = {
    "error": "This page of plain files has no answer to that; the studio computes it.",
    "busy": False,
}

Argument = Mapping[str, Any]


@dataclass
class Kept:
    """`files`: JSON by the name of the file that holds it; `of`: a part's answers, by its element's id."""

    files: dict[str, Any] = field(default_factory=dict)
    of: dict[str, dict[str, KeptAnswers]] = field(default_factory=dict)

    def add(self, part: str, question: str, found: Iterable[tuple[Argument, Any]], otherwise: Any) -> None:
        """Keep a part's answers to one question, and what is said to every other argument."""
        names: dict[str, str] = {}
        for place, (argument, answer) in enumerate(found):
            names[spelled(argument)] = name = f"{part}/{question}-{place}"
            self.files[name] = answer
        self.of.setdefault(part, {})[question] = {"files": names, "otherwise": otherwise}


def spelled(argument: Argument) -> str:
    """Return an argument as `assets/js/static/answers.js` spells it."""
    return json.dumps(sorted(argument.items()), separators=(",", ":"), ensure_ascii=False)


def compute(app: AppState) -> Kept:
    """Compute all answers; `app` is over a store without runs, so that only recorded ones are there."""
    kept = Kept()
    _factors(kept, app.store)
    judged: VerdictRequest = {"runs": [run.id for run in app.store.recorded()]}
    kept.add("run", "verdict", [(judged, run_view.verdict(app.store, judged))], _NOT_KEPT)
    asked: list[SweepViewRequest] = [{"recorded": key} for key, _ in sweep_recordings.recipes()]
    kept.add("sweep", "sweep", [(one, sweep.sweep(app, one)) for one in asked], {"missing": True})
    comparisons: list[OutcomesRequest] = [{"chosen": None, "flops": flops} for flops in (False, True)]
    shown = [(one, outcomes.outcomes(app, one)) for one in comparisons]
    for key, _ in shown[0][1]["choices"]:
        by_name: OutcomesRequest = {"chosen": key, "flops": True}
        shown.append((by_name, outcomes.outcomes(app, by_name)))
    kept.add("outcomes", "outcomes", shown, {"choices": []})
    figures = json.loads(pages.EVIDENCE.read_text(encoding="utf-8"))
    kept.add("evidence", "evidence", [({}, figures)], [])
    recorded = json.loads(LESSONS.read_text(encoding="utf-8"))
    fits = [({"target": one["target"], "n": str(one["n"])}, one["view"]) for one in recorded["fits"]]
    kept.add("lab-form", "fit", fits, _NOT_KEPT)
    return kept


def _factors(kept: Kept, store: RunStore) -> None:
    questions = Questions(store)
    runs = questions.runs({})
    opened = {run["id"]: questions.open({"run": run["id"]}) for run in runs["runs"]}
    by_run: list[tuple[FactorsRequest, OpenedRun]] = [({"run": run}, facts) for run, facts in opened.items()]
    layers: list[LayerRequest] = [
        {"run": run, "module": layer["module"]} for run, facts in opened.items() for layer in facts["layers"]
    ]
    vectors = [(asked, questions.layer(asked)) for asked in layers]
    pictured = [asked for asked, facts in by_run if facts["kind"] == "image"]
    kept.add("factors", "runs", [({}, runs)], _NOT_KEPT)
    kept.add("factors", "open", by_run, _NOT_KEPT)
    kept.add("factors", "layer", vectors, _NOT_KEPT)
    kept.add("factors", "most_changed", [(one, questions.most_changed(one)) for one, _ in by_run], _NOT_KEPT)
    kept.add("factors", "singular", [(asked, questions.singular(asked)) for asked in layers], _NOT_KEPT)
    firsts: list[FromLayerRequest] = [{"run": run, "first": 0} for run in opened]
    kept.add("factors", "overview", [(one, questions.overview(one)) for one in firsts], _NOT_KEPT)
    tried: list[FromLayerRequest] = [
        {"run": f"recorded-{key}", "first": 0}
        for key in sources.recorded_keys()
        if RecordedRun(key).effects()
    ]
    kept.add("factors", "effects", [(one, questions.effects(one)) for one in tried], _NOT_KEPT)
    kept.add("factors", "seeds", [], _NOT_KEPT)
    kept.add("factors", "together", _together(store, layers), _NOT_KEPT)
    kept.add("factors", "walk", _walks(store, vectors), _NOT_KEPT)
    kept.add("factors", "weights", [], _NOT_KEPT)
    kept.add("factors", "images", [(asked, questions.images(asked)) for asked in pictured], _NOT_KEPT)
    kept.add("factors", "inputs", _inputs(store, vectors), _OTHER_EXAMPLE)


def _together(store: RunStore, layers: Iterable[Argument]) -> Iterator[tuple[Argument, Any]]:
    """Yield the effect of each recorded layer, alone and beside each run with which it was recorded."""
    runs = [RecordedRun(key) for key in sources.recorded_keys()]
    for asked in layers:
        source = sources.find(store, asked["run"])
        assert isinstance(source, RecordedRun)
        for other in (None, *(run for run in runs if run != source)):
            if found := source.together(asked["module"], other):
                yield {**asked, "beside": other and other.id}, found


def _recorded(
    store: RunStore, vectors: Iterable[tuple[Argument, LayerVectors]]
) -> Iterator[tuple[Argument, LayerVectors, RecordedRun]]:
    for asked, layer in vectors:
        source = sources.find(store, asked["run"])
        assert isinstance(source, RecordedRun)
        yield asked, layer, source


def _walks(
    store: RunStore, vectors: Iterable[tuple[Argument, LayerVectors]]
) -> Iterator[tuple[Argument, Any]]:
    """Yield the model's answers to each recorded sentence and to the recorded picture."""
    for asked, layer, source in _recorded(store, vectors):
        for text in layer["texts"]:
            if found := source.walk(layer["module"], text):
                yield {**asked, "text": text}, found
        if found := source.walk(layer["module"], None, 0):
            yield {**asked, "image": 0}, found


def _inputs(
    store: RunStore, vectors: Iterable[tuple[Argument, LayerVectors]]
) -> Iterator[tuple[Argument, Any]]:
    """Yield the inputs of layers that one can step through, of the recorded sentences and picture."""
    for asked, layer, source in _recorded(store, vectors):
        if source.settings.method.key not in ("cdvft", "lora"):
            continue
        for text in layer["texts"]:
            yield {**asked, "text": text}, examples.inputs(source, layer["module"], text)
        if patches := examples.patches(source, layer["module"], 0):
            yield {**asked, "image": 0}, patches
