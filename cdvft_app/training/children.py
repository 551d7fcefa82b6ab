"""Child processes, forked from one that has imported the trainer and done nothing else.

On Linux a fork server imports torch and its like once; it runs no tensor operation and never touches CUDA,
neither of which survives a fork, so that each child has the libraries at once and shares their memory. On
other systems forking is not safe with their own libraries: there each child imports for itself.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, TypeVar

from cdvft_app.errors import UserError
from cdvft_app.training.checkpoints import RESUME

PRELOADED = ["cdvft_app.training.preloaded"]
OOM_SCORE = "500"  # who is killed first where memory runs out: a child, and never the page
SILENCE_SECONDS = 120.0
Item = TypeVar("Item")
KILLED = (
    "The training process was killed, most likely because memory ran out. Lower the batch size, or the "
    f"length or size of the inputs, or choose a smaller model; {RESUME}"
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


def _forked(target: Callable[..., None], *arguments: Any) -> BaseProcess:
    """Return a process, not started yet, that has the environment variables of this one."""
    return _context.Process(target=_begin, args=(dict(os.environ), target, *arguments), daemon=True)


def _begin(environment: dict[str, str], target: Callable[..., None], *arguments: Any) -> None:
    os.environ.clear()  # they are those that the fork server began with
    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is for the page, which ends its own
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(OOM_SCORE)
    gc.freeze()  # the libraries, which stay as they are: see `cdvft_app.catalog.libraries`
    target(*arguments)


class Child:
    """A process that calls `target(*arguments)`; both must be picklable."""

    def __init__(self, target: Callable[..., None], *arguments: Any) -> None:
        self._errors, connection = _context.Pipe(duplex=False)
        self._process = _forked(_run, connection, target, arguments)
        self._process.start()
        connection.close()

    def poll(self, seconds: float) -> bool:
        """Return whether it has ended, after waiting up to so many seconds."""
        self._process.join(seconds)
        return self._process.exitcode is not None

    def stop(self) -> None:
        """Kill it, whatever it does; returns when it is gone, and its memory free."""
        self._process.kill()
        self._process.join()

    def reason(self) -> str:
        """Return why it ended early, in a sentence for the run's owner."""
        with suppress(EOFError, OSError):
            if self._errors.poll():
                return self._errors.recv()
        return exit_sentence(self._process.exitcode or 0)


def exit_sentence(code: int) -> str:
    """Return why a process ended, from its exit code as Python gives it: negative for a signal."""
    if code == -signal.SIGKILL:
        return KILLED
    if code < 0:
        with suppress(ValueError):
            return f"The training process crashed ({signal.Signals(-code).name}). {RESUME}"
    return f"The training process ended early (exit code {code}). {RESUME}"


def silence_sentence(seconds: float) -> str:
    """Return why a process was ended that said nothing for so long."""
    return f"Ended because nothing was heard of it for {seconds:.0f} seconds."


class ChildEnded(UserError):
    """A child ended before its work did; the text is a sentence for the person who asked.

    `code` is its exit code as Python gives it, negative for a signal; None: it was ended for its silence.
    """

    def __init__(self, sentence: str, code: int | None = None) -> None:
        super().__init__(sentence)
        self.code = code


def stream(work: Callable[..., Iterable[Item]], *arguments: Any) -> Generator[Item, None, None]:
    """Yield the items of `work(*arguments)`, made in a child, which ends when the iterator is closed.

    Function, arguments and items must be picklable; none is None.

    Raises:
        ChildEnded: the child was killed, or said nothing for too long.
        Exception: what `work` raised.
    """
    for item in messages(_send_items, work, *arguments, every=SILENCE_SECONDS):
        if item is None:
            raise ChildEnded(silence_sentence(SILENCE_SECONDS))
        yield item


def messages(work: Callable[..., None], *arguments: Any, every: float) -> Generator[Any, None, None]:
    """Messages that `work(send, *arguments)` sends from a child, and None after `every` seconds without one.

    The child ends when the iterator is closed; else as for `stream`.

    Raises:
        ChildEnded: the child was killed.
        Exception: what `work` raised.
    """
    receiver, connection = _context.Pipe(duplex=False)
    process = _forked(_send_messages, connection, work, arguments)
    process.start()
    connection.close()
    try:
        while True:
            if not receiver.poll(every):
                yield None
                continue
            try:
                item, error = receiver.recv()
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


def _send_items(send: Callable[[Item], None], work: Callable[..., Iterable[Item]], *arguments: Any) -> None:
    for item in work(*arguments):
        send(item)


def _send_messages(connection: Connection, work: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    try:
        work(lambda item: connection.send((item, None)), *arguments)
        connection.send((None, None))
    except BrokenPipeError:
        return  # nobody listens any more
    except Exception as error:
        connection.send((None, error))


def _run(connection: Connection, target: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    try:
        target(*arguments)
    except Exception as error:
        connection.send(str(error))
        raise


class WorkerProcess:
    """A process that answers: `target(connection, *arguments)` receives questions and sends answers."""

    def __init__(self, target: Callable[..., None], *arguments: Any) -> None:
        self._connection, theirs = _context.Pipe()
        self._process = _forked(_run_worker, theirs, target, arguments)
        self._process.start()
        theirs.close()

    @property
    def process(self) -> int | None:
        """The process's id."""
        return self._process.pid

    def alive(self) -> bool:
        return self._process.is_alive()

    def send(self, message: Any) -> None:
        self._connection.send(message)

    def has_message(self) -> bool:
        """Return whether one can be received at once."""
        return self._connection.poll()

    def receive(self, seconds: float) -> Any:
        """Return the next message from the process, which is ended where none comes in time.

        Raises:
            EOFError, OSError: the process has ended, or was ended here.
        """
        if not self._connection.poll(seconds):
            self.end()
            raise EOFError
        return self._connection.recv()

    def end(self) -> None:
        self._process.kill()
        self._process.join()


def _run_worker(connection: Connection, target: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    target(connection, *arguments)
