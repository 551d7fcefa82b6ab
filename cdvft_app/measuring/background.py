"""Measuring training steps for the page: one measurement at a time, in a child process that can be ended."""

from __future__ import annotations

import pkgutil
import signal
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

from cdvft_app.costs.request import CostRequest
from cdvft_app.errors import UserError
from cdvft_app.settings import InvalidChoice
from cdvft_app.training import children
from cdvft_app.training.children import ChildEnded
from cdvft_app.training.device import device_name, free_bytes, kind_of_measured_steps

MEASURE = "cdvft_app.measuring.measure:measure"
"""A name instead of the function, so that the page need not import torch."""
LIMIT_SECONDS = 300.0
POLL_SECONDS = 0.25
SPARE_SECONDS = 10  # after the limit, until the child process ends itself
MAX_WAITING = 8
SHARE_OF_MEMORY = 0.7

RUN_IS_TRAINING = (
    "A run is training on this machine: the two would slow each other down, and neither time would be true. "
    "Press Measure again when it has ended."
)


class MeasuringFailed(UserError):
    """There is no measurement, or only a part of it; the text is a sentence for the page."""


class WaitingLine:
    """A queue: whoever came first measures first."""

    def __init__(self) -> None:
        self._tickets: list[object] = []  # its append, remove and index are atomic

    @contextmanager
    def ticket(self) -> Iterator[Callable[[], int]]:
        """A function that returns how many are before this one; raises `MeasuringFailed` if too many wait."""
        if len(self._tickets) > MAX_WAITING:
            raise MeasuringFailed(
                f"{MAX_WAITING} others wait to measure here, and no more may. Try again in a minute."
            )
        ticket = object()
        self._tickets.append(ticket)
        try:
            yield lambda: self._tickets.index(ticket)
        finally:
            self._tickets.remove(ticket)


def measuring(
    request: CostRequest,
    line: WaitingLine,
    disturbed: Callable[[], bool],
    measure: str = MEASURE,
    limit: float = LIMIT_SECONDS,
) -> Generator[dict[str, Any], None, None]:
    """Yield the reports of `cdvft_app.measuring.measure`, as they come; closing the iterator ends its
    process.

    Between them come, several times a second, {"kind": "waiting", "place"} while others measure, and then
    {"kind": "on"}, so that the reader can stop at any moment.

    Args:
        request: what to measure.
        line: shared by everyone who measures on this machine.
        disturbed: whether something else now takes this machine's time, in which case nothing is measured.
        measure: the function that measures, as "module:function".
        limit: seconds until the process is ended.

    Raises:
        MeasuringFailed, InvalidChoice: with a sentence.
    """
    with line.ticket() as place:
        while (before := place()) > 0:
            yield {"kind": "waiting", "place": before}
            time.sleep(POLL_SECONDS)
        if disturbed():
            raise MeasuringFailed(RUN_IS_TRAINING)
        end = time.monotonic() + limit
        try:
            with closing(
                children.messages(_measure, measure, request, limit, every=POLL_SECONDS)
            ) as messages:
                for message in messages:
                    yield message or {"kind": "on"}
                    if time.monotonic() > end:
                        raise MeasuringFailed(
                            f"Stopped after {limit:.0f} seconds, the limit; what was measured is kept. "
                            "Choose fewer methods, a smaller batch or a smaller model."
                        )
                    if disturbed():
                        raise MeasuringFailed(RUN_IS_TRAINING)
        except (MeasuringFailed, InvalidChoice):
            raise
        except ChildEnded as error:
            raise MeasuringFailed(_killed_message(error.code)) from None
        except Exception as error:
            raise MeasuringFailed(_ended_message(f"{type(error).__name__}: {error}")) from error


def _measure(tell: Callable[[Any], None], measure: str, request: CostRequest, limit: float) -> None:
    if hasattr(signal, "alarm"):  # the parent, which would end this in time, may have ended itself
        signal.alarm(round(limit) + SPARE_SECONDS)
    pkgutil.resolve_name(measure)(request, tell)


def too_large(row: Mapping[str, Any]) -> str | None:
    """Return why a step of this row of a cost table, of `as_measured`, cannot be measured here, or None."""
    need, free = row["step_bytes"], free_bytes(kind_of_measured_steps())
    if need < SHARE_OF_MEMORY * free:
        return None
    return (
        f"Steps are measured in float32 without checkpointing: one of {row['model']} then needs about "
        f"{need / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free here. "
        "Measure a smaller model or batch; the counts hold for this one as well."
    )


def device_here() -> str:
    """Return the device that a measurement here would name."""
    return device_name(kind_of_measured_steps())


def _killed_message(code: int | None) -> str:
    if code == -signal.SIGKILL:
        return (
            "The measurement was killed, most likely because memory ran out. Choose a smaller model or batch."
        )
    return _ended_message(f"exit code {code}")


def _ended_message(why: str) -> str:
    return f"The measurement ended early ({why[:300]}). Try another setting, or a smaller model or batch."
