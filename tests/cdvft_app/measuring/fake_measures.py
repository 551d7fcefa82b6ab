"""What stands in for `measure` in a child, found by its name."""

from __future__ import annotations

import os
import signal

from cdvft_app.methods import InvalidChoice

RESULT = {"kind": "result", "method": "lora"}


def asked(request, tell):
    tell({"kind": "begin", "model": request.model, "process": os.getpid()})
    tell(RESULT)


def fails(request, tell):
    tell(RESULT)
    raise ValueError("no such layer")


def is_killed(request, tell):
    tell(RESULT)
    os.kill(os.getpid(), signal.SIGKILL)


def crashes(request, tell):
    tell(RESULT)
    os.kill(os.getpid(), signal.SIGSEGV)


def hangs(request, tell):
    tell(RESULT | {"process": os.getpid()})
    signal.pause()


def never_ends(request, tell):
    tell({"kind": "begin", "method": "cdvft", "setting": None, "number": 1, "of": 2, "more": 1})
    signal.pause()


def refuses(request, tell):
    tell(RESULT)
    raise InvalidChoice("No such model.")


def loads_nothing(request, tell):
    """How much this process grew by importing what measures: its libraries must be there already."""
    import psutil

    before = psutil.Process().memory_info().rss
    from cdvft_app.measuring import measure

    assert measure
    tell({"kind": "result", "grown": psutil.Process().memory_info().rss - before})
