"""Recommend a method for a model, a device and an aim: one sentence and one table.

One rule decides for quality: the highest mean of the nearest recorded race, unless a smaller adapter is
equivalent to it within ±1 point. Methods without a score in that race are never recommended for quality.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from cdvft_app import ASSETS, catalog
from cdvft_app.catalog.entries import Recipe
from cdvft_app.costs.quantities import QUANTITIES, Row
from cdvft_app.costs.request import HERE, Aim, CostRequest, Device, device
from cdvft_app.costs.sentences import label, least
from cdvft_app.decision.fit import Fit, fit, precision_phrase, remedy, smaller_model
from cdvft_app.format import amount, duration, joined, times
from cdvft_app.judging.judge import Verdict
from cdvft_app.measuring.comparison_times import Lookup, file_row, timed_rows
from cdvft_app.methods import ADAPTERS, Method
from cdvft_app.methods.flat import method_of
from cdvft_app.metrics import get_metric
from cdvft_app.payloads.compare import Answer
from cdvft_app.prediction.observations import Estimate
from cdvft_app.shapes import ModelShapes, model_shapes

RECORDED_RACES = ASSETS / "race_verdicts.json"  # written by benchmarks/record_evidence.py
SERVED_ADAPTERS = 100  # adapters that are held at once
MAX_STEP_SECONDS = 60.0  # longer estimates are not shown
_FLOAT32 = 4
NBSP = "\u00a0"
_ALIKE = 1.05  # ratios below this are not worth a clause
Verdicts = Mapping[tuple[str, str], Verdict]
"""By the keys of both methods, in the order of the verdict's sides."""
Score = tuple[float, float, float]
"""Mean over seeds, and the ends of its 95% interval."""
StepSeconds = Callable[[Mapping[str, Any]], Estimate | None]


@dataclass(frozen=True)
class Race:
    """A recorded race: the scores of its methods, and the verdicts on their pairs."""

    recipe: Recipe
    scores: Mapping[str, Score]
    verdicts: Verdicts

    def verdict(self, first: str, second: str) -> Verdict:
        """Return the verdict on two raced methods, from the first one's side."""
        found = self.verdicts.get((first, second))
        return found or self.verdicts[second, first].turned

    def text(self, method: str) -> str | None:
        """Return a method's score with its interval; None if it did not take part."""
        if method not in self.scores:
            return None
        metric = get_metric(catalog.get_dataset(self.recipe.dataset).metric)
        mean, low, high = map(metric.format, self.scores[method])
        return f"{mean} ({low.partition(NBSP)[0]} to {high.partition(NBSP)[0]})"


def written(verdicts: Verdicts) -> list[dict[str, Any]]:
    """Return verdicts as `RECORDED_RACES` holds them. Numbers have nine places, in which machines agree."""
    return [
        {"methods": list(methods)}
        | {name: round(of, 9) if isinstance(of, float) else of for name, of in asdict(verdict).items()}
        for methods, verdict in verdicts.items()
    ]


@cache
def recorded_races() -> list[Race]:
    """Return the races that ship with the program."""
    found = json.loads(RECORDED_RACES.read_text(encoding="utf-8"))
    return [
        Race(
            catalog.RECIPES[key],
            {method: (mean, low, high) for method, (mean, low, high) in one["scores"].items()},
            {tuple(each.pop("methods")): _read_verdict(each) for each in one["verdicts"]},
        )
        for key, one in found.items()
    ]


def _read_verdict(one: dict[str, Any]) -> Verdict:
    alone = one["alone"]
    return Verdict(**one | {"seeds": tuple(one["seeds"]), "alone": alone and tuple(alone)})


def nearest_race(shapes: ModelShapes) -> Race | None:
    """Return the race of a model of the same kind whose number of weights is closest; None without any."""

    def distance(race: Race) -> float:
        parameters = catalog.MODELS[race.recipe.model].parameters or shapes.total_parameters
        return abs(math.log(parameters / shapes.total_parameters))

    alike = [race for race in recorded_races() if race.recipe.kind == shapes.kind]
    return min(alike, key=distance, default=None)


@dataclass(frozen=True)
class StepTime:
    """The time of a training step on this machine, measured or estimated."""

    value: float
    measured: bool
    hint: str

    @property
    def text(self) -> str:
        return amount("seconds", self.value) if self.measured else f"about {duration(self.value)}"


@dataclass(frozen=True)
class Known:
    """What a method is chosen by. `fits` and `seconds` are by label: a method may have several settings."""

    fits: Mapping[str, Fit]
    seconds: Mapping[str, StepTime]
    race: Race | None

    def fitting(self, rows: Sequence[Row]) -> list[Row]:
        return [row for row in rows if self.fits[label(row)].word != "no"]


@dataclass(frozen=True)
class Decision:
    """The answer to a request.

    Attributes:
        request: What is answered: the asked request, or a leaner one that fits.
        sentence: The recommendation.
        recommended: The row of the recommended setting; None if nothing is recommended.
        column: The key of the answer that decided; empty if nothing is recommended.
        answers: The table, one entry per quantity.
        rows: Cost rows of the answered request.
        asked_rows: Cost rows of the asked request.
    """

    request: CostRequest
    sentence: str
    recommended: Row | None
    column: str
    answers: list[Answer]
    rows: list[dict[str, Any]]
    asked_rows: list[dict[str, Any]]
    known: Known
    shapes: ModelShapes
    matched: list[str]

    def as_json(self) -> dict[str, Any]:
        """Return the decision as the command line and the API give it."""
        return {
            "sentence": self.sentence,
            "recommended": self.recommended and label(self.recommended),
            "column": self.column,
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
    """Return the sentence and the table for a request.

    Args:
        request: The model, the step, the methods, the device, and the aim.
        here_bytes: Memory of this device; None if unknown.
        lookup: Finds the measurement of a row of the cost table.
        step_seconds: Estimates a row's step on this machine; None where nothing similar was measured.

    Raises:
        InvalidChoice: The request is not valid.
    """
    shapes, on = model_shapes(request.model, request.image_size), device(request.device, here_bytes)

    def looked_up(request: CostRequest) -> tuple[list[dict[str, Any]], list[str], Known]:
        rows, matched = timed_rows(request, lookup)
        available = [row for row in rows if not row["unavailable"]]
        fits = {label(row): fit(row, on) for row in available}
        return rows, matched, Known(fits, _seconds(available, request, step_seconds), nearest_race(shapes))

    rows, matched, known = looked_up(request)
    asked_rows, answered, before = rows, request, ""
    adapters = _adapters(rows)
    if not adapters:
        before = f"None of these methods can adapt {_short(shapes)}. Choose another one."
    elif not known.fitting(adapters):
        leanest = min(adapters, key=lambda row: row["step_bytes"])
        before = _nothing_fits(leanest, known, request, shapes, on)
        method = method_of(leanest["method"], leanest["setting"])
        if request.match == "seconds_per_step":
            before += " Sizes of equal time were measured for this step alone. Set Match to none."
        elif found := remedy(request, method, on):
            answered = found.request
            rows, matched, known = looked_up(answered)
            before += f" The cheapest change that fits: {joined(found.changes)}."
        else:
            before += f" {_smaller(request, method, shapes, on)}"
    choices = known.fitting(_adapters(rows))
    chosen = _BY_AIM[request.aim](choices, known) if choices else None
    if chosen is None and choices:
        before = f"No recorded race has a model like {_short(shapes)}. Compare on your own data first."
    row, column, said = chosen or (None, "", "")
    return Decision(
        request=answered,
        sentence=f"{before} {said}".strip(),
        recommended=row,
        column=column,
        answers=_answers(rows, known, on),
        rows=rows,
        asked_rows=asked_rows,
        known=known,
        shapes=shapes,
        matched=matched,
    )


def _adapters(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if not row["unavailable"] and row["method"] in ADAPTERS]


def _short(shapes: ModelShapes) -> str:
    return shapes.name.rpartition("/")[2]


def _seconds(rows: Sequence[Row], request: CostRequest, estimate: StepSeconds) -> dict[str, StepTime]:
    """Return step times by label. They are known on this machine and in float32 only."""
    if request.device != HERE or request != request.as_measured:
        return {}
    found = {}
    for row in rows:
        if measured := row["measured"]:
            found[label(row)] = StepTime(measured["seconds"], True, f"Measured on {measured['device']}.")
        elif learned := estimate(row):
            found[label(row)] = StepTime(learned.value, False, f"Estimate: {learned.how}.")
    return {} if any(one.value > MAX_STEP_SECONDS for one in found.values()) else found


def _nothing_fits(leanest: Row, known: Known, request: CostRequest, shapes: ModelShapes, on: Device) -> str:
    need = amount("bytes", known.fits[label(leanest)].total)
    held = precision_phrase(request.precision, request.gradient_checkpointing)
    return f"Nothing fits {on.phrase}: {_short(shapes)} in {held} needs {need}."


def _smaller(request: CostRequest, method: Method, shapes: ModelShapes, on: Device) -> str:
    found = smaller_model(request, method, shapes, on)
    return f"Use a smaller model, such as {found}." if found else "Use another device."


# The recommendation, by aim: the row, the key of the deciding answer, and a sentence

Choice = tuple[Row, str, str]


def _by_file(rows: Sequence[Row], known: Known) -> Choice:
    row = min(rows, key=lambda one: one["adapter_bytes"])
    size = amount("bytes", row["adapter_bytes"])
    return row, "bytes", f"{label(row)} has the smallest adapter file, {size}{_cost(row, rows)}."


def _by_memory(rows: Sequence[Row], known: Known) -> Choice:
    row = min(least(rows, lambda row: row["step_bytes"]), key=lambda one: one["adapter_bytes"])
    need = amount("bytes", row["step_bytes"])
    return row, "fits", f"{label(row)} needs the least memory per step, {need}{_cost(row, rows)}."


def _by_time(rows: Sequence[Row], known: Known) -> Choice:
    timed = [known.seconds[label(row)] for row in rows if label(row) in known.seconds]
    if len(timed) == len(rows) and all(one.measured for one in timed):
        row = min(rows, key=lambda one: known.seconds[label(one)].value)
        took = known.seconds[label(row)].text
        return row, "seconds", f"{label(row)} has the fastest measured step, {took}{_cost(row, rows)}."
    row = min(least(rows, lambda row: row["flops_per_step"]), key=lambda one: one["adapter_bytes"])
    adds = amount("flops", row["flops_per_step"])
    return row, "flops", f"{label(row)} adds the fewest FLOPs, {adds}. Its step time is not measured here."


def _by_many(rows: Sequence[Row], known: Known) -> Choice:
    light = [row for row in rows if not _builds_dense(row)] or [*rows]
    row = min(light, key=lambda one: one["trainable_parameters"])
    held = amount("bytes", SERVED_ADAPTERS * _FLOAT32 * row["trainable_parameters"])
    said = f"{label(row)} is the lightest to serve: {SERVED_ADAPTERS} adapters take {held}{_cost(row, rows)}."
    return row, "parameters", said


def _builds_dense(row: Row) -> bool:
    """Return whether a step computes a matrix per adapter as large as the layers, as FourierFT does."""
    return row["forward_flops_fixed"] > row["adapted_weights"]


def _by_quality(rows: Sequence[Row], known: Known) -> Choice | None:
    race = known.race
    raced = [row for row in rows if race and row["method"] in race.scores]
    if race is None or not raced:
        return None
    best = max(raced, key=lambda row: (race.scores[row["method"]][0], -row["adapter_bytes"]))
    others = [row for row in raced if row["method"] != best["method"]]
    words = {label(row): race.verdict(row["method"], best["method"]).word for row in others}
    alike = [row for row in others if words[label(row)] == "as good"]
    row = min([best, *alike], key=lambda one: one["adapter_bytes"])
    where = f"in “{race.recipe.title}”"
    if row is not best:
        ratio = times(best["adapter_bytes"] / row["adapter_bytes"])
        said = f"{label(row)} is equivalent to {label(best)} within ±1 point {where}"
        return row, "bytes", f"{said}, and its file is {ratio}× smaller{_cost(row, rows)}."
    doubt = ", not significantly" if "not shown" in words.values() else ""
    return best, "score", f"{label(best)} scores highest {where}{doubt}{_cost(best, rows)}."


def _cost(row: Row, rows: Sequence[Row]) -> str:
    """Return what the recommended row costs compared with CDVFT, or with LoRA for CDVFT; empty if nothing."""
    others = [one for key in ("cdvft", "lora") for one in rows if one["method"] == key != row["method"]]
    if not others:
        return ""
    other = others[0]
    ratios = {
        "FLOPs": row["flops_per_step"] / (other["flops_per_step"] or 1),
        "file size": row["adapter_bytes"] / other["adapter_bytes"],
        "memory": row["step_bytes"] / other["step_bytes"],
    }
    what, ratio = max(ratios.items(), key=lambda one: one[1])
    return f", at {times(ratio)}× the {what} of {label(other)}" if ratio > _ALIKE else ""


_BY_AIM: Mapping[Aim, Callable[[Sequence[Row], Known], Choice | None]] = {
    "file": _by_file,
    "memory": _by_memory,
    "time": _by_time,
    "many": _by_many,
    "quality": _by_quality,
}


# The table


def _answers(rows: Sequence[Row], known: Known, on: Device) -> list[Answer]:
    """Return the rows of the table: fit, score, file, parameters, FLOPs, and step time where it is known."""
    where = "Fits here" if on.key == HERE else f"Fits in {(on.bytes or 0) // 10**9} GB"
    if on.bytes is None:
        where = "Memory per step"
    hint = "Memory of a step by formula. Measured peaks are up to 40% higher, which “tight” allows for."
    fits = {name: one.text for name, one in known.fits.items()}
    found = [_answer("fits", where, hint, rows, texts=fits, values={})]
    if known.race:
        scores = {label(row): known.race.text(row["method"]) for row in rows if not row["unavailable"]}
        texts = {name: text for name, text in scores.items() if text}
        means = {label(row): -known.race.scores[row["method"]][0] for row in rows if label(row) in texts}
        hint = f"Mean over seeds in “{known.race.recipe.title}” (nearest recorded race), with 95% interval."
        found.append(_answer("score", "Score", hint, rows, texts=texts, values=means))
    titles = {"bytes": "Adapter file", "parameters": "Parameters", "flops": "Extra FLOPs"}
    for key, title in titles.items():
        quantity = next(one for one in QUANTITIES if one.key == key)
        values = {label(row): quantity.value(row) or 0.0 for row in rows if not row["unavailable"]}
        texts = {name: amount(quantity.kind, value) for name, value in values.items()}
        found.append(_answer(key, title, quantity.hint, rows, texts=texts, values=values))
    if known.seconds:
        texts = {name: one.text for name, one in known.seconds.items()}
        values = {name: one.value for name, one in known.seconds.items() if one.measured}
        how = " ".join(dict.fromkeys(one.hint for one in known.seconds.values()))
        found.append(_answer("seconds", "Step time", how, rows, texts=texts, values=values))
    return found


def _answer(
    key: str,
    title: str,
    hint: str,
    rows: Sequence[Row],
    *,
    texts: Mapping[str, str],
    values: Mapping[str, float],
) -> Answer:
    """Return a row of the table. The adapter with the least of `values` is marked, unless all are level."""
    adapters = [row for row in rows if label(row) in values and row["method"] in ADAPTERS]
    best = least(adapters, lambda row: values[label(row)]) if adapters else []
    if len(best) == len(adapters):
        best = []
    return {
        "key": key,
        "title": title,
        "hint": hint,
        "texts": [texts.get(label(row)) for row in rows],
        "best": [row in best for row in rows],
    }
