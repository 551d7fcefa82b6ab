"""Which method to take for a model, a device and a wish: one sentence, one table, and what they rest on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cdvft_app.costs.devices import HERE, Device, device
from cdvft_app.costs.quantities import QUANTITIES, Row, amount, duration, times
from cdvft_app.costs.request import Aim, CostRequest
from cdvft_app.costs.sentences import joined, label, least
from cdvft_app.decision.fit import Fit, fit, precision_phrase, remedy, smaller_model
from cdvft_app.decision.quality import Quality, quality
from cdvft_app.judging.verdict import Verdict
from cdvft_app.judging.verdict_text import result
from cdvft_app.measuring.comparison_times import Lookup, file_row, timed_rows
from cdvft_app.methods import ADAPTERS, METHODS, Method
from cdvft_app.methods.flat import method_of
from cdvft_app.metrics import get_metric
from cdvft_app.payloads.compare import Answer
from cdvft_app.prediction import Estimate
from cdvft_app.shapes import ModelShapes, model_shapes

MANY = 100  # adapters that are held at once
MAX_STEP_SECONDS = 60.0  # nobody trains a model whose steps take longer
_FLOAT32 = 4
_COUNTED = {"bytes": "Adapter file", "parameters": "Trainable numbers", "flops": "Extra FLOPs"}
StepSeconds = Callable[[Mapping[str, Any]], Estimate | None]


@dataclass(frozen=True)
class Seconds:
    """A step's time on this machine: measured, or learned from what was like it."""

    value: float
    measured: bool
    hint: str

    @property
    def text(self) -> str:
        return amount("seconds", self.value) if self.measured else f"about {duration(self.value)}"


@dataclass(frozen=True)
class Choice:
    """`because` goes on after "LoRA r = 8 for ...: ", `evidence` are sentences that follow.

    `says_file`: the clause is about the file already.
    """

    row: Row
    because: str
    evidence: str = ""
    says_file: bool = False


@dataclass(frozen=True)
class Known:
    """What a choice can go by: of the available rows by method, and what was recorded of races like it."""

    fits: Mapping[str, Fit]
    seconds: Mapping[str, Seconds]
    quality: Quality

    def candidates(self, adapters: Sequence[Row], aim: Aim) -> list[Row]:
        """The adapters to choose from: where quality matters most, none that is behind another of them."""
        if aim != "quality":
            return [*adapters]
        return [row for row in adapters if row["method"] not in self.quality.behind]

    def fitting(self, rows: Sequence[Row]) -> list[Row]:
        return [row for row in rows if self.fits[row["method"]].word != "no"]


@dataclass(frozen=True)
class Decision:
    """What a request is answered.

    `request` is the one that the answer is about: the asked one, or where nothing fits as asked one that
    does. `rows` and `answers` are of it; `asked_rows` of the asked one.
    """

    request: CostRequest
    sentence: str
    answers: list[Answer]
    rows: list[dict[str, Any]]
    asked_rows: list[dict[str, Any]]
    known: Known
    shapes: ModelShapes
    matched: list[str]

    def facts(self) -> dict[str, Any]:
        """As the command line and the API give it."""
        return {
            "sentence": self.sentence,
            "request": self.request.model_dump(mode="json", exclude_none=True),
            "methods": [label(row) for row in self.rows],
            "answers": self.answers,
            "rows": [file_row(row) for row in self.rows],
        }


def decide(
    request: CostRequest,
    here_bytes: int | None = None,
    lookup: Lookup = lambda row: None,
    step_seconds: StepSeconds = lambda row: None,
) -> Decision:
    """The sentence and the table for a request.

    Args:
        request: the model, the step, the methods, the device, and what matters most.
        here_bytes: memory of this device; None: not known.
        lookup: finds what was measured of a row of the cost table.
        step_seconds: says what a row's step takes here, by what was like it; None where nothing was.

    Raises:
        InvalidChoice: with a sentence.
    """
    shapes, on = model_shapes(request.model, request.image_size), device(request.device, here_bytes)

    def looked_up(request: CostRequest) -> tuple[list[dict[str, Any]], list[str], Known]:
        rows, matched = timed_rows(request, lookup)
        available = [row for row in rows if not row["unavailable"]]
        known = Known(
            {row["method"]: fit(row, on) for row in available},
            _known_seconds(available, request, step_seconds),
            quality(shapes, [row["method"] for row in available if row["method"] in ADAPTERS]),
        )
        return rows, matched, known

    asked_rows, matched, known = looked_up(request)
    answered, rows = request, asked_rows
    adapters = _adapters(asked_rows)
    candidates = known.candidates(adapters, request.aim)
    if not adapters:
        said = f"None of these methods puts an adapter on {_short(shapes)}; choose one that does."
    elif known.fitting(candidates):
        said = _answer(adapters, known, request, shapes, on)
    else:
        said = _nothing_fits(adapters, known, request, shapes, on)
        leanest = min(candidates, key=lambda row: row["step_bytes"])
        method = method_of(leanest["method"], leanest["setting"])
        if found := remedy(request, method, on):
            answered = found.request
            rows, matched, known = looked_up(answered)
            said += f" What costs least and fits: {joined(found.changes)}. "
            said += _answer(_adapters(rows), known, answered, shapes, on)
        else:
            as_asked = next(one for one in request.methods if one.key == method.key)
            said += f" {_smaller(request, as_asked, shapes, on)}"
    return Decision(answered, said, _answers(rows, known, on), rows, asked_rows, known, shapes, matched)


def _adapters(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if not row["unavailable"] and row["method"] in ADAPTERS]


def _short(shapes: ModelShapes) -> str:
    return shapes.name.rpartition("/")[2]


def _known_seconds(
    rows: Sequence[Row], request: CostRequest, step_seconds: StepSeconds
) -> dict[str, Seconds]:
    """By method, for this machine in float32 alone: elsewhere nothing was measured."""
    if request.device != HERE or request != request.as_measured:
        return {}
    found = {}
    for row in rows:
        if measured := row["measured"]:
            found[row["method"]] = Seconds(measured["seconds"], True, f"Measured on {measured['device']}.")
        elif learned := step_seconds(row):
            found[row["method"]] = Seconds(learned.value, False, f"Learned: {learned.how}.")
    return {} if any(one.value > MAX_STEP_SECONDS for one in found.values()) else found


# The sentence


def _nothing_fits(
    rows: Sequence[Row], known: Known, request: CostRequest, shapes: ModelShapes, on: Device
) -> str:
    """`rows`: the adapters; those to choose from do not fit."""
    candidates = known.candidates(rows, request.aim)
    need = amount("bytes", min(known.fits[row["method"]].total for row in candidates))
    held = precision_phrase(request.precision, request.gradient_checkpointing)
    has = f"has {amount('bytes', on.bytes or 0)}" if " with " not in on.phrase else "is smaller"
    names = joined([label(row) for row in candidates])
    some = f"{names} {'does' if len(candidates) == 1 else 'do'} not fit"
    fits = some if known.fitting([row for row in rows if row not in candidates]) else "nothing fits"
    return f"As asked {fits}: {_short(shapes)} in {held} needs {need}, and {on.phrase} {has}."


def _smaller(request: CostRequest, method: Method, shapes: ModelShapes, on: Device) -> str:
    """Where no change but another model helps."""
    found = smaller_model(request, method, shapes, on)
    start = "Nor does it in 4 bit with checkpointing, one short text at a time: take a smaller model"
    return f"{start}, such as {found}." if found else f"{start}, or another device."


def _answer(
    adapters: Sequence[Row], known: Known, request: CostRequest, shapes: ModelShapes, on: Device
) -> str:
    fitting = known.fitting(known.candidates(adapters, request.aim))
    choice = _BY_AIM[request.aim](fitting, known)
    clauses = [
        choice.because,
        *_file(choice, adapters),
        *([] if on.bytes is None else [_fit(adapters, known)]),
        _time(choice.row, known),
    ]
    held = precision_phrase(request.precision, request.gradient_checkpointing)
    where = f"{label(choice.row)} for {_short(shapes)} on {on.phrase} in {held}"
    return f"{where}: {', '.join(clauses[:-1])}, and {clauses[-1]}.{choice.evidence or _loss(choice, known)}"


def _loss(choice: Choice, known: Known) -> str:
    """That the chosen one is shown to be behind, where something else than quality decided."""
    loss = known.quality.loss(choice.row["method"])
    return f" But {result(loss.verdict).removesuffix('.')} {loss.where}." if loss else ""


def _file(choice: Choice, rows: Sequence[Row]) -> list[str]:
    other = _rival(choice.row, rows)
    if choice.says_file or other is None:
        return []
    return [f"{label(other)}'s file is {_times_smaller(choice.row, other)}"]


def _fit(adapters: Sequence[Row], known: Known) -> str:
    missing = [label(row) for row in adapters if known.fits[row["method"]].word == "no"]
    if not missing:
        return {1: "it fits", 2: "both fit"}.get(len(adapters), f"all {len(adapters)} fit")
    return f"{joined(missing)} {'does' if len(missing) == 1 else 'do'} not fit"


def _time(row: Row, known: Known) -> str:
    """Nothing is derived from FLOPs: only what was measured here, or learned from what was like it."""
    found = known.seconds.get(row["method"])
    return "its step is not measured here" if found is None else f"its step takes {found.text} here"


def _rival(row: Row, rows: Sequence[Row]) -> Row | None:
    """Whom the chosen one is set against: CDVFT, or LoRA for CDVFT, or the next; None where it is alone."""
    others = [one for one in rows if one is not row]
    wanted = [key for key in ("cdvft", "lora") if key != row["method"]]
    ranked = sorted(others, key=lambda one: wanted.index(one["method"]) if one["method"] in wanted else 9)
    return ranked[0] if ranked else None


def _times_smaller(row: Row, other: Row) -> str:
    """5.33 times larger, of the other row's file."""
    ratio = other["adapter_bytes"] / row["adapter_bytes"]
    if 0.985 < ratio < 1.015:
        return "as large"
    return f"{times(ratio)} times larger" if ratio > 1 else f"{times(1 / ratio)} times smaller"


# The choice by what matters most, of adapters that fit; there is at least one


def _by_file(rows: Sequence[Row], known: Known) -> Choice:
    row = min(rows, key=lambda one: one["adapter_bytes"])
    other = _rival(row, rows)
    size = f"its file has {amount('bytes', row['adapter_bytes'])}"
    if other is None:
        return Choice(row, size, says_file=True)
    return Choice(row, f"{size}, {label(other)}'s is {_times_smaller(row, other)}", says_file=True)


def _by_memory(rows: Sequence[Row], known: Known) -> Choice:
    totals = {row["method"]: known.fits[row["method"]].total for row in rows}
    leanest = least(rows, lambda row: totals[row["method"]])
    needs = amount("bytes", totals[leanest[0]["method"]])
    if len(leanest) > 1:
        row = min(leanest, key=lambda one: one["adapter_bytes"])
        who = "all" if len(leanest) == len(rows) else f"{len(leanest)} of them"
        return Choice(row, f"{who} need about {needs}, so the smaller file decides")
    return Choice(leanest[0], f"its step needs the least memory, {needs}")


def _by_time(rows: Sequence[Row], known: Known) -> Choice:
    timed = [row for row in rows if row["method"] in known.seconds]
    if len(timed) == len(rows) > 1 and all(known.seconds[row["method"]].measured for row in rows):
        row = min(rows, key=lambda one: known.seconds[one["method"]].value)
        return Choice(row, "its step is the shortest that was measured here")
    lightest = least(rows, lambda row: row["flops_per_step"])
    row = min(lightest, key=lambda one: one["adapter_bytes"])
    return Choice(row, "it adds the fewest FLOPs, which is a hint and no time")


def _by_many(rows: Sequence[Row], known: Known) -> Choice:
    light = [row for row in rows if not _builds_dense(row)] or [*rows]
    row = min(light, key=lambda one: one["trainable_parameters"])
    held = amount("bytes", MANY * _FLOAT32 * row["trainable_parameters"])
    return Choice(row, f"{MANY} of its adapters take {held} in memory")


def _builds_dense(row: Row) -> bool:
    """Whether a step computes something as large as the layers for each adapter, as FourierFT and DoRA do."""
    return row["forward_flops_fixed"] > row["adapted_weights"]


def _by_quality(rows: Sequence[Row], known: Known) -> Choice:
    """Whoever is left alone after those that are behind; else the smallest file of those that were raced.

    Where no race like it is recorded, the safe one, beside which the cheap one is named.
    """
    found = known.quality
    if len(known.fits.keys() & {*ADAPTERS}) == 1:
        return Choice(rows[0], "no other adapter was asked about")
    raced = [row for row in rows if row["method"] in found.raced]
    cheap = min(raced or rows, key=lambda one: one["adapter_bytes"])
    safe = found.safest(rows)
    if not raced:
        return _unraced(safe, cheap, found)
    if len(raced) == 1:
        lost = _losers(cheap["method"], found)
        because = "the others are behind" if lost else "it alone of those that fit was raced"
        return Choice(cheap, f"{because} {found.where}", lost)
    loss, rival = found.possible_loss(cheap["method"], [row["method"] for row in raced])
    doubt = ""
    if rival:
        metric = get_metric(found.between(cheap["method"], rival).metric_name)
        doubt = f" It may be up to {metric.format_distance(loss)} behind {METHODS[rival].title}"
        doubt += "." if safe is cheap else f"; {label(safe)} may lose least, and is the safe choice."
    left = joined([METHODS[row["method"]].title for row in raced])
    because = f"none of {left} is shown to be better {found.where}, so the smaller file decides"
    return Choice(cheap, because, f"{doubt}{_losers(cheap['method'], found)}")


def _losers(method: str, found: Quality) -> str:
    """Who is behind whom, by how much and where, and over all races together where a single one showed it."""
    parts = []
    for other in [key for key in METHODS if key in found.behind and key != method]:
        loss = found.loss(other, method)
        assert loss
        said = f"{METHODS[other].title} is behind {METHODS[loss.winner].title} by "
        said += f"{_distance(loss.verdict.turned)} {loss.where}"
        pooled = found.between(loss.winner, other)
        if found.races > 1 and pooled.turned != loss.verdict:
            said += f", by {_distance(pooled)} over {found.races} races"
        parts.append(f" {said}.")
    return "".join(parts)


def _distance(verdict: Verdict) -> str:
    """5.9 points (1.4 to 10.4)."""
    metric = get_metric(verdict.metric_name)
    low, high = (metric.format_difference(end or 0.0) for end in (verdict.low, verdict.high))
    return f"{metric.format_distance(verdict.size)} ({low} to {high})"


def _unraced(safe: Row, cheap: Row, found: Quality) -> Choice:
    unbeaten = found.lost.get(safe["method"]) == 0
    why = "It is behind in no recorded race of another kind" if unbeaten else "It trains the most numbers"
    size = amount("bytes", cheap["adapter_bytes"])
    other = "and is the cheap one, too" if safe is cheap else f"{label(cheap)} is the cheap one, with {size}"
    because = "no race like it is recorded, so the safe one is taken"
    return Choice(safe, because, f" {why}{', ' if safe is cheap else '; '}{other}.")


_BY_AIM: Mapping[Aim, Callable[[Sequence[Row], Known], Choice]] = {
    "file": _by_file,
    "memory": _by_memory,
    "time": _by_time,
    "many": _by_many,
    "quality": _by_quality,
}

# The table


def _answers(rows: Sequence[Row], known: Known, on: Device) -> list[Answer]:
    """At most five: fit, file, numbers, FLOPs, and the step's time where it is known."""
    where = "Fits here" if on.key == HERE else f"Fits in {(on.bytes or 0) // 10**9} GB"
    if on.bytes is None:
        where = "Memory of a step"
    hint = (
        "What a step needs by formula, of the device's whole memory; barely: measured peaks were up to 25 % "
        "above it."
    )
    texts = {method: fit.text for method, fit in known.fits.items()}
    found = [_table_row("fits", where, hint, rows, texts=texts, values={})]
    for key, title in _COUNTED.items():
        quantity = next(one for one in QUANTITIES if one.key == key)
        values = {row["method"]: quantity.value(row) or 0.0 for row in rows if not row["unavailable"]}
        texts = {method: amount(quantity.kind, value) for method, value in values.items()}
        found.append(_table_row(key, title, quantity.hint, rows, texts=texts, values=values))
    if known.seconds:
        texts = {method: one.text for method, one in known.seconds.items()}
        values = {method: one.value for method, one in known.seconds.items() if one.measured}
        how = " ".join(dict.fromkeys(one.hint for one in known.seconds.values()))
        found.append(_table_row("seconds", "Step time", how, rows, texts=texts, values=values))
    return found


def _table_row(
    key: str,
    title: str,
    hint: str,
    rows: Sequence[Row],
    *,
    texts: Mapping[str, str],
    values: Mapping[str, float],
) -> Answer:
    """`values` say which adapter has least, and is marked, unless all are level."""
    adapters = [row for row in rows if row["method"] in values and row["method"] in ADAPTERS]
    best = least(adapters, lambda row: values[row["method"]]) if adapters else []
    if len(best) == len(adapters):
        best = []
    return {
        "key": key,
        "title": title,
        "hint": hint,
        "texts": [texts.get(row["method"]) for row in rows],
        "best": [row in best for row in rows],
    }
