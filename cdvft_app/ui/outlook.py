"""Time and memory of a race, said before it starts; a warning where the memory is not there."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from cdvft_app.catalog.plan import Plan
from cdvft_app.figures.palette import METHOD_STYLES

if TYPE_CHECKING:
    from cdvft_app.prediction import Estimate, Prediction

WIDE = 2.0  # a range from one half to double and more is said as a range


def outlook(plans: Sequence[Plan], promised: Sequence[Prediction | None]) -> str:
    """HTML; empty where nothing can be promised."""
    from cdvft_app.training.device import device_kind, free_bytes

    known = [(plan, made) for plan, made in zip(plans, promised, strict=True) if made]
    if not known:
        return ""
    free = free_bytes(device_kind())
    most_plan, most = max(known, key=lambda pair: pair[1].peak_memory_bytes.value)
    peak = most.peak_memory_bytes
    memory = (
        f'<p class="outlook quiet" title="{escape(peak.how)}">At most <b>{_bytes(peak.value)}</b> of memory, '
        f"{_bytes(free)} are free</p>"
    )
    return _time(known) + memory + _warning(most_plan, most, free)


def _time(known: Sequence[tuple[Plan, Prediction]]) -> str:
    device = known[0][1].device.replace("cpu", "CPU", 1)
    wholes = [made.whole_seconds for _, made in known if made.whole_seconds]
    if len(wholes) < len(known):
        return (
            f'<p class="outlook quiet">How long it takes on {escape(device)} is not known '
            "before a first run has ended there</p>"
        )
    parts = ", ".join(
        f"{duration(made.seconds.value)} {METHOD_STYLES[plan.settings.method].label}"
        for plan, made in known
        if made.seconds
    )
    hint = " ".join(
        f"{METHOD_STYLES[plan.settings.method].label}: {made.seconds.how}"
        for plan, made in known
        if made.seconds
    )
    hint = escape(f"{hint} With all: {wholes[0].how}")
    return (
        f'<p class="outlook quiet" title="{hint}"><b>{_span(wholes)}</b> on {escape(device)}, '
        f"training {parts}</p>"
    )


def _span(estimates: Sequence[Estimate]) -> str:
    low, value, high = (sum(getattr(one, name) for one in estimates) for name in ("low", "value", "high"))
    if high > WIDE * value:
        return f"Roughly {duration(low)} to {duration(high)}"
    return f"About {duration(value)}"


def _warning(plan: Plan, made: Prediction, free: int) -> str:
    need = made.step_bytes
    if need.high <= free:
        return ""
    sure = "will most likely" if need.value > free else "may"
    size = "image size" if plan.settings.image_size else "text length"
    name = METHOD_STYLES[plan.settings.method].label
    return (
        f'<p class="problem" role="alert">{name} needs about {_bytes(need.value)} for a step, and '
        f"{_bytes(free)} are free: it {sure} run out of memory. Lower the batch size or the {size}, "
        "or take a smaller model.</p>"
    )


def duration(seconds: float) -> str:
    """39 s, 5 min, 2.4 h or 3 days: as exact as a forecast is."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 100 * 60:
        return f"{seconds / 60:.0f} min"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86_400:.0f} days"


def _bytes(size: float) -> str:
    return f"{size / 1e9:.1f} GB" if size < 99.5e9 else f"{size / 1e9:,.0f} GB"
