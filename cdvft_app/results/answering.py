"""Finished runs, asked from the page: in a process that holds the latest race, and goes when idle."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any

from cdvft_app.results import recorded
from cdvft_app.results.errors import ResultsError, no_room
from cdvft_app.results.questions import Questions
from cdvft_app.store.identifiers import no_run
from cdvft_app.store.records import StoreError, UnknownRun
from cdvft_app.store.runs import RunStore
from cdvft_app.training.children import Connection, Conversation

IDLE_SECONDS = 300.0
PATIENCE = 180.0  # for one question: the first one loads libraries and the model, which may be fetched
STOP = "stop"


class Answering:
    """Takes one question at a time; whoever asks from several threads must wait their turn.

    Only runs that `store` finds are asked: those that the visitor of the moment sees. `counted` holds while
    a question is answered; what it raises is raised before.
    """

    def __init__(
        self, store: RunStore, counted: Callable[[], AbstractContextManager[object]] = nullcontext
    ) -> None:
        self._store = store
        self._counted = counted
        self._talk: Conversation | None = None

    def ask(self, question: str, **about: Any) -> Any:
        """The answer of the question of that name in `Questions`, or its refusal.

        Raises:
            ResultsError, StoreError: with a sentence.
        """
        self._require(about)
        with self._counted():
            return self._answer(question, about)

    def _answer(self, question: str, about: dict[str, Any]) -> Any:
        self._say((question, about))
        kind, said = self._hear()
        if kind == "refused":
            raise ResultsError(said)
        return said

    def stream(self, question: str, **about: Any) -> Generator[Any, None, None]:
        """The items that the function `question` yields, as they come; closing it ends that.

        Raises:
            ResultsError, StoreError: with a sentence.
        """
        self._require(about)
        with self._counted():
            self._say((question, about))
            kind = ""
            try:
                while (heard := self._hear())[0] == "item":
                    yield heard[1]
                kind, said = heard
                if kind == "refused":
                    raise ResultsError(said)
            finally:
                if not kind and self._talk is not None:  # closed early: the next question waits for its end
                    self._say(STOP)
                    while self._hear()[0] == "item":
                        pass

    def stop(self) -> None:
        """Let what is streamed come to its end now; where nothing is, nothing happens."""
        if self._talk is not None and self._talk.alive():
            self._say(STOP)

    def _require(self, about: dict[str, Any]) -> None:
        for run_id in [about["run_id"]] if "run_id" in about else about["run_ids"]:
            if recorded.get(run_id) is None and self._store.get(run_id) is None:
                raise UnknownRun(no_run(run_id))

    def _say(self, words: Any) -> None:
        if self._talk is None or not self._talk.alive():
            self._talk = Conversation(_serve, str(self._store.root), IDLE_SECONDS)
        try:
            self._talk.say(words)
        except OSError:
            raise self._gone() from None

    def _hear(self) -> tuple[str, Any]:
        assert self._talk is not None
        try:
            return self._talk.hear(PATIENCE)
        except (EOFError, OSError):
            raise self._gone() from None

    def _gone(self) -> ResultsError:
        self._talk = None
        return ResultsError(
            "The process that answers has ended, most likely for want of memory. Try fewer runs."
        )

    def close(self) -> None:
        if self._talk is not None:
            self._talk.end()


def _serve(words: Connection, root: str, idle: float) -> None:
    """Answer until nobody has asked for `idle` seconds, or nobody is there who could.

    What is said is ("answer" or "refused", what); what is streamed comes before as ("item", one), and
    whatever is heard meanwhile says that it should end.
    """
    os.environ["RUNS_DIR"] = root  # data of one's own lies there
    asked = Questions(RunStore(root), words.poll)
    with suppress(EOFError):
        while words.poll(idle):
            if (heard := words.recv()) != STOP:  # else it came too late
                words.send(_answered(asked, words, *heard))


def _answered(asked: Questions, words: Connection, question: str, about: dict[str, Any]) -> tuple[str, Any]:
    """The last that is said to a question: the answer, or else why there is none."""
    try:
        said = getattr(asked, question)(**about)
        if isinstance(said, Iterator):
            for item in said:
                words.send(("item", item))
            said = None
    except (ResultsError, StoreError) as error:
        return "refused", str(error)
    except EOFError:
        raise
    except Exception as error:  # the next question can be another one
        traceback.print_exc()
        return "refused", _why(error)
    return "answer", said


def _why(error: Exception) -> str:
    """What a failure that nobody foresaw is called, in a sentence."""
    if no_room(error):
        return "There is no room left on this disk; free some space and try again."
    said = " ".join(str(error).split())[:300] or "no message"
    return f"It failed unexpectedly with {type(error).__name__}: {said}"
