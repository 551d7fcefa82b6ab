"""The Factors tab: the factors and the update of each layer of a run, at every snapshot of its training.

The page requests one layer at a time, with all its snapshots, and rebuilds every matrix from its vectors, so
that moving through the training needs no request.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from typing import Any, cast

from cdvft_app.figures import palette
from cdvft_app.inspection import layers, sources
from cdvft_app.inspection.background import Inspector
from cdvft_app.inspection.sources import RecordedRun, Source
from cdvft_app.payloads.factors import (
    Effects,
    FactorsRequest,
    FromLayerRequest,
    InspectedRun,
    InspectedRuns,
    KeptVectors,
    LayerRequest,
    Module,
    MostChanged,
    NoSingularValues,
    OpenedRun,
    Overview,
    SingularValues,
    Together,
    TogetherRequest,
    Weights,
)
from cdvft_app.store.runs import RunStore
from cdvft_app.ui.shared.component import component
from cdvft_app.ui.shared.form import summary
from cdvft_app.ui.shared.pool import WAITING_OF_ONE, Pool
from cdvft_app.ui.shared.server_functions import refusing
from cdvft_app.ui.shared.state import AppState
from cdvft_app.ui.shared.viewing import visitor

TITLE = "Factors"
COMPUTING = 4, 512  # requests at a time, and waiting
SHARE = 2, WAITING_OF_ONE  # of one visitor
PATIENCE = 20.0  # seconds that a request waits for those of other visitors


def build(app: AppState) -> None:
    """Lay the tab out; it loads its runs when it is first opened."""
    questions = Questions(app.store, lambda: app.queue.budget.spending(visitor(), "look into factors"))
    pool = Pool(*COMPUTING, "The server computes for others; try again in a moment.", SHARE)
    read = (questions.runs, questions.open, questions.layer)
    computed = (
        questions.most_changed,
        questions.singular,
        questions.overview,
        questions.weights,
        questions.effects,
        questions.together,
    )
    component(
        "factors/tab.js",
        slow_functions={ask.__name__: refusing(ask) for ask in read}
        | {ask.__name__: refusing(pool.running(ask)) for ask in computed},
        lines=palette.lines(),
        elem_id="factors",
    )


class Questions:
    """The questions of the page. Every argument is untrusted: ids and names are looked up, never used."""

    def __init__(
        self, store: RunStore, metering: Callable[[], AbstractContextManager[object]] = nullcontext
    ) -> None:
        self.store = store
        self.inspector = Inspector(store.root, metering)

    def runs(self, _: object) -> InspectedRuns:
        """Return every run that has snapshots, the latest first, recorded ones last."""
        return {"runs": [_facts(source) for source in sources.list_sources(self.store)]}

    def open(self, request: FactorsRequest) -> OpenedRun:
        """Return a run's losses, snapshots, layers, and the recorded norms of its frozen weights."""
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
            "weights": sources.recorded_weight_norms(source),
            "first": source.first() if isinstance(source, RecordedRun) else None,
            "kind": "text" if source.settings.image_size is None else "image",
        }

    def layer(self, request: LayerRequest) -> KeptVectors:
        """Return a layer's vectors at every snapshot."""
        source = self._source(request)
        found = layers.find_layer(source, request["module"])
        if source.settings.method.drawn_from_vectors:
            return layers.payload(source, found)
        return self._computed("dense", source, module=found.module)

    def most_changed(self, request: FactorsRequest) -> MostChanged:
        """The layer with the largest effect on inputs where that is known, else the one whose weights changed
        most by the last step."""
        source = self._source(request)
        if isinstance(source, RecordedRun):
            norms = {one["module"]: one["norm"][-1] or 0.0 for one in source.overview()["layers"]}
            return {"module": layers.most_changed(norms, sources.recorded_weight_norms(source))}
        return {"module": self._computed("most_changed", source)}

    def singular(self, request: LayerRequest) -> SingularValues | NoSingularValues:
        """Return the singular values of a layer's update at every snapshot."""
        source = self._source(request)
        found = layers.find_layer(source, request["module"])
        if isinstance(source, RecordedRun):
            return source.singular(found.module)
        return self._computed("singular", source, module=found.module)

    def overview(self, request: FromLayerRequest) -> Overview:
        """Return numbers about its layers from that index on."""
        source = self._source(request)
        if isinstance(source, RecordedRun):
            return source.overview()
        return self._computed("overview", source, first=max(0, request["first"]))

    def weights(self, request: FactorsRequest) -> Weights:
        """Return the norms of its frozen weights, from the model itself."""
        source = self._source(request)
        return {"weights": self._computed("weights", source)}

    def effects(self, request: FromLayerRequest) -> Effects:
        """Return its effect on inputs of its layers, from that index on, and on its answers."""
        source = self._source(request)
        if isinstance(source, RecordedRun) and (recorded := source.effects()):
            return recorded
        return self._computed("effects", source, first=max(0, request["first"]))

    def together(self, request: TogetherRequest) -> Together:
        """Return one layer's effect, direction by direction."""
        source = self._source(request)
        module, beside = layers.find_layer(source, request["module"]).module, request["beside"]
        other = None if beside is None else sources.find(self.store, beside)
        if isinstance(source, RecordedRun) and (recorded := source.together(module, other)):
            return recorded
        return self._computed("together", source, module=module, beside=other and other.id)

    def _source(self, request: FactorsRequest) -> Source:
        return sources.find(self.store, request["run"])

    def _computed(self, question: str, source: Source, **arguments: Any) -> Any:
        return self.inspector.ask(question, patience=PATIENCE, run_id=source.id, **arguments)


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
