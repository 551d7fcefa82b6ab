"""The Factors tab: what each layer of a run learned, scrubbed over its training.

The page asks for one layer at a time and rebuilds every matrix from its vectors; while somebody scrubs inside
what is loaded, nothing is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from typing import Any, cast

from cdvft_app.figures import curves
from cdvft_app.figures.palette import FACTOR_STYLES
from cdvft_app.inspection import examples, layers, sources
from cdvft_app.inspection.background import Inspector
from cdvft_app.inspection.sources import RecordedRun, Source, Unavailable
from cdvft_app.inspection.turns import Busy
from cdvft_app.payloads.factors import (
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
    SingularValues,
    Weights,
)
from cdvft_app.settings import InvalidChoice
from cdvft_app.store.records import StoreError
from cdvft_app.store.runs import RunStore
from cdvft_app.store.snapshots import SnapshotError
from cdvft_app.ui.shared.component import component
from cdvft_app.ui.shared.form import label, summary
from cdvft_app.ui.shared.pool import Pool
from cdvft_app.ui.shared.state import AppState
from cdvft_app.ui.shared.viewing import visitor

TITLE = "Factors"
COMPUTING = 4, 32  # requests at a time, and waiting
PATIENCE = 20.0  # seconds that a visitor waits for what others ask to be computed


def build(app: AppState) -> None:
    """Lay the tab out; it loads its runs when it is looked at."""
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
    }
    questions = Questions(app.store, lambda: app.queue.budget.spending(visitor(), "look into factors"))
    pool = Pool(*COMPUTING, "The server computes for others; try again in a moment.")
    component(
        "factors/theatre.js",
        server_functions={name: _answering(questions, ask) for name, ask in read.items()}
        | {name: pool.answering(_answering(questions, ask)) for name, ask in computed.items()},
        lines=curves.lines(),
        factors={name: style[0] for name, style in FACTOR_STYLES.items()},
        elem_id="factors",
    )


class Questions:
    """What the page may ask. Every argument is untrusted: ids and names are looked up, never used."""

    def __init__(
        self, store: RunStore, counted: Callable[[], AbstractContextManager[None]] = nullcontext
    ) -> None:
        self.store = store
        self.inspector = Inspector(store.root, counted)

    def runs(self, _: dict[str, Any]) -> InspectedRuns:
        """Every run that can be looked into, the latest first, recorded ones last."""
        return {"runs": [_facts(source) for source in sources.listed(self.store)]}

    def open(self, asked: dict[str, Any]) -> OpenedRun:
        """{"run"}: its losses, snapshots, layers, and the norms of its frozen weights as far as recorded."""
        source = self._source(asked)
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
            "kind": "text" if source.settings.image_size is None else "image",
        }

    def layer(self, asked: dict[str, Any]) -> LayerVectors:
        """{"run", "module"}: its vectors at every snapshot."""
        source = self._source(asked)
        found = layers.find_layer(source, asked.get("module"))
        texts = examples.texts(source, found.module)
        if source.settings.method.drawn_from_vectors:
            return {**layers.payload(source, found), "texts": texts}
        whole: KeptVectors = self._computed("dense", source, module=found.module)
        return {**whole, "texts": texts}

    def most_changed(self, asked: dict[str, Any]) -> MostChanged:
        """{"run"}: the layer whose weights changed most by its last step."""
        source = self._source(asked)
        weights = examples.weight_norms(source)
        if isinstance(source, RecordedRun):
            norms = {one["module"]: one["norm"][-1] or 0.0 for one in source.overview()["layers"]}
            return {"module": layers.most_changed(norms, weights)}
        return {"module": layers.most_changed(self._computed("last_norms", source), weights)}

    def singular(self, asked: dict[str, Any]) -> SingularValues | NoSingularValues:
        """{"run", "module"}: its update's singular values at every snapshot."""
        source = self._source(asked)
        found = layers.find_layer(source, asked.get("module"))
        if isinstance(source, RecordedRun):
            return source.singular(found.module)
        return self._computed("singular", source, module=found.module)

    def overview(self, asked: dict[str, Any]) -> Overview:
        """{"run", "first"}: numbers about its layers from that place on."""
        source = self._source(asked)
        if isinstance(source, RecordedRun):
            return source.overview()
        first = asked.get("first")
        place = first if isinstance(first, int) and first > 0 else 0
        return self._computed("overview", source, first=place)

    def weights(self, asked: dict[str, Any]) -> Weights:
        """{"run"}: the norms of its frozen weights, from the model itself."""
        source = self._source(asked)
        return {"weights": self._computed("weights", source)}

    def images(self, asked: dict[str, Any]) -> Images:
        """{"run"}: images to follow through the run's layers, and how they are cut into patches."""
        source = self._source(asked)
        if isinstance(source, RecordedRun) and (known := examples.images(source)):
            return known
        return self._computed("images", source)

    def inputs(self, asked: dict[str, Any]) -> LayerInputs:
        """{"run", "module", "text" or "image"}: what the layer receives for it."""
        source = self._source(asked)
        module = layers.find_layer(source, asked.get("module")).module
        text = asked.get("text")
        if isinstance(text, str) and text in examples.texts(source, module):
            return examples.inputs(source, module, text)
        image = asked.get("image")
        if isinstance(source, RecordedRun) and (known := examples.patches(source, module, image)):
            return known
        if "image" in asked:
            return self._computed("patches", source, module=module, image=image)
        return self._computed("typed", source, module=module, text=text)

    def _source(self, asked: dict[str, Any]) -> Source:
        return sources.find(self.store, asked.get("run"))

    def _computed(self, question: str, source: Source, **about: Any) -> Any:
        return self.inspector.ask(question, source.id, PATIENCE, **about)


def _answering(questions: Questions, ask: Callable[..., Mapping[str, Any]]) -> Callable[[object], Any]:
    """The question with its refusals as {"error": a sentence, "busy": whether to ask again helps}."""

    def answer(argument: object) -> Mapping[str, Any] | Refused:
        try:
            return ask(questions, argument if isinstance(argument, dict) else {})
        except (Unavailable, Busy, SnapshotError, StoreError, InvalidChoice) as error:
            return {"error": str(error), "busy": isinstance(error, Busy)}

    return answer


def _facts(source: Source) -> InspectedRun:
    settings = source.settings
    return {
        "id": source.id,
        "method": settings.method.key,
        "label": label(settings),
        "summary": summary(settings),
        "rank": getattr(settings.method, "r", None),
        "m": getattr(settings.method, "m", 0),
        "targets": ", ".join(layers.short_names(settings.target_modules or ()).values()),
        **source.facts(),
    }
