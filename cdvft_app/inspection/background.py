"""The Factors tab's slow questions, which need torch or a pretrained model, answered in a child process."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Any

from cdvft_app.inspection import layers, sources
from cdvft_app.inspection.sources import Source, Unavailable
from cdvft_app.inspection.turns import Turn
from cdvft_app.settings import InvalidChoice
from cdvft_app.store.records import StoreError
from cdvft_app.store.runs import RunStore
from cdvft_app.store.snapshots import SnapshotError
from cdvft_app.training.children import Connection, Conversation

IDLE_SECONDS = 300.0  # after which the process ends, and its memory is free
TIMEOUT_SECONDS = 180.0  # for one question
ENDED = "The process that computes has ended, most likely for want of memory. Try again, or a smaller run."


class Inspector:
    """Starts the child process with the first question, and asks it one question at a time.

    `counted` is entered while a question is answered, to count its time; it may refuse the question.
    """

    def __init__(
        self, root: Path, counted: Callable[[], AbstractContextManager[object]] = nullcontext
    ) -> None:
        self._root = root
        self._counted = counted
        self._conversation: Conversation | None = None
        self.turn = Turn("The server computes for somebody else; try again in a moment.")

    def ask(self, question: str, run_id: str, patience: float, **arguments: Any) -> Any:
        """The answer of one of `QUESTIONS` about a run, waiting up to `patience` seconds for other callers.

        Raises:
            Busy: others were still waiting for their answers.
            Unavailable, SnapshotError, StoreError, InvalidChoice: with a sentence.
        """
        with self.turn.taken(patience), self._counted():
            if self._conversation is None or not self._conversation.alive():
                self._conversation = Conversation(_serve, str(self._root), IDLE_SECONDS)
            try:
                answer, error = self._conversation.ask((question, run_id, arguments), TIMEOUT_SECONDS)
            except (EOFError, OSError):
                self._conversation = None
                raise Unavailable(ENDED) from None
        if error is not None:
            raise error
        return answer


def _serve(connection: Connection, root: str, idle: float) -> None:
    """Answer in the child process until no question came for `idle` seconds, or the parent has ended."""
    store = RunStore(root)
    with suppress(EOFError):
        while connection.poll(idle):
            question, run_id, arguments = connection.recv()
            try:
                connection.send((QUESTIONS[question](sources.find(store, run_id), **arguments), None))
            except (Unavailable, SnapshotError, StoreError, InvalidChoice) as error:
                connection.send((None, error))


def _dense(source: Source, module: str) -> Any:
    from cdvft_app.inspection import numbers

    return numbers.dense_payload(source, layers.find_layer(source, module))


def _singular(source: Source, module: str) -> Any:
    from cdvft_app.inspection import numbers

    return numbers.singular(source, layers.find_layer(source, module))


def _overview(source: Source, first: int) -> Any:
    from cdvft_app.inspection import numbers

    return numbers.overview(source, first)


def _last_norms(source: Source) -> Any:
    from cdvft_app.inspection import numbers

    return numbers.last_norms(source)


def _weights(source: Source) -> Any:
    from cdvft_app.inspection import frozen

    return frozen.weight_norms(source, [layer.module for layer in layers.layers(source)])


def _images(source: Source) -> Any:
    from cdvft_app.inspection import patches

    return patches.images(source)


def _patches(source: Source, module: str, image: object) -> Any:
    from cdvft_app.inspection import patches

    return patches.inputs(source, module, image)


def _typed(source: Source, module: str, text: object) -> Any:
    from cdvft_app.inspection import typed

    return typed.inputs(source, module, text)


QUESTIONS: dict[str, Callable[..., Any]] = {
    "dense": _dense,
    "singular": _singular,
    "overview": _overview,
    "last_norms": _last_norms,
    "weights": _weights,
    "images": _images,
    "patches": _patches,
    "typed": _typed,
}
