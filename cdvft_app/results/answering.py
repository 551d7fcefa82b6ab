"""Questions from the page to finished runs: a process answers, keeps the latest race, and ends when idle."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any

from cdvft_app.results import recorded
from cdvft_app.results.errors import ResultsError
from cdvft_app.results.questions import Questions
from cdvft_app.store.database import is_full
from cdvft_app.store.identifiers import no_run
from cdvft_app.store.records import StoreError, UnknownRun
from cdvft_app.store.runs import RunStore
from cdvft_app.training.children import Connection, Conversation

IDLE_SECONDS = 300.0
PATIENCE = 180.0  # for one question: the first one loads libraries and the model, which may be fetched
STOP = "stop"


class Answering:
    """Takes one question at a time; whoever asks from several threads must wait their turn.

    Only runs that `store` finds can be asked: those that the current visitor sees. `counted` is entered
    around each question, to count its time; what it raises comes before the question is asked.
    """

    def __init__(
        self, store: RunStore, counted: Callable[[], AbstractContextManager[object]] = nullcontext
    ) -> None:
        self._store = store
        self._counted = counted
        self._conversation: Conversation | None = None

    def ask(self, question: str, **arguments: Any) -> Any:
        """The answer of the question of that name in `Questions`, or its refusal.

        Raises:
            ResultsError, StoreError: with a sentence.
        """
        self._require(arguments)
        with self._counted():
            return self._answer(question, arguments)

    def _answer(self, question: str, arguments: dict[str, Any]) -> Any:
        self._send((question, arguments))
        kind, answer = self._receive()
        if kind == "refused":
            raise ResultsError(answer)
        return answer

    def stream(self, question: str, **arguments: Any) -> Generator[Any, None, None]:
        """The items that the function `question` yields, as they come; closing it ends that.

        Raises:
            ResultsError, StoreError: with a sentence.
        """
        self._require(arguments)
        with self._counted():
            self._send((question, arguments))
            kind = ""
            try:
                while (message := self._receive())[0] == "item":
                    yield message[1]
                kind, answer = message
                if kind == "refused":
                    raise ResultsError(answer)
            finally:
                if not kind and self._conversation is not None:  # closed early
                    self._send(STOP)
                    while self._receive()[0] == "item":
                        pass

    def stop(self) -> None:
        """Let what is streamed come to its end now; where nothing is, nothing happens."""
        if self._conversation is not None and self._conversation.alive():
            self._send(STOP)

    def _require(self, arguments: dict[str, Any]) -> None:
        for run_id in [arguments["run_id"]] if "run_id" in arguments else arguments["run_ids"]:
            if recorded.get(run_id) is None and self._store.get(run_id) is None:
                raise UnknownRun(no_run(run_id))

    def _send(self, message: Any) -> None:
        if self._conversation is None or not self._conversation.alive():
            self._conversation = Conversation(_serve, str(self._store.root), IDLE_SECONDS)
        try:
            self._conversation.send(message)
        except OSError:
            raise self._process_ended() from None

    def _receive(self) -> tuple[str, Any]:
        assert self._conversation is not None
        try:
            return self._conversation.receive(PATIENCE)
        except (EOFError, OSError):
            raise self._process_ended() from None

    def _process_ended(self) -> ResultsError:
        self._conversation = None
        return ResultsError(
            "The process that answers has ended, most likely for want of memory. Try fewer runs."
        )

    def close(self) -> None:
        if self._conversation is not None:
            self._conversation.end()


def _serve(connection: Connection, root: str, idle: float) -> None:
    """Answer until no question has come for `idle` seconds, or the other end is closed.

    The last message for a question is ("answer" or "refused", value). A stream sends ("item", value) before
    it, and ends early at whatever message comes meanwhile.
    """
    os.environ["RUNS_DIR"] = root  # data of one's own lies there
    questions = Questions(RunStore(root), connection.poll)
    with suppress(EOFError):
        while connection.poll(idle):
            if (message := connection.recv()) != STOP:  # else it came too late
                connection.send(_handle(questions, connection, *message))


def _handle(
    questions: Questions, connection: Connection, question: str, arguments: dict[str, Any]
) -> tuple[str, Any]:
    """The last message for a question: its answer, or why there is none."""
    try:
        answer = getattr(questions, question)(**arguments)
        if isinstance(answer, Iterator):
            for item in answer:
                connection.send(("item", item))
            answer = None
    except (ResultsError, StoreError) as error:
        return "refused", str(error)
    except EOFError:
        raise
    except Exception as error:  # the next question can be another one
        traceback.print_exc()
        return "refused", _failure_sentence(error)
    return "answer", answer


def _failure_sentence(error: Exception) -> str:
    """A sentence on an unexpected error."""
    if is_full(error):
        return "There is no room left on this disk; free some space and try again."
    message = " ".join(str(error).split())[:300] or "no message"
    return f"It failed unexpectedly with {type(error).__name__}: {message}"
