"""Predicted time and memory of a race as HTML, with a warning where memory will not do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from cdvft_app.catalog.plan import Plan
from cdvft_app.costs.quantities import duration
from cdvft_app.methods import labels
from cdvft_app.prediction import GUESS_OF_GPU, Estimate, Prediction
from cdvft_app.training.device import free_bytes, kind_of_training, knows_lent_gpu
from cdvft_app.training.slices import slice_seconds

WIDE = 4.0  # a range whose end is so many times its beginning and more is said as a range
# Of ZeroGPU, as its documentation says in 2026; those with PRO have 2400.
ANONYMOUS_SECONDS, ACCOUNT_SECONDS = 120, 300
UNKNOWN = "Time and memory are not known beforehand: the layers of {} see different numbers of tokens."


@dataclass(frozen=True)
class _Promised:
    """What is promised of a run; `name` tells it from the others of its race."""

    name: str
    plan: Plan
    made: Prediction


def names(plans: Sequence[Plan]) -> list[str]:
    """Of each its method's title; where a method races several times, its label with what differs."""
    methods = [plan.settings.method for plan in plans]
    keys = [method.key for method in methods]
    return [
        label if keys.count(method.key) > 1 else method.title
        for method, label in zip(methods, labels(methods), strict=True)
    ]


def outlook(plans: Sequence[Plan], promised: Sequence[Prediction | None]) -> str:
    """HTML; empty where nothing is known of the model yet."""
    known = [
        _Promised(name, plan, made)
        for name, plan, made in zip(names(plans), plans, promised, strict=True)
        if made
    ]
    if not known:
        model = plans[0].model
        return (
            ""
            if model.is_countable
            else f'<p class="outlook quiet">{UNKNOWN.format(escape(model.title))}</p>'
        )
    free = free_bytes(kind_of_training())
    largest = max(known, key=lambda one: one.made.peak_memory_bytes.value)
    peak = largest.made.peak_memory_bytes
    memory = (
        f'<span title="{escape(peak.how)}">about <b>{_bytes(peak.value)}</b> of memory, '
        f"{_bytes(free)} are free</span>"
    )
    return f'<p class="outlook quiet">{_time(known)} · {memory}</p>{_warning(largest, free)}'


def _time(known: Sequence[_Promised]) -> str:
    device = escape(known[0].made.device)
    wholes = [one.made.whole_seconds for one in known if one.made.whole_seconds]
    if knows_lent_gpu():
        guessed = any(one.made.seconds and GUESS_OF_GPU in one.made.seconds.how for one in known)
        return _lent_time(wholes if len(wholes) == len(known) else [], device, guessed)
    if len(wholes) < len(known):
        return (
            f"<span>How long it takes on {device} is not known before a first run has ended there, "
            "or a step was measured on the Compare tab</span>"
        )
    low, value, high = (sum(getattr(one, name) for one in wholes) for name in ("low", "value", "high"))
    what = f"“{escape(known[0].plan.title)}”"  # which Start trains on, and may not be the data just looked at
    trained = [(one.name, one.made.seconds) for one in known if one.made.seconds]
    if high > WIDE * low:
        words = f"Roughly <b>{duration(low)} to {duration(high)}</b> on {device} for {what}"
    else:
        parts = ", ".join(f"{duration(seconds.value)} for {escape(name)}" for name, seconds in trained)
        words = f"About <b>{duration(value)}</b> on {device} for {what}; training alone: {parts}"
    how = [f"{name}, {duration(seconds.value)} of training: {seconds.how}" for name, seconds in trained]
    return f'<span title="{escape(" ".join([*how, wholes[0].how]))}">{words}</span>'


def _lent_time(wholes: Sequence[Estimate], device: str, guessed: bool) -> str:
    """What of a visitor's daily GPU time a race takes."""
    quota = (
        f"of your {ANONYMOUS_SECONDS} a day, {ACCOUNT_SECONDS} with an account of huggingface.co, in slices "
        f"of up to {slice_seconds()} s while this page is open"
    )
    if not wholes:
        return f"<span><b>GPU seconds</b> on {device}: known once a first run has ended there; {quota}</span>"
    low, value, high = (sum(getattr(one, name) for one in wholes) for name in ("low", "value", "high"))
    seconds = f"Roughly <b>{low:.0f} to {high:.0f}" if high > WIDE * low else f"About <b>{value:.0f}"
    how = escape(GUESS_OF_GPU if guessed else wholes[0].how)
    first = " (a guess: nothing has ended on it yet)" if guessed else ""
    return f'<span title="{how}">{seconds} GPU seconds</b> on {device}{first}, {quota}</span>'


def _warning(largest: _Promised, free: int) -> str:
    need = largest.made.step_bytes
    if need.high <= free:
        return ""
    sure = "will most likely" if need.value > free else "may"
    size = "image size" if largest.plan.settings.image_size else "text length"
    name = escape(largest.name)
    return (
        f'<p class="problem" role="alert">{name} needs about {_bytes(need.value)} for a step, and '
        f"{_bytes(free)} are free: it {sure} run out of memory. Lower the batch size or the {size}, "
        "or take a smaller model.</p>"
    )


def _bytes(size: float) -> str:
    return f"{size / 1e9:.1f} GB" if size < 99.5e9 else f"{size / 1e9:,.0f} GB"
