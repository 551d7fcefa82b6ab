"""Which method to take for a model, a device and a wish: one sentence, one table, and what they rest on.

What they rest on: costs by formula or as measured here, and what recorded races say of the methods' quality
on a question like theirs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from cdvft_app import ASSETS, catalog
from cdvft_app.catalog.entries import Recipe
from cdvft_app.costs.quantities import QUANTITIES, Row
from cdvft_app.costs.request import HERE, Aim, CostRequest, Device, device
from cdvft_app.costs.sentences import label, least
from cdvft_app.decision.fit import Fit, fit, precision_phrase, remedy, smaller_model
from cdvft_app.format import amount, counted, duration, joined, times
from cdvft_app.judging.judge import Verdict
from cdvft_app.judging.verdict_text import BY_RUNS, at_searched_rates, depends_on_runs, result
from cdvft_app.measuring.comparison_times import Lookup, file_row, timed_rows
from cdvft_app.methods import ADAPTERS, METHODS, Method
from cdvft_app.methods.flat import method_of
from cdvft_app.metrics import get_metric
from cdvft_app.payloads.compare import Answer
from cdvft_app.prediction.observations import Estimate
from cdvft_app.shapes import ModelShapes, model_shapes

RECORDED_VERDICTS = ASSETS / "race_verdicts.json"  # written by benchmarks/record_evidence.py
Verdicts = Mapping[tuple[str, str], Verdict]
"""By both methods' keys, the first one's as the key of the verdict's first side."""


def race_verdicts(recipe: str) -> Verdicts:
    """Return the verdicts on the recipe's recorded race, judged together; empty where none is recorded."""
    return read_verdicts("races").get(recipe, {})


def verdicts_by_rate(recipe: str, raced: Verdicts) -> Verdicts:
    """Return those of the recipe's verdicts at searched rates that tell other things than its race."""
    anew = read_verdicts("at_searched_rates").get(recipe, {})
    return {pair: anew[pair] for pair, one in raced.items() if depends_on_runs(one, anew.get(pair))}


def pooled_verdicts(kind: str) -> list[Verdicts]:
    """Return the verdicts over all recorded races with models of this kind, one mapping for each metric."""
    return [verdicts for key, verdicts in read_verdicts("pooled").items() if key.partition(" ")[0] == kind]


def raced_recipes() -> list[str]:
    """Return the keys of the recipes that have a recorded race."""
    return [*read_verdicts("races")]


def written(verdicts: Verdicts) -> list[dict[str, Any]]:
    """Return the verdicts as `RECORDED_VERDICTS` holds them; `read_verdicts` reads them again.

    Numbers have nine places: in the last of a double machines differ.
    """
    return [
        {"methods": list(methods)}
        | {name: round(of, 9) if isinstance(of, float) else of for name, of in asdict(verdict).items()}
        for methods, verdict in verdicts.items()
    ]


@cache
def read_verdicts(part: str) -> dict[str, Verdicts]:
    """Return the verdicts of `RECORDED_VERDICTS`.

    Its "races" and "at_searched_rates" are by recipe, its "pooled" by kind and metric.
    """
    found = json.loads(RECORDED_VERDICTS.read_text(encoding="utf-8"))[part]
    return {key: {tuple(one.pop("methods")): _read_verdict(one) for one in own} for key, own in found.items()}


def _read_verdict(one: dict[str, Any]) -> Verdict:
    alone = one["alone"]
    return Verdict(**one | {"seeds": tuple(one["seeds"]), "alone": alone and tuple(alone)})


_OF_KIND = {"text": "text models", "image": "image models", "generation": "models that write"}
_MUCH_LARGER = 3.0
"""From so many times the raced model's weights on it is said that the question is about a larger one."""


@dataclass(frozen=True)
class LostComparison:
    """A comparison in which a method is behind the `winner`.

    `verdict` is from the loser's side; `where` names the race, or how many races are judged together, and
    `by_rate` says whether searched rates tell other things than one of them.
    """

    winner: str
    verdict: Verdict
    where: str
    by_rate: bool = False

    @property
    def scope(self) -> str:
        """Where it lost, and on what that depends."""
        return f"{self.where}{f', {BY_RUNS}' if self.by_rate else ''}"


@dataclass(frozen=True)
class Quality:
    """What recorded races with models of one kind say of the methods that are asked about.

    `races` is how many there are, `pooled` the verdicts over all of them, and `behind` the comparisons that a
    method lost. `by_rate` are the verdicts at searched rates that tell other things than a race, by its
    title. `races_behind` says of every method that was raced with a model of whatever kind in how many
    races it was behind another one. `sentences` say all of it.
    """

    races: int
    pooled: Verdicts
    behind: dict[str, list[LostComparison]]
    by_rate: dict[str, Verdicts]
    races_behind: dict[str, int]
    sentences: list[str]

    @property
    def raced(self) -> set[str]:
        return {method for pair in self.pooled for method in pair}

    @property
    def where(self) -> str:
        """The phrase for where something was shown: in 2 recorded races like it."""
        return f"in {self.races} recorded races like it" if self.races > 1 else "in the recorded race like it"

    def between(self, first: str, second: str) -> Verdict:
        """Return the pooled verdict on two raced methods, from the first one's side."""
        found = self.pooled.get((first, second))
        return found or self.pooled[second, first].turned

    def lost_comparison(self, method: str, winner: str | None = None) -> LostComparison | None:
        """Return a comparison that the method lost, to the given winner where there is one; None without
        any."""
        found = self.behind.get(method, [])
        return next((one for one in found if one.winner == winner), found[0] if found else None)

    def possible_deficit(self, method: str, others: Iterable[str]) -> tuple[float, str | None]:
        """Return by how much the method may be behind another one at most, by the intervals, and behind which
        one.

        (0, None) where no interval leaves room for that.
        """
        found = [(-(self.between(method, other).low or 0.0), other) for other in others if other != method]
        most = max(found, default=(0.0, None))
        return most if most[0] > 0 else (0.0, None)

    def safest(self, rows: Sequence[Row]) -> Row:
        """Return the row to take where the file does not matter.

        Of raced methods the one that may lose least by the intervals. Where no such race is recorded, one
        that was raced with other models and lost to none; else the one that trains the most numbers.
        """
        raced = [row for row in rows if row["method"] in self.raced]
        if raced:
            keys = [row["method"] for row in raced]
            return min(raced, key=lambda row: self.possible_deficit(row["method"], keys)[0])
        unbeaten = [row for row in rows if self.races_behind.get(row["method"]) == 0] or rows
        return max(unbeaten, key=lambda row: row["trainable_parameters"])


def quality(shapes: ModelShapes, methods: Sequence[str]) -> Quality:
    """Return what the recorded races with models of this one's kind say of these adapters."""
    races = [one for one in _raced() if one.kind == shapes.kind and len(_taking_part(one, methods)) > 1]
    races_behind = _races_behind(_raced())
    if not races:
        text = (
            f"No race of {_OF_KIND[shapes.kind]} between these methods is recorded: compare on your own task."
        )
        return Quality(0, {}, {}, {}, races_behind, [text])
    pooled = {
        pair: one for found in pooled_verdicts(shapes.kind) for pair, one in _between(found, methods).items()
    }
    own = [_between(race_verdicts(race.key), methods) for race in races]
    by_rate = {race.title: verdicts_by_rate(race.key, one) for race, one in zip(races, own, strict=True)}
    together = {f"over {len(races)} races": pooled} if len(races) > 1 else {}
    pairs_by_rate = {f"on {title}": {*found} for title, found in by_rate.items()}
    pairs_by_rate |= {where: set().union(*by_rate.values()) for where in together}
    behind = _behind(
        {**together, **{f"on {race.title}": one for race, one in zip(races, own, strict=True)}}, pairs_by_rate
    )
    sentences = [
        f"{_sentence(race, verdicts, methods)} {at_searched_rates(by_rate[race.title].values())}".rstrip()
        for race, verdicts in zip(races, own, strict=True)
    ]
    if len(races) > 1:
        sentences.append(f"Over {_titles(races)} together: {' '.join(map(result, pooled.values()))}")
    sentences += _limits(races, shapes, methods)
    return Quality(len(races), pooled, behind, by_rate, races_behind, sentences)


def _raced() -> list[Recipe]:
    return [catalog.RECIPES[key] for key in raced_recipes()]


def _taking_part(race: Recipe, methods: Sequence[str]) -> list[str]:
    return [method for method in methods if method in race.expected.metric]


def _between(verdicts: Verdicts, methods: Sequence[str]) -> Verdicts:
    return {pair: one for pair, one in verdicts.items() if set(pair) <= set(methods)}


def _shown(verdicts: Verdicts) -> list[tuple[str, str, Verdict]]:
    """Return the loser, the winner and the verdict, from the loser's side, of each pair with a method
    ahead."""
    return [
        (first, second, one) if one.word == "behind" else (second, first, one.turned)
        for (first, second), one in verdicts.items()
        if one.about == "methods" and one.word in ("ahead", "behind")
    ]


def _behind(
    verdicts: Mapping[str, Verdicts], by_rate: Mapping[str, Collection[tuple[str, str]]] | None = None
) -> dict[str, list[LostComparison]]:
    """Return the methods that are behind another somewhere and ahead of it nowhere, in the order of the
    verdicts.

    Both arguments are by where; `by_rate` are the pairs of which searched rates tell other things.
    """
    shown = [(where, *one) for where, found in verdicts.items() for one in _shown(found)]
    pairs = {(loser, winner) for _, loser, winner, _ in shown}
    found: dict[str, list[LostComparison]] = {}
    for where, loser, winner, verdict in shown:
        if (winner, loser) not in pairs:
            depending = {*(by_rate or {}).get(where, ())} & {(loser, winner), (winner, loser)}
            found.setdefault(loser, []).append(LostComparison(winner, verdict, where, bool(depending)))
    return found


def _races_behind(races: Iterable[Recipe]) -> dict[str, int]:
    found: dict[str, int] = {}
    for race in races:
        losers = {loser for loser, _, _ in _shown(race_verdicts(race.key))}
        for method in race.expected.metric:
            found[method] = found.get(method, 0) + (method in losers)
    return found


def _sentence(race: Recipe, verdicts: Verdicts, methods: Sequence[str]) -> str:
    metric = get_metric(catalog.get_dataset(race.dataset).metric)
    scores = joined(
        [
            f"{METHODS[method].title} has {metric.format(race.expected.metric[method])}"
            for method in _taking_part(race, methods)
        ]
    )
    shown = [verdict.turned for _, _, verdict in _shown(verdicts)]
    said = " ".join(map(result, shown)) or "None is shown to be ahead."
    seeds = min(min(one.seeds) for one in verdicts.values())
    over = f"{counted(race.evaluation_examples, 'row')} and {counted(seeds, 'seed')} of each"
    return f"On {race.title} {scores}, over {over}. {said}"


def _titles(races: Sequence[Recipe]) -> str:
    return joined([race.title for race in races])


def _limits(races: Sequence[Recipe], shapes: ModelShapes, methods: Sequence[str]) -> list[str]:
    """Return sentences on what the races do not cover: larger models, and methods that took no part."""
    found = []
    models = {race.model: catalog.MODELS[race.model] for race in races}
    largest = max(models.values(), key=lambda one: one.parameters or 0)
    ratio = shapes.total_parameters / (largest.parameters or shapes.total_parameters)
    if ratio > _MUCH_LARGER:
        found.append(
            f"These races are of {joined([one.title for one in models.values()])}; this model has "
            f"{times(round(ratio))} times its weights, and no race of one so large is recorded."
        )
    absent = [
        METHODS[method].title for method in methods if not any(method in one.expected.metric for one in races)
    ]
    return [*found, f"{joined(absent)} did not take part."] if absent else found


SERVED_ADAPTERS = 100  # adapters that are held at once
MAX_STEP_SECONDS = 60.0  # nobody trains a model whose steps take longer
_FLOAT32 = 4
_COUNTED = {"bytes": "Adapter file", "parameters": "Trainable numbers", "flops": "Extra FLOPs"}
StepSeconds = Callable[[Mapping[str, Any]], Estimate | None]


@dataclass(frozen=True)
class StepTime:
    """A step's time on this machine: measured, or learned from what was like it."""

    value: float
    measured: bool
    hint: str

    @property
    def text(self) -> str:
        return amount("seconds", self.value) if self.measured else f"about {duration(self.value)}"


@dataclass(frozen=True)
class Recommendation:
    """`because` goes on after "LoRA r = 8 for ...: ", `evidence` are sentences that follow.

    `says_file`: the clause is about the file already.
    """

    row: Row
    because: str
    evidence: str = ""
    says_file: bool = False


@dataclass(frozen=True)
class Known:
    """What a method can be chosen by: fit and step time of each available one, and recorded races.

    `fits` and `seconds` are by label: a method may be there with several settings. `adapters` is the number
    of those that can be chosen.
    """

    fits: Mapping[str, Fit]
    seconds: Mapping[str, StepTime]
    quality: Quality
    adapters: int

    def candidates(self, adapters: Sequence[Row], aim: Aim) -> list[Row]:
        """Return the adapters to choose from: where quality matters most, none that is behind another of
        them."""
        if aim != "quality":
            return [*adapters]
        return [row for row in adapters if row["method"] not in self.quality.behind]

    def fitting(self, rows: Sequence[Row]) -> list[Row]:
        return [row for row in rows if self.fits[label(row)].word != "no"]


@dataclass(frozen=True)
class Decision:
    """The answer to a request.

    `request` is the one that the answer is about: the asked one, or where nothing fits as asked one that
    does. `headline` names the method and why, `evidence` by how much and how surely; `rows` and `answers` are
    of the answered request, `asked_rows` of the asked one.
    """

    request: CostRequest
    headline: str
    evidence: str
    answers: list[Answer]
    rows: list[dict[str, Any]]
    asked_rows: list[dict[str, Any]]
    known: Known
    shapes: ModelShapes
    matched: list[str]

    @property
    def sentence(self) -> str:
        return f"{self.headline} {self.evidence}".rstrip()

    def as_json(self) -> dict[str, Any]:
        """Return the decision as the command line and the API give it."""
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
    """Return the sentence and the table for a request.

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
        keys = [row["method"] for row in _adapters(rows)]
        known = Known(
            {label(row): fit(row, on) for row in available},
            _known_seconds(available, request, step_seconds),
            quality(shapes, list(dict.fromkeys(keys))),
            len(keys),
        )
        return rows, matched, known

    asked_rows, matched, known = looked_up(request)
    answered, rows = request, asked_rows
    adapters = _adapters(asked_rows)
    candidates = known.candidates(adapters, request.aim)
    if not adapters:
        said, evidence = (
            f"None of these methods puts an adapter on {_short(shapes)}; choose one that does.",
            "",
        )
    elif known.fitting(candidates):
        said, evidence = _answer(adapters, known, request, shapes, on)
    else:
        said, evidence = _nothing_fits(adapters, known, request, shapes, on), ""
        leanest = min(candidates, key=lambda row: row["step_bytes"])
        method = method_of(leanest["method"], leanest["setting"])
        if request.match == "seconds_per_step":
            said += f" {_EQUAL_TIME_ELSEWHERE}"
        elif found := remedy(request, method, on):
            answered = found.request
            rows, matched, known = looked_up(answered)
            said += f" What costs least and fits: {joined(found.changes)}. "
            answer, evidence = _answer(_adapters(rows), known, answered, shapes, on)
            said += answer
        else:
            asked = zip(request.methods, asked_rows, strict=True)
            as_asked = next(one for one, row in asked if row is leanest)
            said += f" {_smaller(request, as_asked, shapes, on)}"
    return Decision(
        answered, said, evidence, _answers(rows, known, on), rows, asked_rows, known, shapes, matched
    )


def _adapters(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if not row["unavailable"] and row["method"] in ADAPTERS]


def _short(shapes: ModelShapes) -> str:
    return shapes.name.rpartition("/")[2]


def _known_seconds(
    rows: Sequence[Row], request: CostRequest, step_seconds: StepSeconds
) -> dict[str, StepTime]:
    """Return the step times by label, for this machine in float32 alone: elsewhere nothing was measured."""
    if request.device != HERE or request != request.as_measured:
        return {}
    found = {}
    for row in rows:
        if measured := row["measured"]:
            found[label(row)] = StepTime(measured["seconds"], True, f"Measured on {measured['device']}.")
        elif learned := step_seconds(row):
            found[label(row)] = StepTime(learned.value, False, f"Learned: {learned.how}.")
    return {} if any(one.value > MAX_STEP_SECONDS for one in found.values()) else found


# The sentence


_EQUAL_TIME_ELSEWHERE = (
    "Sizes of equal time were measured for this step alone. Match by nothing to see what would fit."
)


def _nothing_fits(
    rows: Sequence[Row], known: Known, request: CostRequest, shapes: ModelShapes, on: Device
) -> str:
    """`rows`: the adapters; those to choose from do not fit."""
    candidates = known.candidates(rows, request.aim)
    need = amount("bytes", min(known.fits[label(row)].total for row in candidates))
    held = precision_phrase(request.precision, request.gradient_checkpointing)
    has = f"has {amount('bytes', on.bytes or 0)}" if " with " not in on.phrase else "is smaller"
    names = joined([label(row) for row in candidates])
    some = f"{names} {'does' if len(candidates) == 1 else 'do'} not fit"
    fits = some if known.fitting([row for row in rows if row not in candidates]) else "nothing fits"
    return f"As asked {fits}: {_short(shapes)} in {held} needs {need}, and {on.phrase} {has}."


def _smaller(request: CostRequest, method: Method, shapes: ModelShapes, on: Device) -> str:
    """Return a sentence on a smaller model that fits, where no other change helps."""
    found = smaller_model(request, method, shapes, on)
    one = "one image" if shapes.kind == "image" else "one short text"
    start = f"Nor does it in 4 bit with checkpointing, {one} at a time: take a smaller model"
    return f"{start}, such as {found}." if found else f"{start}, or another device."


def _answer(
    adapters: Sequence[Row], known: Known, request: CostRequest, shapes: ModelShapes, on: Device
) -> tuple[str, str]:
    """Return the headline and its evidence."""
    fitting = known.fitting(known.candidates(adapters, request.aim))
    choice = _BY_AIM[request.aim](fitting, known)
    step = _time(choice.row, known)
    if not step and request.aim != "quality" and not choice.row["measured"]:
        step = "its step is not measured here"
    clauses = [
        choice.because,
        *([] if request.aim == "quality" else _file(choice, adapters)),
        *([] if on.bytes is None else [_fit(adapters, known)]),
        *([step] if step else []),
    ]
    held = precision_phrase(request.precision, request.gradient_checkpointing)
    where = f"{label(choice.row)} for {_short(shapes)} on {on.phrase} in {held}"
    *before, last = clauses
    said = f"{', '.join(before)}, and {last}" if before else last
    return f"{where}: {said}.", (choice.evidence or _loss(choice, known)).strip()


def _loss(choice: Recommendation, known: Known) -> str:
    """Return a sentence on the comparison that the chosen method lost, where something else decided; else
    empty."""
    lost = known.quality.lost_comparison(choice.row["method"])
    return f" But {result(lost.verdict).removesuffix('.')} {lost.scope}." if lost else ""


def _file(choice: Recommendation, rows: Sequence[Row]) -> list[str]:
    other = _rival(choice.row, rows)
    if choice.says_file or other is None:
        return []
    return [f"{label(other)}'s file is {_times_smaller(choice.row, other)}"]


def _fit(adapters: Sequence[Row], known: Known) -> str:
    missing = [label(row) for row in adapters if known.fits[label(row)].word == "no"]
    if not missing:
        return {1: "it fits", 2: "both fit"}.get(len(adapters), f"all {len(adapters)} fit")
    return f"{joined(missing)} {'does' if len(missing) == 1 else 'do'} not fit"


def _time(row: Row, known: Known) -> str:
    """Return a clause with the step's time as measured or learned here, never from FLOPs; empty where
    unknown."""
    found = known.seconds.get(label(row))
    return "" if found is None else f"its step takes {found.text} here"


def _rival(row: Row, rows: Sequence[Row]) -> Row | None:
    """Return the row that the chosen one is compared with: CDVFT's, or LoRA's for CDVFT, or the next; else
    None."""
    others = [one for one in rows if one is not row]
    wanted = [key for key in ("cdvft", "lora") if key != row["method"]]
    ranked = sorted(others, key=lambda one: wanted.index(one["method"]) if one["method"] in wanted else 9)
    return ranked[0] if ranked else None


def _times_smaller(row: Row, other: Row) -> str:
    """Return a phrase that compares the row's file with the other row's: 5.33 times larger."""
    ratio = other["adapter_bytes"] / row["adapter_bytes"]
    if 0.985 < ratio < 1.015:
        return "as large"
    return f"{times(ratio)} times larger" if ratio > 1 else f"{times(1 / ratio)} times smaller"


# The choice by what matters most, of adapters that fit; there is at least one


def _by_file(rows: Sequence[Row], known: Known) -> Recommendation:
    row = min(rows, key=lambda one: one["adapter_bytes"])
    other = _rival(row, rows)
    size = f"its file has {amount('bytes', row['adapter_bytes'])}"
    if other is None:
        return Recommendation(row, size, says_file=True)
    return Recommendation(row, f"{size}, {label(other)}'s is {_times_smaller(row, other)}", says_file=True)


def _by_memory(rows: Sequence[Row], known: Known) -> Recommendation:
    leanest = least(rows, lambda row: row["step_bytes"])
    needs = amount("bytes", leanest[0]["step_bytes"])
    if len(leanest) > 1:
        row = min(leanest, key=lambda one: one["adapter_bytes"])
        who = "all" if len(leanest) == len(rows) else f"{len(leanest)} of them"
        return Recommendation(row, f"{who} need about {needs}, so the smaller file decides")
    return Recommendation(leanest[0], f"its step needs the least memory, {needs}")


def _by_time(rows: Sequence[Row], known: Known) -> Recommendation:
    timed = [row for row in rows if label(row) in known.seconds]
    if len(timed) == len(rows) > 1 and all(known.seconds[label(row)].measured for row in rows):
        row = min(rows, key=lambda one: known.seconds[label(one)].value)
        return Recommendation(row, "its step is the shortest that was measured here")
    lightest = least(rows, lambda row: row["flops_per_step"])
    row = min(lightest, key=lambda one: one["adapter_bytes"])
    return Recommendation(row, "it adds the fewest FLOPs, which is a hint and no time")


def _by_many(rows: Sequence[Row], known: Known) -> Recommendation:
    light = [row for row in rows if not _builds_dense(row)] or [*rows]
    row = min(light, key=lambda one: one["trainable_parameters"])
    held = amount("bytes", SERVED_ADAPTERS * _FLOAT32 * row["trainable_parameters"])
    return Recommendation(row, f"{SERVED_ADAPTERS} of its adapters take {held} in memory")


def _builds_dense(row: Row) -> bool:
    """Return whether a step computes something as large as the layers for each adapter, as FourierFT and DoRA
    do."""
    return row["forward_flops_fixed"] > row["adapted_weights"]


def _by_quality(rows: Sequence[Row], known: Known) -> Recommendation:
    """Return the one method that is not behind another; else of several that were raced the smallest file.

    Where no race like it is recorded, the safe one, beside which the cheap one is named.
    """
    found = known.quality
    if known.adapters == 1:
        return Recommendation(rows[0], "it is the only adapter to choose from")
    raced = [row for row in rows if row["method"] in found.raced]
    cheap = min(raced or rows, key=lambda one: one["adapter_bytes"])
    safe = found.safest(rows)
    if not raced:
        return _unraced(safe, cheap, found)
    if len(raced) == 1:
        lost = _losers(cheap["method"], found)
        because = "the others are behind" if lost else "it alone of those that fit was raced"
        return Recommendation(cheap, f"{because} {found.where}{_rates(cheap['method'], found)}", lost)
    deficit, rival = found.possible_deficit(cheap["method"], [row["method"] for row in raced])
    doubt = ""
    if rival:
        metric = get_metric(found.between(cheap["method"], rival).metric_name)
        doubt = f" It may be up to {metric.format_distance(deficit)} behind {METHODS[rival].title}"
        doubt += "." if safe is cheap else f"; {label(safe)} may lose least, and is the safe choice."
    lost = _lost_at_searched_rates(cheap["method"], found)
    where = f"{found.where}{f', {BY_RUNS}' if lost else ''}"
    if len(raced) == len(rows):
        because = f"none is shown to be better {where}, so the smaller file decides"
    else:
        because = f"of those raced none is shown better {where}; their smallest file decides"
    return Recommendation(cheap, because, f"{doubt}{lost}{_losers(cheap['method'], found)}")


def _rates(method: str, found: Quality) -> str:
    """Return of whom it depends on the rate that they are behind, unnamed if of all; empty if of none."""
    lost = {key: found.lost_comparison(key, method) for key in found.behind}
    by_rate = [METHODS[key].title for key, one in lost.items() if one and one.by_rate]
    if not by_rate:
        return ""
    return f", {BY_RUNS}" if len(by_rate) == len(lost) else f", {joined(by_rate)} {BY_RUNS}"


def _lost_at_searched_rates(method: str, found: Quality) -> str:
    """Sentences on the races that show the method behind another at searched rates alone."""
    parts = []
    for title, verdicts in found.by_rate.items():
        behind = [
            f"{METHODS[winner].title} by {_distance(one.turned)}"
            for loser, winner, one in _shown(verdicts)
            if loser == method
        ]
        if behind:
            parts.append(f" At searched rates it is behind {joined(behind)} on {title}.")
    return "".join(parts)


def _losers(method: str, found: Quality) -> str:
    """Sentences on the methods that are behind another: by how much, where, and over all races together."""
    parts = []
    for other in [key for key in METHODS if key in found.behind and key != method]:
        lost = found.lost_comparison(other, method)
        assert lost
        said = f"{METHODS[other].title} is behind {METHODS[lost.winner].title} by "
        said += f"{_distance(lost.verdict.turned)} {lost.scope}"
        pooled = found.between(lost.winner, other)
        if found.races > 1 and pooled.turned != lost.verdict:
            said += f", and by {_distance(pooled)} over {found.races} races"
        parts.append(f" {said}.")
    return "".join(parts)


def _distance(verdict: Verdict) -> str:
    """Return the size of a difference with its interval: 5.9 points (1.4 to 10.4)."""
    metric = get_metric(verdict.metric_name)
    low, high = (metric.format_difference(end or 0.0) for end in (verdict.low, verdict.high))
    return f"{metric.format_distance(verdict.size)} ({low} to {high})"


def _unraced(safe: Row, cheap: Row, found: Quality) -> Recommendation:
    unbeaten = found.races_behind.get(safe["method"]) == 0
    why = "It is behind in no recorded race of another kind" if unbeaten else "It trains the most numbers"
    size = amount("bytes", cheap["adapter_bytes"])
    other = "and is the cheap one, too" if safe is cheap else f"{label(cheap)} is the cheap one, with {size}"
    because = "no race like it is recorded, so the safe one is taken"
    return Recommendation(safe, because, f" {why}{', ' if safe is cheap else '; '}{other}.")


_BY_AIM: Mapping[Aim, Callable[[Sequence[Row], Known], Recommendation]] = {
    "file": _by_file,
    "memory": _by_memory,
    "time": _by_time,
    "many": _by_many,
    "quality": _by_quality,
}

# The table


def _answers(rows: Sequence[Row], known: Known, on: Device) -> list[Answer]:
    """At most five rows of the table: fit, file, numbers, FLOPs, and the step's time where it is known."""
    where = "Fits here" if on.key == HERE else f"Fits in {(on.bytes or 0) // 10**9} GB"
    if on.bytes is None:
        where = "Memory of a step"
    hint = (
        "What a step needs by formula, of the device's whole memory; barely: measured peaks were up to 40 % "
        "above it."
    )
    texts = {name: one.text for name, one in known.fits.items()}
    found = [_table_row("fits", where, hint, rows, texts=texts, values={})]
    for key, title in _COUNTED.items():
        quantity = next(one for one in QUANTITIES if one.key == key)
        values = {label(row): quantity.value(row) or 0.0 for row in rows if not row["unavailable"]}
        texts = {name: amount(quantity.kind, value) for name, value in values.items()}
        found.append(_table_row(key, title, quantity.hint, rows, texts=texts, values=values))
    if known.seconds:
        texts = {name: one.text for name, one in known.seconds.items()}
        values = {name: one.value for name, one in known.seconds.items() if one.measured}
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
    """`values`, by label as `texts`, say which adapter has least, and is marked, unless all are level."""
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
