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


def refuses(request, tell):
    tell(RESULT)
    raise InvalidChoice("No such model.")
