"""The room in which strangers' files are read: a child process with limits, one at a time for each visitor.

`read_in_child` starts `python -m cdvft_app.public.intake`, which imports no torch. Request and answers are
JSON, a line each, so that a file that takes over the child still cannot hand objects to the page. The system
limits memory, processor time, wall time, and the size of a file that is written. Where the system has no
limits (Windows, in part macOS), the counts of the readers are the limit.
"""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import threading
import traceback
from collections import Counter
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
MAX_ANSWER = 64 * 10**6  # characters of one line
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
    """Admits at most `children` visitors at a time, each once; the others wait."""

    def __init__(self, children: int, waiting: int, waiting_each: int) -> None:
        self._children = threading.Semaphore(children)
        self._most, self._most_each = children + waiting, 1 + waiting_each
        self._lock = threading.Lock()
        self._visits: Counter[str] = Counter()  # that are read or wait
        self._turns: dict[str, threading.Lock] = {}

    @contextmanager
    def held(self, visitor: str | None) -> Iterator[None]:
        """Hold the visitor's place; None, as on a server that is not public, needs none.

        Raises:
            TooManyRequests: the visitor, or all of them, have too much waiting.
        """
        if visitor is None:
            yield
            return
        with self._lock:
            self._require_room(visitor)
            self._visits[visitor] += 1
            turn = self._turns.setdefault(visitor, threading.Lock())
        try:
            with turn, self._children:
                yield
        finally:
            with self._lock:
                self._visits[visitor] -= 1
                if not self._visits[visitor]:
                    del self._visits[visitor], self._turns[visitor]

    def _require_room(self, visitor: str) -> None:
        if self._visits[visitor] >= self._most_each:
            raise TooManyRequests(
                f"{self._most_each} files of yours are being read or wait for it. Wait for them, and give "
                "this one again."
            )
        if self._visits.total() >= self._most:
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
    with _started() as child:
        assert child.stdin and child.stdout
        try:
            with suppress(BrokenPipeError), child.stdin:
                child.stdin.write(json.dumps(request))
            answer: dict[str, Any] = {}
            while "fraction" in (answer := _answer(child.stdout.readline(MAX_ANSWER))):
                progress(answer["fraction"], answer["text"])
            exit_code = 0 if answer else child.wait()
        finally:
            child.kill()
    if "value" in answer:
        return answer["value"]
    for refusal in refusals:
        if answer.get("refused") == refusal.__name__:
            raise refusal(answer["sentence"])
    raise TooMuch(answer.get("sentence") or _sentence(exit_code, limits))


def _started() -> subprocess.Popen[str]:
    """Start this module as a process."""
    return subprocess.Popen(
        [sys.executable, "-m", "cdvft_app.public.intake"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
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
    """Read one file, as standard input asks."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints is no answer
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # at Control-C the page ends, and kills this
    _read(sys.stdin.readline(), answers)


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
