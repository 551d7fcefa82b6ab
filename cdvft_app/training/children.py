"""Child processes, forked from one that has imported the trainer and done nothing else.

On Linux a fork server imports torch and its like once; it runs no tensor operation and never touches CUDA,
neither of which survives a fork, so that each child has the libraries at once and shares their memory. Other
systems' own libraries do not bear being forked: there each child imports for itself.
"""

from __future__ import annotations

import multiprocessing
import signal
import sys
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

PRELOADED = ["cdvft_app.training.trainer"]
OOM_SCORE = "500"  # who is killed first where memory runs out: a child, and never the page
SILENCE_SECONDS = 120.0
Item = TypeVar("Item")
OUT_OF_MEMORY = (
    "The training process was killed, most likely because memory ran out. Lower the batch size, or the "
    "length or size of the inputs, or choose a smaller model; Resume goes on from the last checkpoint."
)

if sys.platform == "linux":
    _context = multiprocessing.get_context("forkserver")
    _context.set_forkserver_preload(PRELOADED)
else:
    _context = multiprocessing.get_context("spawn")


def prepare() -> None:
    """Let the fork server import what children need, so that the first one starts at once."""
    if sys.platform == "linux":
        forkserver.ensure_running()


class Child:
    """A process that calls `target(*arguments)`; both must be picklable."""

    def __init__(self, target: Callable[..., None], *arguments: Any) -> None:
        self._said, words = _context.Pipe(duplex=False)
        self._process = _context.Process(target=_run, args=(words, target, arguments), daemon=True)
        self._process.start()
        words.close()

    def wait(self, seconds: float) -> bool:
        """Whether it has ended, after waiting up to so many seconds."""
        self._process.join(seconds)
        return self._process.exitcode is not None

    def end(self) -> None:
        """Kill it, whatever it does; returns when it is gone, and its memory free."""
        self._process.kill()
        self._process.join()

    def reason(self) -> str:
        """Why it ended early, in a sentence for the run's owner."""
        with suppress(EOFError, OSError):
            if self._said.poll():
                return self._said.recv()
        return died(self._process.exitcode or 0)


def died(code: int) -> str:
    """A sentence on an exit code as Python gives it: negative for a signal."""
    if code == -signal.SIGKILL:
        return OUT_OF_MEMORY
    if code < 0:
        with suppress(ValueError):
            return (
                f"The training process crashed ({signal.Signals(-code).name}). "
                "Resume goes on from the last checkpoint."
            )
    return f"The training process ended early (exit code {code}). Resume goes on from the last checkpoint."


class ChildEnded(Exception):
    """A child ended before its work did; the text is a sentence for the person who asked.

    `code` is its exit code as Python gives it, negative for a signal; None: it was ended for its silence.
    """

    def __init__(self, sentence: str, code: int | None = None) -> None:
        super().__init__(sentence)
        self.code = code


def stream(work: Callable[..., Iterable[Item]], *arguments: Any) -> Generator[Item, None, None]:
    """The items of `work(*arguments)`, made in a child, which ends when the iterator is closed.

    Function, arguments and items must be picklable; none is None.

    Raises:
        ChildEnded: the child was killed, or said nothing for too long.
        Exception: what `work` raised.
    """
    for item in told(_each, work, *arguments, every=SILENCE_SECONDS):
        if item is None:
            raise ChildEnded(f"Ended because nothing was heard of it for {SILENCE_SECONDS:.0f} seconds.")
        yield item


def told(work: Callable[..., None], *arguments: Any, every: float) -> Generator[Any, None, None]:
    """What `work(tell, *arguments)` tells in a child, and None after `every` seconds without a word.

    The child ends when the iterator is closed; else as for `stream`.

    Raises:
        ChildEnded: the child was killed.
        Exception: what `work` raised.
    """
    heard, words = _context.Pipe(duplex=False)
    process = _context.Process(target=_tell, args=(words, work, arguments), daemon=True)
    process.start()
    words.close()
    try:
        while True:
            if not heard.poll(every):
                yield None
                continue
            try:
                item, error = heard.recv()
            except EOFError:
                process.join()
                raise ChildEnded(
                    "It was ended, most likely because memory ran out. Ask for less.", process.exitcode
                ) from None
            if error is not None:
                raise error
            if item is None:
                return
            yield item
    finally:
        process.kill()
        process.join()


def _each(tell: Callable[[Item], None], work: Callable[..., Iterable[Item]], *arguments: Any) -> None:
    for item in work(*arguments):
        tell(item)


def _begin() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is for the page, which ends its own
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(OOM_SCORE)


def _tell(words: Connection, work: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    _begin()
    try:
        work(lambda item: words.send((item, None)), *arguments)
        words.send((None, None))
    except BrokenPipeError:
        return  # nobody listens any more
    except Exception as error:
        words.send((None, error))


def _run(words: Connection, target: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    _begin()
    try:
        target(*arguments)
    except Exception as error:
        words.send(str(error))
        raise


class Conversation:
    """A process that answers: `target(connection, *arguments)` receives questions and sends answers."""

    def __init__(self, target: Callable[..., None], *arguments: Any) -> None:
        self._words, theirs = _context.Pipe()
        self._process = _context.Process(target=_converse, args=(theirs, target, arguments), daemon=True)
        self._process.start()
        theirs.close()

    def alive(self) -> bool:
        return self._process.is_alive()

    def ask(self, question: Any, seconds: float) -> Any:
        """The answer; one that takes longer ends the process.

        Raises:
            EOFError, OSError: the process has ended, or was ended here.
        """
        self.say(question)
        return self.hear(seconds)

    def say(self, words: Any) -> None:
        self._words.send(words)

    def hear(self, seconds: float) -> Any:
        """What it says next; else as for `ask`."""
        if not self._words.poll(seconds):
            self.end()
            raise EOFError
        return self._words.recv()

    def end(self) -> None:
        self._process.kill()
        self._process.join()


def _converse(words: Connection, target: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    _begin()
    target(words, *arguments)
