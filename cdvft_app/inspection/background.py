"""The Factors tab's slow questions, which need torch or a pretrained model, answered in a child process."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from cdvft_app.inspection import layers, sources
from cdvft_app.inspection.lock import TimedLock
from cdvft_app.inspection.sources import LiveRun, Source, Unavailable
from cdvft_app.store.runs import RunStore
from cdvft_app.training.inference_service import Handler, InferenceService

ENDED = "The process that computes has ended, most likely for want of memory. Try again, or a smaller run."


class Inspector(InferenceService):
    """Asks one of the `questions` about a run at a time."""

    def __init__(
        self, root: Path, metering: Callable[[], AbstractContextManager[object]] = nullcontext
    ) -> None:
        super().__init__(_start, root, Unavailable, ENDED, metering)
        self.lock = TimedLock("The server computes for somebody else; try again in a moment.")

    def ask(self, question: str, *, patience: float = 0.0, **arguments: Any) -> Any:
        """Return the answer about the run `run_id`, waiting up to `patience` seconds for other callers.

        Raises:
            TooManyRequests: others were still waiting for their answers.
            Unavailable, StoreError, InvalidChoice: with a sentence.
        """
        with self.lock.held(patience):
            return super().ask(question, **arguments)


def _start(root: Path, _: Callable[[], bool]) -> Handler:
    store = RunStore(root)

    def answer(question: str, arguments: dict[str, Any]) -> Any:
        find = sources.find_with_weights if question in OF_WEIGHTS else sources.find
        source = find(store, arguments.pop("run_id"))
        if arguments.get("beside") is not None:
            arguments["beside"] = find(store, arguments["beside"])
        return questions()[question](source, **arguments)

    return answer


OF_WEIGHTS = ("effects", "together")
"""Questions that need the trained weights, and no snapshots."""


@functools.cache
def questions() -> dict[str, Callable[..., Any]]:
    """Return the functions that answer, by the question's name. Imports torch and transformers."""
    from cdvft_app.inspection import effects, frozen, numbers

    def of_layer(answer: Callable[[Source, layers.Layer], Any]) -> Callable[..., Any]:
        return lambda source, module: answer(source, layers.find_layer(source, module))

    def most_changed(source: Source) -> str:
        if isinstance(source, LiveRun) and (known := effects.kept(source)):
            return sources.largest_effect(known)
        return layers.most_changed(numbers.last_norms(source), sources.recorded_weight_norms(source))

    def weights(source: Source) -> dict[str, float]:
        return frozen.weight_norms(source, [layer.module for layer in layers.layers(source)])

    def kept_effects(source: Source, first: int) -> Any:
        run = effects.require_finished(source)
        if first == 0 and (known := effects.kept(run)):
            return known
        opened = effects.opened(run)
        found = effects.effects(opened, first)
        if found["next"] is None:
            effects.keep(run, effects.effects(opened, seconds=math.inf))
        return found

    def together(source: Source, module: str, beside: Source | None) -> Any:
        return effects.together(effects.opened(source, *([beside] if beside else [])), module)

    return {
        "dense": of_layer(numbers.dense_payload),
        "singular": of_layer(numbers.singular),
        "overview": numbers.overview,
        "most_changed": most_changed,
        "weights": weights,
        "effects": kept_effects,
        "together": together,
    }
