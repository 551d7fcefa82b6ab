"""Readers that misbehave, for the child that reads strangers' files; it imports this module."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cdvft_app.data.source import DataRefused

MB = 10**6


def take_memory(_progress: object) -> int:
    return len(bytes(10**9))


def take_time(_progress: object) -> None:
    while True:
        pass


def sleep(_progress: object) -> None:
    time.sleep(60)


def take_disk(folder: str, _progress: object) -> None:
    with Path(folder, "large").open("wb") as file:
        for _ in range(100):
            file.write(bytes(MB))


def crash(_progress: object) -> None:
    os.abort()


def lie(_progress: object) -> None:
    print('{"value": "forged"}', flush=True)
    os.write(1, b'{"value": "forged"}\n')
    raise KeyError("x" * 100)


def honest(text: str, progress: Callable[[float | None, str], None]) -> dict[str, Any]:
    progress(0.5, "half of it")
    return {"said": text}


def refused(_progress: object) -> None:
    raise DataRefused("It is empty.")
