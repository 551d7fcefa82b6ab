"""The room in which strangers' files are read: a child process with limits, one at a time for each visitor.

`read_in_child` has a child forked by `python -m cdvft_app.public.intake`, which imports no torch and opens no
file itself. Request and answers are JSON, a line each, so that a file that takes over the child still cannot
hand objects to the page. The limits are the system's: memory, processor time, wall time and the size of a
file that is written. Where the system has none (Windows, in part macOS), what the readers count by themselves
is the limit.
"""

from __future__ import annotations

import json
import math
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import IO, Any, NoReturn

from cdvft_app.errors import TooManyRequests
from cdvft_app.progress import Progress, silent
from cdvft_app.public.budget import Budget
from cdvft_app.settings.environment import environment
from cdvft_app.store.records import StoreError

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

MAX_CHILDREN = 2  # at once, of all visitors
MAX_WAITING = 8  # behind them, of all visitors
MAX_WAITING_EACH = 2  # of one visitor
SPENT_ON = "reading of files"
NOT_NOW = "Files cannot be read just now. Try again in a minute."
MAX_ANSWER = 64 * 10**6  # characters of one line
MAX_REQUEST_BYTES = 2**16  # bytes of the message with which a fork is asked for
OOM_SCORE = "800"  # killed before a training, and long before the page
NICE = 5  # page and training go first


@dataclass(frozen=True)
class ChildLimits:
    """What a child may take: bytes of memory beyond its libraries, seconds of a processor, bytes of one file
    that it writes. None: as much as there is."""

    memory: int | None = None
    seconds: float | None = None
    written: int | None = None


PUBLIC = ChildLimits(memory=384 * 2**20, seconds=20, written=256 * 2**20)
WALL_CLOCK_FACTOR = 6  # a child ends after so many times its processor seconds, however busy the machine is


def child_limits() -> ChildLimits:
    """Return the limits of a public server; on a person's own machine a child takes what it needs."""
    return PUBLIC if environment().public else ChildLimits()


class TooMuch(StoreError):
    """A file asks for more than one may take here; the text is a sentence for whoever gave it."""


# Who may have a file read


class FairSemaphore:
    """Admits at most `children` visitors at a time, each once; next is whoever came first and is not in."""

    def __init__(self, children: int, waiting: int, waiting_each: int) -> None:
        self._children, self._most, self._most_each = children, waiting, waiting_each
        self._changed = threading.Condition()
        self._reading: set[str] = set()
        self._waiting: list[list[str]] = []  # one item each; lists, since equal visitors are different waits

    @contextmanager
    def held(self, visitor: str | None) -> Iterator[None]:
        """Hold the visitor's place; None, as on a server that is not public, needs none.

        Raises:
            TooManyRequests: the visitor, or all of them, have too much waiting.
        """
        if visitor is None:
            yield
            return
        mine = [visitor]
        with self._changed:
            self._require_room(visitor)
            self._waiting.append(mine)
            self._changed.wait_for(lambda: self._next() is mine)
            self._waiting = [one for one in self._waiting if one is not mine]
            self._reading.add(visitor)
            self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._reading.discard(visitor)
                self._changed.notify_all()

    def _next(self) -> list[str] | None:
        if len(self._reading) >= self._children:
            return None
        return next((one for one in self._waiting if one[0] not in self._reading), None)

    def _require_room(self, visitor: str) -> None:
        if sum(one[0] == visitor for one in self._waiting) >= self._most_each:
            raise TooManyRequests(
                f"{self._most_each + 1} files of yours are being read or wait for it. Wait for them, and "
                "give this one again."
            )
        if len(self._waiting) >= self._most:
            raise TooManyRequests("Many files of others wait to be read here. Try again in a minute.")


_semaphore = FairSemaphore(MAX_CHILDREN, MAX_WAITING, MAX_WAITING_EACH)


@contextmanager
def slot(budget: Budget, visitor: str | None) -> Iterator[None]:
    """Hold the visitor's place among those whose files are read; what it takes, without the wait, is charged.

    Raises:
        TooManyRequests, OverBudget: why not now.
    """
    budget.require(visitor, 0)
    with _semaphore.held(visitor), budget.spending(visitor, SPENT_ON):
        yield


# The page's side


def read_in_child(
    reader: Callable[..., Any],
    *arguments: Any,
    limits: ChildLimits,
    imports: Sequence[str] = (),
    refusals: Sequence[type[Exception]] = (),
    progress: Progress = silent,
) -> Any:
    """Return `reader(*arguments, progress)` of a child of its own; arguments and answer are what JSON can
    hold.

    Args:
        reader: a function of a module's top level.
        arguments: what it is called with, before `progress`.
        limits: of the child's memory, seconds and files.
        progress: called with a fraction and a sentence.
        imports: modules that the reader needs, whose own memory does not count.
        refusals: what the reader may raise, each made of one sentence.

    Raises:
        TooMuch: the child was ended by a limit, or failed in a way that nobody thought of.
        Exception: one of `refusals`.
    """
    request = {
        "reader": [reader.__module__, reader.__qualname__],
        "arguments": arguments,
        "imports": [*imports, reader.__module__],
        "limits": asdict(limits),
        "refusals": [one.__name__ for one in refusals],
        "path": sys.path,
        "environment": dict(os.environ),
    }
    with _fork_server.child(request) if FORKS else _new_process(request) as child:
        answer: dict[str, Any] = {}
        try:
            while "fraction" in (answer := _answer(child.answers.readline(MAX_ANSWER))):
                progress(answer["fraction"], answer["text"])
        except ConnectionResetError:  # the fork server was killed before it took up the request
            raise TooMuch(NOT_NOW) from None
        exit_code = 0 if answer else child.exit_code()
    if "value" in answer:
        return answer["value"]
    for refusal in refusals:
        if answer.get("refused") == refusal.__name__:
            raise refusal(answer["sentence"])
    raise TooMuch(answer.get("sentence") or _sentence(exit_code, limits))


@dataclass(frozen=True)
class _Child:
    """A child that has its request; `exit_code` waits for its end."""

    answers: IO[str]
    exit_code: Callable[[], int]


@contextmanager
def _new_process(request: dict[str, Any]) -> Iterator[_Child]:
    """Give a child that imports everything itself, in about 0.7 s; it is killed at the end."""
    with _start(None, subprocess.PIPE, subprocess.PIPE) as process:
        assert process.stdin and process.stdout
        try:
            with suppress(BrokenPipeError), process.stdin:
                process.stdin.write(json.dumps(request))
            yield _Child(process.stdout, process.wait)
        finally:
            process.kill()


class _ForkServer:
    """A process of one thread that keeps imported what readers need, and forks a child in milliseconds.

    It is started when first needed, anew if it was killed, and ends with the page.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._control: socket.socket | None = None
        self._process: subprocess.Popen[str] | None = None

    @contextmanager
    def child(self, request: dict[str, Any]) -> Iterator[_Child]:
        """Give a child; it is killed at the end, when its connection is closed."""
        ours, theirs = socket.socketpair()
        with ours, ours.makefile("r", encoding="utf-8") as answers:
            with theirs:
                self._send({"path": request["path"], "imports": request["imports"]}, theirs)
            with suppress(BrokenPipeError, ConnectionResetError):
                ours.sendall(json.dumps(request).encode() + b"\n")
            yield _Child(
                answers, lambda: int(_answer(answers.readline(MAX_ANSWER)).get("exit_code", -signal.SIGKILL))
            )

    def _send(self, needed: dict[str, Any], connection: socket.socket) -> None:
        with self._lock:
            for _ in range(2):  # a process that was killed is noticed by writing to it
                self._control = self._control or self._started()
                try:
                    socket.send_fds(self._control, [json.dumps(needed).encode()], [connection.fileno()])
                    return
                except (BrokenPipeError, ConnectionResetError):
                    self._control.close()
                    self._control = None
        raise TooMuch(NOT_NOW)

    def _started(self) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = _start(theirs.fileno(), subprocess.DEVNULL, None)
        return ours


FORKS = sys.platform == "linux"  # the libraries of macOS itself do not bear a fork
_fork_server = _ForkServer()


def _start(control: int | None, stdin: int, stdout: int | None) -> subprocess.Popen[str]:
    """Start this module as a process: a fork server if `control` is a socket's descriptor."""
    return subprocess.Popen(
        [sys.executable, "-m", "cdvft_app.public.intake", *([] if control is None else [str(control)])],
        stdin=stdin,
        stdout=stdout,
        encoding="utf-8",
        pass_fds=() if control is None else (control,),
        env={**os.environ, **_OF_ONE_THREAD, "PYTHONPATH": _path()},
    )


# glibc keeps 64 MB of addresses for each thread that allocates, which RLIMIT_AS would count.
_OF_ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "1",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
}


def _path() -> str:
    """PYTHONPATH with the folder that this package lies in, installed or not."""
    return os.pathsep.join(filter(None, [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH")]))


def _answer(line: str) -> dict[str, Any]:
    with suppress(ValueError):
        found = json.loads(line)
        if isinstance(found, dict):
            return found
    return {}


def _sentence(code: int, limits: ChildLimits) -> str:
    """Return why a child ended without an answer, from its exit code as Python gives it."""
    ended_by_time = {-getattr(signal, name, 0) for name in ("SIGXCPU", "SIGALRM")}
    if limits.seconds is not None and code in ended_by_time:
        return (
            f"Reading this file takes more than {limits.seconds:g} seconds of a processor, the most that one "
            "may take here. Give a smaller or a simpler file."
        )
    return _memory_sentence(limits)


def _memory_sentence(limits: ChildLimits) -> str:
    allowed = "there is"
    if limits.memory is not None:
        allowed = f"the {limits.memory / 1e6:.0f} MB that one may take here"
    return (
        f"Reading this file takes more memory than {allowed}. Give a smaller one, or one less tightly packed."
    )


# The child's side


def main() -> None:
    """Serve forks on the socket that the argument names; without one, read one file by standard input."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints is no answer
    if len(sys.argv) > 1:
        _serve_forks(socket.socket(fileno=int(sys.argv[1])))
    _read(sys.stdin.readline(), answers)


def _serve_forks(control: socket.socket) -> NoReturn:
    """Fork a child for each connection that comes, until the page has gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # at Control-C the page ends, and this with it
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # which reaps them
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, MAX_REQUEST_BYTES, 1)
        if not message:
            os._exit(0)
        connection = socket.socket(fileno=descriptors[0])
        needed = json.loads(message)
        sys.path[:] = needed["path"]
        for module in needed["imports"]:
            with suppress(Exception):  # the child says what is wrong with it
                import_module(module)
        if os.fork() == 0:
            control.close()
            _supervise(connection)
        connection.close()


def _supervise(connection: socket.socket) -> NoReturn:
    """Fork the reader, kill it if the page hangs up, and tell its exit code."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    reader = os.fork()
    if reader == 0:
        with connection.makefile("r", encoding="utf-8") as requests:
            _read(requests.readline(), connection.makefile("w", encoding="utf-8"))
    events = select.poll()
    events.register(os.pidfd_open(reader), select.POLLIN)
    events.register(connection, select.POLLRDHUP)
    events.poll()
    with suppress(ProcessLookupError):
        os.kill(reader, signal.SIGKILL)  # which an ended one does not notice
    exit_code = os.waitstatus_to_exitcode(os.waitpid(reader, 0)[1])
    with suppress(OSError):
        connection.sendall(f'\n{{"exit_code": {exit_code}}}\n'.encode())  # after what may be half a line
    os._exit(0)


def _read(text: str, answers: IO[str]) -> NoReturn:
    """Call the reader within its limits, tell its progress and its answer, and end."""
    request = json.loads(text)
    limits = ChildLimits(**request["limits"])
    sys.path[:] = request["path"]
    os.environ.clear()
    os.environ.update(request["environment"] | _OF_ONE_THREAD)

    def tell(**answer: Any) -> None:
        answers.write(json.dumps(answer) + "\n")
        answers.flush()

    try:
        for module in request["imports"]:
            import_module(module)
        module, name = request["reader"]
        reader: Callable[..., Any] = getattr(import_module(module), name)
        _limit(limits)
        value = reader(*request["arguments"], lambda fraction, text: tell(fraction=fraction, text=text))
        tell(value=value)
    except MemoryError:
        tell(refused="", sentence=_memory_sentence(limits))
    except Exception as error:
        known = next((one.__name__ for one in type(error).__mro__ if one.__name__ in request["refusals"]), "")
        if not known:
            traceback.print_exc()  # into the server's log
        tell(refused=known, sentence=str(error) if known else _unexpected(error, limits))
    answers.flush()
    os._exit(0)  # no library's threads are waited for


def _unexpected(error: Exception, limits: ChildLimits) -> str:
    if isinstance(error, OSError) and limits.written is not None:
        return (
            f"What this file unpacks to cannot be written; one file may have {limits.written / 1e6:.0f} MB "
            "here. Give less at a time."
        )
    return f"This file cannot be read ({type(error).__name__}). Save it anew, or give it in another format."


def _limit(limits: ChildLimits) -> None:
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(OOM_SCORE)
    if hasattr(os, "nice"):
        os.nice(NICE)
    if resource is None:
        return
    bounds: dict[str, int] = {"RLIMIT_CORE": 0}
    if limits.memory is not None and (mapped := _mapped()):
        bounds["RLIMIT_AS"] = mapped + limits.memory
    if limits.seconds is not None:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        bounds["RLIMIT_CPU"] = math.ceil(usage.ru_utime + usage.ru_stime + limits.seconds)
        signal.alarm(math.ceil(WALL_CLOCK_FACTOR * limits.seconds))
    if limits.written is not None:
        bounds["RLIMIT_FSIZE"] = limits.written
    for name, bound in bounds.items():
        with suppress(OSError, ValueError):  # macOS knows some of them by name alone
            resource.setrlimit(getattr(resource, name), (bound, bound + 1))  # at the second the kernel kills


def _mapped() -> int:
    """Return the bytes of addresses that this process has now; 0 where the system does not say."""
    with suppress(OSError, ValueError):
        return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    return 0


if __name__ == "__main__":
    main()
