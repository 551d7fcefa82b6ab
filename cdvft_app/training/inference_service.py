"""Questions to a child process, which keeps what it has loaded for the next one and ends when nobody asks."""

from __future__ import annotations

import os
import re
import traceback
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Any

from cdvft_app.errors import UserError
from cdvft_app.files import is_full
from cdvft_app.training.children import Connection, WorkerProcess

IDLE_SECONDS = 300.0  # after which the process ends, and its memory is free
TIMEOUT_SECONDS = 180.0  # for one question: the first one loads libraries and the model, which may be fetched
STOP = "stop"
_FOLDERS = re.compile(r"(?<![\w.:/])(?:[A-Za-z]:)?[/\\](?:[^/\\\s'\":]+[/\\])+")
Handler = Callable[[str, dict[str, Any]], Any]
"""Answers the question of that name about its arguments; an iterator is streamed."""
Start = Callable[[Path, Callable[[], bool]], Handler]
"""Called in the process with the folder of the runs, and with what says whether a stream should end now."""
Explain = Callable[[Exception], Exception]
"""Returns what whoever asked is told for an exception; see `explained`."""


class InferenceService:
    """Takes one question at a time; whoever asks from several threads must wait their turn.

    `start` is a function of a module, which the process imports. Refusals are of the class `refusal`, with
    the sentence `ended` where the process has ended. `metering` is entered around each question, to count its
    time; what it raises comes before the question is asked.
    """

    def __init__(
        self,
        start: Start,
        root: Path,
        refusal: type[UserError],
        ended: str,
        metering: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        self._start, self._root, self._metering = start, root, metering
        self._explain = partial(explained, refusal, ended)
        self._worker: WorkerProcess | None = None

    def ask(self, question: str, **arguments: Any) -> Any:
        """Return the answer; what refuses it is raised, as `explained` has it."""
        with self._metering():
            return self._answer(question, arguments)

    def _answer(self, question: str, arguments: dict[str, Any]) -> Any:
        self._send((question, arguments))
        kind, answer = self._receive()
        if kind == "refused":
            raise answer
        return answer

    def stream(self, question: str, **arguments: Any) -> Generator[Any, None, None]:
        """Yield the items of a streamed answer, as they come; closing it ends that. Else as for `ask`."""
        with self._metering():
            self._send((question, arguments))
            process, kind = self._worker, ""
            try:
                while (message := self._receive())[0] == "item":
                    yield message[1]
                kind, answer = message
                if kind == "refused":
                    raise answer
            finally:
                if not kind and process is not None:  # closed early
                    with suppress(EOFError, OSError):  # it may have ended meanwhile
                        process.send(STOP)
                        while process.receive(TIMEOUT_SECONDS)[0] == "item":
                            pass

    def stop(self) -> None:
        """Let what is streamed come to its end now; where nothing is, nothing happens."""
        if self._worker is not None and self._worker.alive():
            self._send(STOP)

    def close(self) -> None:
        if self._worker is not None:
            self._worker.end()

    def _send(self, message: Any) -> None:
        if self._worker is None or not self._worker.alive():
            how = self._start, self._root, self._explain, IDLE_SECONDS
            self._worker = WorkerProcess(serve, *how)
        try:
            self._worker.send(message)
        except OSError:
            raise self._process_ended() from None

    def _receive(self) -> tuple[str, Any]:
        assert self._worker is not None
        try:
            return self._worker.receive(TIMEOUT_SECONDS)
        except (EOFError, OSError):
            raise self._process_ended() from None

    def _process_ended(self) -> Exception:
        self._worker = None
        return self._explain(EOFError())


def serve(connection: Connection, start: Start, root: Path, explain: Explain, idle: float) -> None:
    """Answer in the process until no question has come for `idle` seconds, or the other end is closed.

    The last message for a question is ("answer", value) or ("refused", exception). A stream sends
    ("item", value) before it, and ends early at whatever message comes meanwhile.
    """
    os.environ["RUNS_DIR"] = str(root)  # uploaded datasets lie there
    handler = start(root, connection.poll)
    with suppress(EOFError, ConnectionError):  # the other end is closed
        while connection.poll(idle):
            if (message := connection.recv()) != STOP:  # else it came too late
                connection.send(_handle(connection, handler, explain, *message))


def _handle(
    connection: Connection, handler: Handler, explain: Explain, question: str, arguments: dict[str, Any]
) -> tuple[str, Any]:
    """Return the last message for a question."""
    try:
        answer = handler(question, arguments)
        if isinstance(answer, Iterator):
            for item in answer:
                connection.send(("item", item))
            answer = None
    except EOFError:
        raise
    except Exception as error:  # the next question can be another one
        told = explain(error)
        if told is not error:
            traceback.print_exc()
        return "refused", told
    return "answer", answer


def explained(refusal: type[UserError], ended: str, error: Exception) -> Exception:
    """Return what whoever asked is told for an exception: itself, where its text is a sentence for them.

    `ended` is the sentence on a process that has ended, which is an EOFError.
    """
    if isinstance(error, UserError):
        return error
    if isinstance(error, EOFError):
        return refusal(ended)
    if is_full(error):
        return refusal("There is no room left on this disk; free some space and try again.")
    return refusal(unexpected(error))


def unexpected(error: Exception) -> str:
    """Return a sentence on an error that nobody foresaw."""
    return f"It failed unexpectedly with {type(error).__name__}: {message_of(error, 300)}"


def message_of(error: BaseException, length: int) -> str:
    """Return an error's text on one line, for a reader who is to know no folders of this machine: files by
    name."""
    return _FOLDERS.sub("", " ".join(str(error).split()))[:length] or "no message"
