"""The `spaces` package of a Space with ZeroGPU, whose GPU trains a run's slices."""

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import closing
from typing import Any

import gradio as gr

from cdvft_app.executors.zero_gpu import NotLent, SliceNews, SliceOrder, Slices, TrainSlice, fetch
from cdvft_app.format import exact_duration
from cdvft_app.settings.environment import environment
from cdvft_app.training.device import is_zero_gpu, stay_on_cpu

MORE = "Resume then goes on from the last checkpoint."
_QUOTA = re.compile(
    r"\((?P<asked>\d+)s requested vs\. (?P<left>\d+)s left\)(?:.*Try again in (?P<wait>[^.]+))?"
)


def slices_on_lent_gpu() -> Slices | None:
    """Return an executor; None where no GPU is lent. Call it before torch is loaded."""
    if not is_zero_gpu():
        return None
    import spaces

    stay_on_cpu()

    def lend(train: TrainSlice) -> TrainSlice:
        lent = spaces.GPU(train, duration=asked_seconds)

        def train_on_it(order: SliceOrder) -> Generator[SliceNews]:
            try:
                with closing(lent(order)) as news:
                    yield from news
            except gr.Error as error:
                raise refused(error) from error

        return train_on_it

    return Slices(environment().slice_seconds, lend=lend, fetch=fetch)


def asked_seconds(order: SliceOrder) -> int:
    return order.asked_seconds


def refused(error: Any) -> NotLent:
    """Return the package's error as one for the run's owner; its title tells which it is."""
    title, message = str(getattr(error, "title", "")), str(error.message)
    if title == "ZeroGPU quota exceeded":
        found = _QUOTA.search(message)
        return NotLent(_quota(found), left=int(found["left"]) if found else None)
    if title == "ZeroGPU worker error":
        return NotLent(
            f"Paused: the GPU was taken away before the slice ended ({message.rstrip('.')}). {MORE}",
            again=True,
        )
    if title == "ZeroGPU queue timeout" or "No GPU was available" in message:
        return NotLent(f"Paused: no GPU was free within a minute. Wait a little and press Resume. {MORE}")
    return NotLent(f"Paused, since no GPU was lent: {message.rstrip('. ')}. {MORE}")


def _quota(found: re.Match[str] | None) -> str:
    """Return a sentence on how much of the day's quota is left, when there is more, and what else helps."""
    had, when = "your GPU time of today is used up", "within a day"
    if found is not None:
        asked = f"the next slice asks for {found['asked']}"
        had = f"{found['left']} s of your GPU time of today are left, and {asked}"
        when = f"in {_duration(found['wait'])}" if found["wait"] else when
    return f"Paused: {had}. More comes {when}. {MORE} Whoever is logged in on huggingface.co has more."


def _duration(wait: str) -> str:
    """Return a `timedelta` that is text, such as 3:21:09 or 1 day, 0:00:05, in words."""
    days, _, clock = wait.rpartition("day")
    hours, minutes, seconds = (float(part) for part in clock.strip("s, ").split(":"))
    return exact_duration(86_400 * float(days or 0) + 3600 * hours + 60 * minutes + seconds)
