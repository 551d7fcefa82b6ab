"""Lines of code as they run: counted, or the process is killed before one of them."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import Any


class Lines:
    """Of files whose names begin with `of`; a block of `with` runs them, or who hands it to `sys.settrace`.

    SIGKILL comes before the line of the number `fatal`.
    """

    def __init__(self, of: str = "", fatal: int | None = None) -> None:
        self.of, self.fatal, self.count = of, fatal, 0

    def __call__(self, frame: FrameType, event: str, argument: object) -> Any:
        self.count += event == "line"
        if self.count == self.fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        return self if frame.f_code.co_filename.startswith(self.of) else None

    def __enter__(self) -> Lines:
        self._before = sys.gettrace()
        sys.settrace(self)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before)
