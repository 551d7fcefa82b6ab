"""The Factors tab: the factors and the update of each layer of a run, at every snapshot of its training.

The page requests one layer at a time, with all its snapshots, and rebuilds every matrix from its vectors, so
that moving through the training needs no request.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from typing import Any, cast

from cdvft_app.figures import palette
from cdvft_app.figures.palette import FACTOR_STYLES
from cdvft_app.inspection import examples, layers, sources
from cdvft_app.inspection.background import Inspector
from cdvft_app.inspection.sources import RecordedRun, Source, Unavailable
from cdvft_app.inspection.turns import Busy
from cdvft_app.payloads.factors import (
    Effects,
    Images,
    InspectedRun,
    InspectedRuns,
    KeptVectors,
    LayerInputs,
    LayerVectors,
    Module,
    MostChanged,
    NoSingularValues,
    OpenedRun,
    Overview,
    Refused,
    SeedEffects,
    SingularValues,
    Together,
    WalkAnswers,
    Weights,
)
from cdvft_app.settings import InvalidChoice
from cdvft_app.store.records import StoreError
from cdvft_app.store.runs import RunStore
from cdvft_app.store.snapshots import SnapshotError
from cdvft_app.ui.shared.component import component
from cdvft_app.ui.shared.form import summary
from cdvft_app.ui.shared.pool import Pool
from cdvft_app.ui.shared.problem import without_paths
from cdvft_app.ui.shared.state import AppState
from cdvft_app.ui.shared.viewing import visitor

TITLE = "Factors"
COMPUTING = 4, 32  # requests at a time, and waiting
SHARE = 2, 8  # of one visitor
PATIENCE = 20.0  # seconds that a request waits for those of other visitors


def build(app: AppState) -> None:
    """Lay the tab out; it loads its runs when it is first opened."""
    read: dict[str, Callable[[Questions, dict[str, Any]], Mapping[str, Any]]] = {
        "runs": Questions.runs,
        "open": Questions.open,
        "layer": Questions.layer,
    }
    computed: dict[str, Callable[[Questions, dict[str, Any]], Mapping[str, Any]]] = {
        "most_changed": Questions.most_changed,
        "singular": Questions.singular,
        "overview": Questions.overview,
        "weights": Questions.weights,
        "images": Questions.images,
        "inputs": Questions.inputs,
        "effects": Questions.effects,
        "seeds": Questions.seeds,
        "together": Questions.together,
        "walk": Questions.walk,
    }
    questions = Questions(app.store, lambda: app.queue.budget.spending(visitor(), "look into factors"))
    pool = Pool(*COMPUTING, "The server computes for others; try again in a moment.", SHARE)
    component(
        "factors/tab.js",
        slow_functions={name: _catching_errors(questions, ask) for name, ask in read.items()}
        | {name: pool.answering(_catching_errors(questions, ask)) for name, ask in computed.items()},
        lines=palette.lines(),
        factors={name: style[0] for name, style in FACTOR_STYLES.items()},
        elem_id="factors",
    )


class Questions:
    """What the page may ask. Every argument is untrusted: ids and names are looked up, never used."""

    def __init__(
        self, store: RunStore, counted: Callable[[], AbstractContextManager[object]] = nullcontext
    ) -> None:
        self.store = store
        self.inspector = Inspector(store.root, counted)

    def runs(self, _: dict[str, Any]) -> InspectedRuns:
        """Every run that has snapshots, the latest first, recorded ones last."""
        return {"runs": [_facts(source) for source in sources.list_sources(self.store)]}

    def open(self, request: dict[str, Any]) -> OpenedRun:
        """{"run"}: its losses, snapshots, layers, and the norms of its frozen weights as far as recorded."""
        source = self._source(request)
        found = layers.layers(source)
        return {
            **_facts(source),
            "losses": source.losses(),
            "steps": source.steps(),
            "layers": [
                {**cast(Module, asdict(layer)), "scale": source.settings.method.scale(layer.d_in)}
                for layer in found
            ],
            "weights": examples.weight_norms(source),
            "first": source.first() if isinstance(source, RecordedRun) else None,
            "kind": "text" if source.settings.image_size is None else "image",
        }

    def layer(self, request: dict[str, Any]) -> LayerVectors:
        """{"run", "module"}: its vectors at every snapshot."""
        source = self._source(request)
        found = layers.find_layer(source, request.get("module"))
        texts = examples.texts(source, found.module)
        if source.settings.method.drawn_from_vectors:
            return {**layers.payload(source, found), "texts": texts}
        whole: KeptVectors = self._computed("dense", source, module=found.module)
        return {**whole, "texts": texts}

    def most_changed(self, request: dict[str, Any]) -> MostChanged:
        """{"run"}: the layer with the largest effect on inputs where that is known, else with the largest
        change of its weights by the last step."""
        source = self._source(request)
        if isinstance(source, RecordedRun):
            norms = {one["module"]: one["norm"][-1] or 0.0 for one in source.overview()["layers"]}
            return {"module": layers.most_changed(norms, examples.weight_norms(source))}
        return {"module": self._computed("most_changed", source)}

    def singular(self, request: dict[str, Any]) -> SingularValues | NoSingularValues:
        """{"run", "module"}: its update's singular values at every snapshot."""
        source = self._source(request)
        found = layers.find_layer(source, request.get("module"))
        if isinstance(source, RecordedRun):
            return source.singular(found.module)
        return self._computed("singular", source, module=found.module)

    def overview(self, request: dict[str, Any]) -> Overview:
        """{"run", "first"}: numbers about its layers from that index on."""
        source = self._source(request)
        if isinstance(source, RecordedRun):
            return source.overview()
        return self._computed("overview", source, first=_index(request))

    def weights(self, request: dict[str, Any]) -> Weights:
        """{"run"}: the norms of its frozen weights, from the model itself."""
        source = self._source(request)
        return {"weights": self._computed("weights", source)}

    def images(self, request: dict[str, Any]) -> Images:
        """{"run"}: images to follow through the run's layers, and how they are cut into patches."""
        source = self._source(request)
        if isinstance(source, RecordedRun) and (recorded := examples.images(source)):
            return recorded
        return self._computed("images", source)

    def inputs(self, request: dict[str, Any]) -> LayerInputs:
        """{"run", "module", "text" or "image"}: the layer's input for that example."""
        source = self._source(request)
        module = layers.find_layer(source, request.get("module")).module
        text = request.get("text")
        if isinstance(text, str) and text in examples.texts(source, module):
            return examples.inputs(source, module, text)
        image = request.get("image")
        if isinstance(source, RecordedRun) and (recorded := examples.patches(source, module, image)):
            return recorded
        if "image" in request:
            return self._computed("patches", source, module=module, image=image)
        return self._computed("typed", source, module=module, text=text)

    def effects(self, request: dict[str, Any]) -> Effects:
        """{"run", "first"}: what it does to inputs of its layers, from that index on, and to its answers."""
        source = self._source(request)
        if isinstance(source, RecordedRun) and (recorded := source.effects()):
            return recorded
        return self._computed("effects", source, first=_index(request))

    def seeds(self, request: dict[str, Any]) -> SeedEffects:
        """{"run", "first"}: the same beside runs that differ in their seed alone, up to that index."""
        source = self._source(request)
        return self._computed("seeds", source, first=_index(request))

    def together(self, request: dict[str, Any]) -> Together:
        """{"run", "module", "beside": another run or None}: one layer's effect, direction by direction."""
        source = self._source(request)
        module, beside = layers.find_layer(source, request.get("module")).module, request.get("beside")
        other = None if beside is None else sources.find(self.store, beside)
        if isinstance(source, RecordedRun) and (recorded := source.together(module, other)):
            return recorded
        return self._computed("together", source, module=module, beside=other and other.id)

    def walk(self, request: dict[str, Any]) -> WalkAnswers:
        """{"run", "module", "text" or "image"}: what the whole model answers for that example."""
        source = self._source(request)
        module = layers.find_layer(source, request.get("module")).module
        text, image = request.get("text"), request.get("image")
        if isinstance(source, RecordedRun) and (recorded := source.walk(module, text, image)):
            return recorded
        return self._computed("walk", source, module=module, text=text, image=image)

    def _source(self, request: dict[str, Any]) -> Source:
        return sources.find(self.store, request.get("run"))

    def _computed(self, question: str, source: Source, **arguments: Any) -> Any:
        return self.inspector.ask(question, patience=PATIENCE, run_id=source.id, **arguments)


def _index(request: dict[str, Any]) -> int:
    first = request.get("first")
    return first if isinstance(first, int) and first > 0 else 0


def _catching_errors(questions: Questions, ask: Callable[..., Mapping[str, Any]]) -> Callable[[object], Any]:
    """The question with its errors as {"error": a sentence, "busy": whether asking again later helps}."""

    def answer(argument: object) -> Mapping[str, Any] | Refused:
        try:
            return ask(questions, argument if isinstance(argument, dict) else {})
        except (Unavailable, Busy, SnapshotError, StoreError, InvalidChoice) as error:
            return {"error": without_paths(str(error)), "busy": isinstance(error, Busy)}

    return answer


def _facts(source: Source) -> InspectedRun:
    settings = source.settings
    return {
        "id": source.id,
        "method": settings.method.key,
        "label": source.label,
        "summary": summary(settings),
        "rank": getattr(settings.method, "r", None),
        "m": getattr(settings.method, "m", 0),
        "targets": ", ".join(layers.short_names(settings.target_modules or ()).values()),
        **source.facts(),
    }
