"""Measuring training steps beside the page: one measurement at a time, in a process that can be ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import cdvft_app
from cdvft_app.costs.request import CostRequest
from cdvft_app.training.device import device_name, free_bytes, kind_of_measured_steps

PROGRAM = (sys.executable, "-m", "cdvft_app.measuring.measure")
LIMIT_SECONDS = 300.0
EVERY = 0.25  # seconds between two looks
MOST_WAITING = 8
SHARE_OF_MEMORY = 0.7

TRAINS = (
    "A run is training on this machine: the two would slow each other down, and neither time would be true. "
    "Press Measure again when it has ended."
)


class MeasuringFailed(Exception):
    """There is no measurement, or only a part of it; the text is a sentence for the person who asked."""


class WaitingLine:
    """Who asked first measures first."""

    def __init__(self) -> None:
        self._asked: list[object] = []  # its append, remove and index are atomic

    @contextmanager
    def ticket(self) -> Iterator[Callable[[], int]]:
        """A call that says how many are before this one; raises `MeasuringFailed` where too many wait."""
        if len(self._asked) > MOST_WAITING:
            raise MeasuringFailed(
                f"{MOST_WAITING} others wait to measure here, and no more may. Try again in a minute."
            )
        mine = object()
        self._asked.append(mine)
        try:
            yield lambda: self._asked.index(mine)
        finally:
            self._asked.remove(mine)


def measuring(
    request: CostRequest,
    line: WaitingLine,
    disturbed: Callable[[], bool],
    program: Sequence[str] = PROGRAM,
    limit: float = LIMIT_SECONDS,
) -> Generator[dict[str, Any], None, None]:
    """The lines of `cdvft_app.training.measure` as they come; closing the iterator ends the process.

    Beside them come, several times a second, {"kind": "waiting", "place"} while others measure, and then
    {"kind": "on"}, so that whoever reads can stop at any moment.

    Args:
        request: what to measure.
        line: shared by all who measure here.
        disturbed: whether something else now takes this machine's time, in which case nothing is measured.
        program: what to start; the request is its last argument.
        limit: seconds until the process is ended.

    Raises:
        MeasuringFailed: with a sentence.
    """
    with line.ticket() as place:
        while (before := place()) > 0:
            yield {"kind": "waiting", "place": before}
            time.sleep(EVERY)
        if disturbed():
            raise MeasuringFailed(TRAINS)
        end = time.monotonic() + limit
        with _started([*program, request.model_dump_json(exclude_none=True)]) as (
            process,
            output,
            complaints,
        ):
            rest = ""
            while True:
                ended = process.poll() is not None  # asked before reading, so that no last line is missed
                *lines, rest = (rest + output.read()).split("\n")
                for told in map(json.loads, lines):
                    if told["kind"] == "refused" and told["method"] is None:
                        raise MeasuringFailed(told["why"])
                    yield told
                if ended:
                    break
                yield {"kind": "on"}
                if time.monotonic() > end:
                    raise MeasuringFailed(
                        f"Stopped after {limit:.0f} seconds, the limit; what was measured is kept. "
                        "Choose fewer methods, a smaller batch or a smaller model."
                    )
                if disturbed():
                    raise MeasuringFailed(TRAINS)
                time.sleep(EVERY)
            if process.returncode:
                raise MeasuringFailed(_died(process.returncode, complaints))


def too_large(row: Mapping[str, Any]) -> str | None:
    """Why a step of this row of a cost table cannot be measured on this machine, or None."""
    need, free = row["step_bytes"], free_bytes(kind_of_measured_steps())
    if need < SHARE_OF_MEMORY * free:
        return None
    return (
        f"A step of {row['model']} needs about {need / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free here. "
        "Measure a smaller model or batch; the counts hold for this one as well."
    )


def device_here() -> str:
    """The device that a measurement here would name."""
    return device_name(kind_of_measured_steps())


@contextmanager
def _started(command: Sequence[str]) -> Iterator[tuple[subprocess.Popen[str], IO[str], Path]]:
    root = str(Path(cdvft_app.__file__).parents[1])
    environment = {"PYTHONPATH": os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))}
    with tempfile.TemporaryDirectory() as work:
        output, complaints = Path(work, "output"), Path(work, "complaints")
        with output.open("w") as said, complaints.open("w") as complained:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=complained,
                text=True,
                env={**os.environ, **environment},
            )
        try:
            with output.open() as lines:
                yield process, lines, complaints
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            process.wait()


def _died(code: int, complaints: Path) -> str:
    if code in (-signal.SIGKILL, 128 + signal.SIGKILL):
        return (
            "The measurement was killed, most likely because memory ran out. Choose a smaller model or batch."
        )
    last = complaints.read_text(errors="replace").strip().splitlines()[-1:]
    why = last[0][:300] if last else f"exit code {code}"
    return f"The measurement ended early ({why}). Try another setting, or a smaller model or batch."
