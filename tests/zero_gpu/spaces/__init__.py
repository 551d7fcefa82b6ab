"""Stands in for Hugging Face's package `spaces` where there is no ZeroGPU: what it lends is this CPU.

Put this folder's parent on PYTHONPATH. Kept is what version 0.51.3 promises its callers: off ZeroGPU the
decorator returns the function; on it each call asks for time first, in seconds that are charged to the
visitor whose request it is; then it runs in a fork, which is used again if it is idle; arguments and yields
are pickled; a fork that takes longer than it asked for is killed; closing the generator sets an event that
the fork sees at its next yield; refusals are `gr.Error`s with the titles and words of the original. Outside
of a fork torch claims to have CUDA, and fails where somebody touches it.

STAND_IN_QUOTA: seconds that each visitor has, as the header x-ip-token names one.
"""

from __future__ import annotations

import inspect
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from functools import partial, wraps
from typing import Any

MAX_SECONDS = 120
_zero_gpu = os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")
_fork = multiprocessing.get_context("fork")
_forked = False
decorated_cache: dict[Callable[..., Any], Callable[..., Any]] = {}


def GPU(task: Any = None, *, duration: Any = None, size: str | None = None) -> Any:
    """`@spaces.GPU`, with `duration` in seconds, or a function of the same arguments that gives them."""
    if not callable(task):
        return partial(GPU, duration=duration, size=size)
    if not _zero_gpu:
        return task
    if inspect.iscoroutinefunction(task) or not inspect.isgeneratorfunction(task):
        raise NotImplementedError("only generators are stood in for")
    if task not in decorated_cache:
        decorated_cache[task] = _lent(task, duration)
        decorated_cache[task].zerogpu = None  # type: ignore[attr-defined]
    return decorated_cache[task]


def gradio_auto_wrap(task: Any) -> Any:
    """Gradio asks this of every event's function; on a Space it changes none unless told to."""
    return task


def _lent(task: Callable[..., Iterator[Any]], duration: Any) -> Callable[..., Any]:
    idle: list[_Worker] = []

    @wraps(task)
    def handler(*args: Any, **kwargs: Any) -> Iterator[Any]:
        if _forked:
            yield from task(*args, **kwargs)
            return
        asked = (duration(*args, **kwargs) if callable(duration) else duration) or 60
        visitor = _visitor()
        quota.reserve(visitor, asked)
        worker = idle.pop() if idle and idle[-1].process.is_alive() else _Worker(task)
        worker.stop.clear()
        worker.arguments.put((args, kwargs))
        begun = time.monotonic()
        killing = threading.Timer(asked, worker.process.kill)
        killing.start()
        ended = False
        try:
            while not ended:
                kind, value = worker.results.get()
                ended = kind != "item"
                if kind == "aborted":
                    raise _error("ZeroGPU worker error", "GPU task aborted")
                if kind == "error":
                    raise _error("ZeroGPU worker error", value)
                if kind == "item":
                    yield value
        except GeneratorExit:
            worker.stop.set()
            while not ended:
                ended = worker.results.get()[0] != "item"
            raise
        finally:
            killing.cancel()
            quota.settle(visitor, asked, time.monotonic() - begun)
            if worker.process.is_alive():
                idle.append(worker)

    return handler


class _Quota:
    def __init__(self) -> None:
        self._spent: dict[str, float] = {}

    def reserve(self, visitor: str, asked: float) -> None:
        requested = round(asked)
        left = int(float(os.environ.get("STAND_IN_QUOTA", "120")) - self._spent.get(visitor, 0.0))
        if requested > MAX_SECONDS:
            raise _error(
                "ZeroGPU illegal duration",
                f"The requested GPU duration ({requested}s) is larger than the maximum allowed",
            )
        if requested > left:
            raise _error(
                "ZeroGPU quota exceeded",
                f"You have exceeded your free ZeroGPU quota ({requested}s requested vs. {left}s left). "
                f"Try again in {timedelta(hours=3, minutes=21, seconds=9)}. ",
            )
        self._spent[visitor] = self._spent.get(visitor, 0.0) + asked

    def settle(self, visitor: str, asked: float, taken: float) -> None:
        self._spent[visitor] += taken - asked


quota = _Quota()


workers: list[_Worker] = []  # all that were ever begun, for tests that have to end them


class _Worker:
    def __init__(self, task: Callable[..., Iterator[Any]]) -> None:
        self.arguments, self.results = _fork.SimpleQueue(), _fork.SimpleQueue()
        self.stop = _fork.Event()
        self.process = _fork.Process(
            target=_work, args=(task, self.arguments, self.results, self.stop), daemon=True
        )
        self.process.start()
        workers.append(self)
        threading.Thread(target=self._tell_of_end, daemon=True).start()

    def _tell_of_end(self) -> None:
        self.process.join()
        lock = self.results._wlock  # type: ignore[attr-defined] # the dead may hold it
        lock.acquire(block=False)
        lock.release()
        self.results.put(("aborted", None))


def _work(task: Callable[..., Iterator[Any]], arguments: Any, results: Any, stop: Any) -> None:
    global _forked  # noqa: PLW0603 (as in the original)
    _forked = True
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    _close_connections()
    _unpatch()
    while True:
        args, kwargs = arguments.get()
        thread = threading.Thread(target=_iterate, args=(task(*args, **kwargs), results, stop))
        thread.start()
        thread.join()


def _iterate(items: Any, results: Any, stop: Any) -> None:
    try:
        for item in items:
            if stop.is_set():
                items.close()
                break
            results.put(("item", item))
    except Exception as error:
        results.put(("error", type(error).__name__))
    else:
        results.put(("end", None))


def _close_connections() -> None:
    """Those of the server: a browser would wait for an answer by one that the server has closed."""
    import psutil

    for connection in psutil.Process().net_connections("tcp"):
        with suppress(OSError):
            os.close(connection.fd)


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(0)


def _visitor() -> str:
    """Whose quota it is, by the request of the event; what comes without one finds its pool used up."""
    from gradio.context import LocalContext

    request = LocalContext.request.get(None)
    if request is None:
        raise _error("ZeroGPU quota exceeded", "Space app has reached its GPU limit.")
    return request.headers.get("x-ip-token", "")


def _error(title: str, message: str) -> Exception:
    import gradio as gr

    return gr.Error(message, title=title, print_exception=False)


_kept: list[tuple[Any, str, Any]] = []


def _patch() -> None:
    import psutil
    import torch

    memory = psutil.virtual_memory()
    claims = {
        "is_available": lambda: True,
        "device_count": lambda: 1,
        "current_device": lambda: 0,
        "get_device_name": lambda *_: "CPU, 1 thread",  # as a slice finds it
        "mem_get_info": lambda *_: (memory.available, memory.total),
        "_lazy_init": _touched,
    }
    for name, claim in claims.items():
        _kept.append((torch.cuda, name, getattr(torch.cuda, name)))
        setattr(torch.cuda, name, claim)


def _unpatch() -> None:
    for module, name, before in _kept:
        setattr(module, name, before)


def _touched() -> None:
    raise RuntimeError("Low-level CUDA init (`torch._C._cuda_init`) reached.")


if _zero_gpu:
    _patch()
