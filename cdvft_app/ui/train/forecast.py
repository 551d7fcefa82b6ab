"""HTML shown before a race starts: trained parameters, time and memory, and CDVFT's blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from html import escape
from operator import add

from cdvft.blocks import partitions
from cdvft_app.catalog.plan import Plan
from cdvft_app.figures import block_layout
from cdvft_app.format import duration, percent
from cdvft_app.methods import Method, labels
from cdvft_app.methods.cdvft import Cdvft
from cdvft_app.prediction import GUESS_OF_GPU, Prediction
from cdvft_app.prediction.observations import Estimate
from cdvft_app.settings.environment import environment
from cdvft_app.training.device import free_bytes, kind_of_training, knows_lent_gpu

MAX_SHAPES = 3


@dataclass(frozen=True)
class ForecastHtml:
    """HTML for the sentence, the counts, time and memory, and for CDVFT's block layout."""

    counts: str
    blocks: str


def forecast_html(plans: Sequence[Plan], predictions: Sequence[Prediction | None]) -> ForecastHtml:
    """Return the forecast of a race's runs, with the prediction of each."""
    shapes = plans[0].target_shapes
    if not shapes:
        text = "The layers of this model are counted once it is loaded."
        return ForecastHtml(f'<p class="promise quiet">{text}</p>', "")
    methods = [plan.settings.method for plan in plans]
    counts = [
        _Competitor(method, label, name, plan.trainable_parameters() or 0)
        for plan, method, label, name in zip(plans, methods, labels(methods), names(plans), strict=True)
    ]
    whole = sum(d_out * d_in * count for _, d_out, d_in, count in shapes)
    first = next((one for one in counts if one.method.key == "cdvft"), counts[0])
    others = [one for one in counts if one is not first]
    sentence = _sentence(first, plans[0].model.title, whole)
    return ForecastHtml(sentence + _list(others) + resource_estimate(plans, predictions), _blocks(plans))


@dataclass(frozen=True)
class _Competitor:
    """A competitor with the numbers it trains; `name` is short, `label` has its settings."""

    method: Method
    label: str
    name: str
    parameters: int


def _sentence(one: _Competitor, model: str, whole: int) -> str:
    method, parameters = one.method, one.parameters
    if method.key == "head":
        return '<p class="promise">Trains the classifier head only.</p>'
    if method.key == "full":
        return f'<p class="promise">Trains all <b>{parameters:,}</b> parameters of the model.</p>'
    share = percent(parameters / whole).replace(" ", "\u00a0")
    hint = f"{share} of the {whole:,} frozen parameters in the adapted layers of {escape(model)}."
    return (
        f'<p class="promise" title="{hint}">{escape(one.name)}: <b>{parameters:,}</b> trainable '
        f"parameters <span class='quiet'>({share} of adapted layers)</span></p>"
    )


def _list(counts: list[_Competitor]) -> str:
    items = "".join(
        f'<li title="{escape(one.label)}"><span class="dot {one.method.key}"></span>{escape(one.name)} '
        f"<b>{one.parameters:,}</b></li>"
        for one in counts
    )
    return (
        f'<ul class="counts" aria-label="Trained numbers of the others" role="list">{items}</ul>'
        if counts
        else ""
    )


def _blocks(plans: Sequence[Plan]) -> str:
    plan = next((plan for plan in plans if plan.settings.method.key == "cdvft"), None)
    if plan is None:
        return ""
    method = plan.settings.method
    assert isinstance(method, Cdvft)
    by_shape: dict[tuple[int, int], list[tuple[str, int]]] = {}
    for name, d_out, d_in, count in plan.target_shapes:
        by_shape.setdefault((d_out, d_in), []).append((name, count))
    drawn = []
    for (d_out, d_in), groups in list(by_shape.items())[:MAX_SHAPES]:
        first, *later = partitions(d_out, d_in, method.m, method.block_size)
        names = " and ".join(escape(name) for name, _ in groups)
        total = sum(count for _, count in groups)
        many = first.q1 * first.q2
        words = (
            f"one circulant of {first.p}"
            if many == 1
            else f"{first.q1} × {first.q2} circulant blocks of {first.p}"
        )
        if first.padded:
            words += ", padded where they do not divide"
        if later:
            q, p = later[0].q1, later[0].p
            size = f"{d_out} × {d_out}" if q == 1 else f"{q} × {q} blocks of {p}"
            words += f", then {len(later) if len(later) > 1 else 'one'} more of {size}"
        diagonals = "two" if method.m == 2 else str(method.m)
        drawn.append(
            f"<figure>{block_layout.svg(first)}<figcaption><b>{names}</b>, {total} of {d_out} × {d_in}:"
            f"<br>{words}, between {diagonals} diagonals</figcaption></figure>"
        )
    rest = len(by_shape) - MAX_SHAPES
    return "".join(drawn) + (f'<p class="quiet">and {rest} more shapes</p>' if rest > 0 else "")


WIDE = 4.0  # a range whose end is so many times its beginning and more is said as a range
# Of ZeroGPU, as its documentation says in 2026; those with PRO have 2400.
ANONYMOUS_SECONDS, ACCOUNT_SECONDS = 120, 300
UNKNOWN = "Time and memory are not known beforehand: the layers of {} see different numbers of tokens."


@dataclass(frozen=True)
class _Forecast:
    """The prediction of a run; `name` tells it from the others of its race."""

    name: str
    plan: Plan
    prediction: Prediction


def names(plans: Sequence[Plan]) -> list[str]:
    """Return the title of each run's method; where one races several times, its label with what differs."""
    methods = [plan.settings.method for plan in plans]
    keys = [method.key for method in methods]
    return [
        label if keys.count(method.key) > 1 else method.title
        for method, label in zip(methods, labels(methods), strict=True)
    ]


def resource_estimate(plans: Sequence[Plan], predictions: Sequence[Prediction | None]) -> str:
    """Return time and memory as HTML; empty where nothing is known of the model yet."""
    known = [
        _Forecast(name, plan, prediction)
        for name, plan, prediction in zip(names(plans), plans, predictions, strict=True)
        if prediction
    ]
    if not known:
        model = plans[0].model
        return (
            ""
            if model.is_countable
            else f'<p class="outlook quiet">{UNKNOWN.format(escape(model.title))}</p>'
        )
    free = free_bytes(kind_of_training())
    largest = max(known, key=lambda one: one.prediction.peak_memory_bytes.value)
    peak = largest.prediction.peak_memory_bytes
    hint = f"{_bytes(free)} are free. {escape(peak.how)}"
    memory = f'<span title="{hint}"><b>{_bytes(peak.value)}</b> memory</span>'
    return f'<p class="outlook quiet">{_time(known)} · {memory}</p>{_warning(largest, free)}'


def _time(known: Sequence[_Forecast]) -> str:
    device = escape(known[0].prediction.device)
    wholes = [one.prediction.whole_seconds for one in known if one.prediction.whole_seconds]
    if knows_lent_gpu():
        guessed = any(one.prediction.seconds and GUESS_OF_GPU in one.prediction.seconds.how for one in known)
        return _lent_time(wholes if len(wholes) == len(known) else [], device, guessed)
    if len(wholes) < len(known):
        return (
            f"<span>How long it takes on {device} is not known before a first run has ended there, "
            "or a step was measured on the Compare tab</span>"
        )
    whole = reduce(add, wholes)
    trained = [(one.name, one.prediction.seconds) for one in known if one.prediction.seconds]
    if whole.high > WIDE * whole.low:
        words = f"<b>{duration(whole.low)} to {duration(whole.high)}</b>"
    else:
        words = f"About <b>{duration(whole.value)}</b>"
    how = [f"{name}, {duration(seconds.value)} of training: {seconds.how}" for name, seconds in trained]
    said = " ".join([f"On {known[0].prediction.device}.", *how, whole.how])
    return f'<span title="{escape(said)}">{words}</span>'


def _lent_time(wholes: Sequence[Estimate], device: str, guessed: bool) -> str:
    """Return the part of a visitor's daily GPU time that a race takes, as HTML."""
    quota = (
        f"of your {ANONYMOUS_SECONDS} a day, {ACCOUNT_SECONDS} with an account of huggingface.co, in slices "
        f"of up to {environment().slice_seconds} s while this page is open"
    )
    if not wholes:
        return f"<span><b>GPU seconds</b> on {device}: known once a first run has ended there; {quota}</span>"
    whole = reduce(add, wholes)
    is_wide = whole.high > WIDE * whole.low
    seconds = f"Roughly <b>{whole.low:.0f} to {whole.high:.0f}" if is_wide else f"About <b>{whole.value:.0f}"
    how = escape(GUESS_OF_GPU if guessed else whole.how)
    first = " (a guess: nothing has ended on it yet)" if guessed else ""
    return f'<span title="{how}">{seconds} GPU seconds</b> on {device}{first}, {quota}</span>'


def _warning(largest: _Forecast, free: int) -> str:
    need = largest.prediction.step_bytes
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
