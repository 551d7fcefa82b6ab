"""Quality against trained numbers: every method at its own best rate, at as many settings as give it numbers.

    python -m benchmarks.equal_numbers [--recipes mnist sentiment addresses sql] [--shard 1/2] [--publish]
        [--cluster ray://host:10001]

Of each setting (CDVFT m = 2 and 3 and with blocks, LoRA r = 1 to 16, DoRA, VeRA, FourierFT n = 250 to
4,000, C3A with two block sizes, the head alone, and full fine-tuning; of recipes that write, the eight of
these that are nearest to CDVFT's numbers or in the recorded race) `python -m cdvft_app search` tries the
same multiples of the method's usual learning rate, to the end, on validation rows, none of which is an
evaluation row: six trials of TPE, some of them given up early, had left LoRA far below its recorded rate.
Where the best is the lowest or the highest that was tried, one beyond it is tried as well, until it is not.
Then it trains with seeds 0 to 4, which the search did not use, and is judged on the recipe's evaluation
rows.

It says how many hours it will take before it starts. A shard takes every n-th setting, so that several
processes, here or elsewhere, share the work; each keeps what it has in build/equal_numbers after every run,
and goes on there. `--publish` writes benchmarks/results/equal_numbers.json of all settings with five seeds;
those that it holds already are not trained again, so that a later day, or another machine, adds to it.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.evidence import races
from benchmarks.machine import machine, read_record, write_record
from benchmarks.record_sweep import read_once, train
from benchmarks.trained import add_option, contestant
from cdvft_app.format import counted, joined, plain
from cdvft_app.judging.judge import METHODS_FROM, Contestant, Pair, Verdict, band, judge
from cdvft_app.judging.verdict_text import result
from cdvft_app.methods import METHODS
from cdvft_app.settings import RunSettings

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "equal_numbers.json"
SEARCH_SEED, SEEDS = 1234, (0, 1, 2, 3, 4)
PARTS = ROOT / "build" / "equal_numbers"
RECIPES = ("mnist", "sentiment", "addresses", "sql")
RATES = (0.1, 0.3, 1.0, 3.0, 10.0)
"""Of the usual rate."""
MAX_RATES = 8
SIMILAR = 1.5
"""As many numbers: neither trains more than so many times the other's."""
Record = dict[str, Any]

_THAT_CLASSIFY = [
    ("cdvft", {"m": 2}), ("cdvft", {"m": 3}), *(("lora", {"lora_r": r}) for r in (1, 2, 4, 8, 16)),
    ("dora", {"dora_r": 8}), ("vera", {}), *(("fourierft", {"fourierft_n": n}) for n in (250, 1000, 4000)),
    ("cdvft", {"m": 2, "block_size": 128}),
    ("c3a", {"c3a_block_size": 384}), ("c3a", {"c3a_block_size": 128}), ("head", {}), ("full", {}),
]  # fmt: skip
# Where a setting takes a core up to an hour: those nearest to CDVFT's numbers, and the recorded race's.
_THAT_WRITE = [
    ("cdvft", {"m": 2}), ("cdvft", {"m": 3}), *(("lora", {"lora_r": r}) for r in (1, 2, 8)), ("vera", {}),
    ("fourierft", {"fourierft_n": 1000}), ("c3a", {"c3a_block_size": 192}),
]  # fmt: skip
SETTINGS: dict[str, list[tuple[str, dict[str, int]]]] = {
    "mnist": _THAT_CLASSIFY,
    "sentiment": _THAT_CLASSIFY,
    "addresses": _THAT_WRITE,
    "sql": _THAT_WRITE,
}


@dataclass(frozen=True)
class Unit:
    """One setting of one recipe: what a shard works on."""

    recipe: str
    method: str
    sizes: tuple[tuple[str, int], ...]

    @property
    def name(self) -> str:
        return "-".join([self.method, *(f"{name}-{value}" for name, value in self.sizes)])

    @property
    def file(self) -> Path:
        return PARTS / self.recipe / f"{self.name}.json"

    def options(self, rates: Sequence[float]) -> list[str]:
        """The options of the command that searches its rate."""
        found = ["--recipe", self.recipe, "--methods", self.method]
        for name, value in self.sizes:
            found += [f"--{name.replace('_', '-')}", str(value)]
        found += ["--grid", "--rates", ",".join(map(str, rates))]
        return [*found, "--evaluations", "1"]  # of which the search needs the last alone

    def kept(self) -> Record:
        """The unit's record so far: what was kept here, or the committed one where that has more runs."""
        recorded = record().get("recipes", {}).get(self.recipe, [])
        known = [one for one in recorded if one["name"] == self.name]
        if self.file.is_file():
            known.append(json.loads(self.file.read_text()))
        return max(known, key=lambda one: len(one.get("runs", [])), default={})


def search(folder: Path, options: list[str]) -> Record:
    """The last line of the command, which goes on in the folder where it was cut off."""
    command = [sys.executable, "-m", "cdvft_app", "search", *options, "--seed", str(SEARCH_SEED), "--json"]
    environment = {**os.environ, "RUNS_DIR": str(folder)}
    ended = subprocess.run(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    found: Record = json.loads(ended.stdout.splitlines()[-1])
    return {
        "command": " ".join(["python", *command[1:]]).replace(f"{ROOT}{os.sep}", ""),
        "race": found["race"],
        "methods": [
            {key: one[key] for key in ("label", "best", "sentences")}
            | {"trials": [_trial(trial) for trial in one["trials"]]}
            for one in found["methods"]
        ],
    }


def _trial(trial: Record) -> Record:
    return {name: trial[name] for name in ("settings", "state", "loss", "score")}


def units(recipes: Iterable[str], shard: tuple[int, int] = (1, 1)) -> list[Unit]:
    """The units of a shard: (2, 3) is every third one from the second on."""
    number, of = shard
    whole = [
        Unit(recipe, method, tuple(sizes.items())) for recipe in recipes for method, sizes in SETTINGS[recipe]
    ]
    return whole[number - 1 :: of]


def record() -> Record:
    """The committed record; empty before the first one."""
    return read_record(RESULTS)


def hours(left: Sequence[Unit]) -> float:
    """The hours for the runs that are left, each as long as CDVFT's took in the recorded races."""
    summary = races.record()["summary"]
    seconds = 0.0
    for unit in left:
        kept = unit.kept()
        runs = len(left_to_try(kept.get("search")) or ()) + len(SEEDS) - len(kept.get("runs", []))
        seconds += runs * summary[unit.recipe]["cdvft"]["median_wall_seconds"]
    return seconds / 3600


def work(unit: Unit, cluster: str = "") -> None:
    """Search its rate and train all seeds; goes on where it was cut off."""
    kept = {"machine": machine()} | unit.kept()
    folder = PARTS / "searches" / unit.recipe / unit.name
    while (rates := left_to_try(kept.get("search"))) is not None:
        found = trials(search(folder / "-".join(map(str, rates)), unit.options(rates)))
        kept["search"] = found if "search" not in kept else together(kept["search"], found)
        if found["race"] == kept["search"]["race"]:
            kept["runs"] = []
        write_record(unit.file, kept)
    (best,) = kept["search"]["race"]
    settings = RunSettings.model_validate(best)
    runs, began = kept.setdefault("runs", []), time.monotonic()

    def keep(one: RunSettings, result: Record) -> None:
        runs.append({"seed": one.seed} | {name: result.get(name) for name in _KEPT})
        runs.sort(key=lambda run: run["seed"])
        write_record(unit.file, kept)
        told = f"{result['metric']} after {time.monotonic() - began:.0f} s"
        print(f"{unit.recipe} {unit.name} seed {one.seed}: {told}", flush=True)

    left = [seed for seed in SEEDS if seed not in {run["seed"] for run in runs}]
    train([settings.model_copy(update={"seed": seed}) for seed in left], keep, cluster)


def losses(found: Record) -> dict[float, float]:
    """The losses of a search by rate, the lowest rate first; infinite where a run failed."""
    (method,) = found["methods"]
    told = {
        float(of["settings"].split(",")[0].removeprefix("learning rate ")): of["loss"]
        for of in method["trials"]
    }
    return {rate: math.inf if told[rate] is None else told[rate] for rate in sorted(told)}


def is_at_an_end(found: Record) -> bool:
    """Whether a rate beyond those that were tried may be better."""
    known = losses(found)
    return min(known, key=known.__getitem__) in (min(known), max(known))


def left_to_try(found: Record | None) -> Sequence[float] | None:
    """Multiples of the usual rate: all at first, then the one beyond the end where the best is."""
    if found is None:
        return RATES
    known = losses(found)
    if not is_at_an_end(found) or len(known) >= MAX_RATES:
        return None
    best, lowest = min(known, key=known.__getitem__), min(known)
    tried = sorted(RATES)
    while len(tried) < len(known):  # beyond the same end each time
        tried = [tried[0] * 0.3, *tried] if best == lowest else [*tried, tried[-1] * 3]
    return (float(f"{tried[0] * 0.3:.1g}" if best == lowest else f"{tried[-1] * 3:.1g}"),)


def trials(found: Record) -> Record:
    """The part of a search that is kept: all but its sentences, which know nothing of the other searches, and
    how often its trials were evaluated, which is not for a race to follow."""
    (method,) = found["methods"]
    kept = {name: method[name] for name in ("label", "trials")}
    race = [{name: value for name, value in one.items() if name != "evaluations"} for one in found["race"]]
    return {"commands": [found["command"]], "race": race, "methods": [kept]}


def together(one: Record, other: Record) -> Record:
    """Two searches of the same setting over different rates as one: the best is that of both."""
    first, second = (min(losses(of).values()) for of in (one, other))
    tried = [*one["methods"][0]["trials"], *other["methods"][0]["trials"]]
    race = other["race"] if second < first else one["race"]
    methods = [one["methods"][0] | {"trials": tried}]
    return {"commands": [*one["commands"], *other["commands"]], "race": race, "methods": methods}


_KEPT = ("metric", "rows", "wrong", "trainable_parameters", "failed")


def is_done(unit: Unit) -> bool:
    kept = unit.kept()
    return left_to_try(kept.get("search")) is None and len(kept.get("runs", [])) == len(SEEDS)


def publish() -> None:
    """Every setting that has all its seeds; the settings that lack some are named, and left out."""
    found: dict[str, list[Record]] = {}
    ran_on: dict[str, Record] = {}
    lacking = []
    for unit in units(RECIPES):
        kept = unit.kept()
        if not is_done(unit):
            lacking.append(f"{unit.recipe} {unit.name}")
            continue
        found.setdefault(unit.recipe, []).append({"name": unit.name, "method": unit.method, **kept})
        ran_on[json.dumps(kept["machine"])] = kept["machine"]
    if not found:
        print("Nothing is whole yet: no record is written.")
        return
    text = {
        "command": "python -m benchmarks.equal_numbers",
        "day": time.strftime("%d %B %Y"),
        "machines": list(ran_on.values()),
        "rates": RATES,
        "search_seed": SEARCH_SEED,
        "not_recorded": lacking,
        "recipes": found,
    }
    write_record(RESULTS, text)
    print(f"Wrote {RESULTS.name}; {len(lacking)} settings are not recorded.")


# What the record says


@dataclass(frozen=True)
class Point:
    """One setting: its trained numbers, its mean score over the seeds, and that one's interval."""

    name: str
    method: str
    label: str
    numbers: int
    mean: float
    low: float
    high: float
    settings: RunSettings
    contestant: Contestant
    at_an_end: bool
    """Whether a rate beyond those that were tried may be better."""
    losses: Mapping[float, float]
    """On validation rows, by learning rate."""


def points(recorded: Sequence[Record], metric_name: str) -> list[Point]:
    """The points of one recipe, the fewest numbers first; without settings of which a run failed."""
    found = []
    whole = [one for one in recorded if not any(of.get("metric") is None for of in one["runs"])]
    chosen = [RunSettings.model_validate(one["search"]["race"][0]) for one in whole]
    labels = Counter(settings.method.label() for settings in chosen)
    for one, settings in zip(whole, chosen, strict=True):
        size = settings.method.matched_by
        needed = [size] if size and labels[settings.method.label()] > 1 else []  # tells C3A from C3A
        label = plain(settings.method.label(needed))
        side = contestant(label, one["runs"])
        mean = statistics.fmean(of["metric"] for of in one["runs"])
        low, high = band(side, metric_name) or (mean, mean)
        numbers = one["runs"][0]["trainable_parameters"]
        tried = one["search"]
        own = (numbers, mean, low, high, settings, side, is_at_an_end(tried), losses(tried))
        found.append(Point(one["name"], one["method"], label, *own))
    return sorted(found, key=lambda point: point.numbers)


def front(of: Sequence[Point]) -> list[Point]:
    """Pareto's: those that no other beats or equals with as few numbers; the fewest numbers first."""
    found: list[Point] = []
    for point in sorted(of, key=lambda one: (one.numbers, -one.mean)):
        if not found or point.mean > found[-1].mean:
            found.append(point)
    return found


@dataclass(frozen=True)
class Judged:
    """CDVFT's setting against a rival that trains at most `SIMILAR` times as many numbers."""

    own: Point
    rival: Point
    verdict: Verdict

    @property
    def is_at_equal_numbers(self) -> bool:
        """Whether the rival does not train far fewer either."""
        return self.own.numbers <= SIMILAR * self.rival.numbers


def against_no_more_numbers(of: Sequence[Point], metric_name: str) -> list[Judged]:
    """Return a verdict on each setting of CDVFT against every rival with about as many numbers or fewer.

    All are judged together. A head alone, which trains no weight change, is no rival.
    """
    pairs = [
        (own, rival)
        for own in of
        if own.method == "cdvft"
        for rival in of
        if rival.method != "cdvft" and own.numbers and 0 < rival.numbers <= SIMILAR * own.numbers
    ]
    verdicts = judge([Pair((own.contestant,), (rival.contestant,)) for own, rival in pairs], metric_name)
    return [Judged(own, rival, verdict) for (own, rival), verdict in zip(pairs, verdicts, strict=True)]


def answer(of: Mapping[str, Sequence[Point]], metric_names: Mapping[str, str]) -> str:
    """Return a sentence on what each recipe shows at equal numbers, and who is ahead with fewer.

    A difference that is not shown at the recorded race's rate is told as one of a single rate.
    """
    not_shown, shown, fewer = [], [], []
    at_one_rate: dict[str, list[str]] = {"ahead": [], "behind": []}
    for recipe, points_of_recipe in of.items():
        every = against_no_more_numbers(points_of_recipe, metric_names[recipe])
        judged = [
            one for one in every if not depends_on_rate(points_of_recipe, recipe, metric_names[recipe], one)
        ]
        for word, recipes in at_one_rate.items():
            at_one = [one for one in every if one not in judged and one.verdict.word == word]
            if at_one:
                at_equal = any(one.is_at_equal_numbers for one in at_one)
                recipes.append(recipe if at_equal else f"{recipe} against fewer")
        words = [one.verdict.word for one in judged if one.is_at_equal_numbers]
        ahead, behind = words.count("ahead"), words.count("behind")
        if len(words) in (ahead, behind) and words:
            shown.append(f"{words[0]} ({recipe})")
        elif ahead or behind:
            shown.append(f"ahead in {ahead}, behind in {behind} of {counted(len(words), 'pair')} ({recipe})")
        elif words and len(judged) == len(every):
            not_shown.append(recipe)
        better = [
            METHODS[one.rival.method].title
            for one in judged
            if not one.is_at_equal_numbers and one.verdict.word == "behind"
        ]
        if better:
            fewer.append(f"{joined([*dict.fromkeys(better)])} ahead with fewer ({recipe})")
    by_rate = [f"{word} at one rate ({', '.join(own)})" for word, own in at_one_rate.items() if own]
    shown[:0] = by_rate
    if not_shown:
        shown.append("elsewhere not shown" if shown else f"not shown ({_named(not_shown, of)})")
    parts = [*([", ".join(shown)] if shown else []), *fewer]
    told = "; ".join(parts or ["no rival has as many"])
    return f"{told[0].upper()}{told[1:]}."


def _named(recipes: Sequence[str], of: Collection[str]) -> str:
    """Return two recipes by their names, more by how many of all they are."""
    return ", ".join(recipes) if len(recipes) < 3 else f"{len(recipes)} of {len(of)} recipes"


def at_race_rate(
    of: Sequence[Point], recipe: str, metric_name: str, shown: Judged
) -> tuple[float, Judged] | None:
    """Return a pair judged anew with CDVFT at the recorded race's rate, and that rate.

    The race has the same rows and seeds. None where CDVFT trains at that rate already, or at another size.
    """
    raced = [run for run in races.recorded_runs(recipe) if run["method"] == "cdvft"]
    rate = raced[0]["settings"]["method"]["learning_rate"]
    own = shown.own
    if rate == own.settings.method.learning_rate or own.numbers != raced[0]["trainable_parameters"]:
        return None
    there = replace(own, contestant=contestant(own.label, raced))
    judged = against_no_more_numbers([there if one is own else one for one in of], metric_name)
    return rate, next(one for one in judged if one.own is there and one.rival is shown.rival)


def depends_on_rate(of: Sequence[Point], recipe: str, metric_name: str, one: Judged) -> bool:
    """Return whether a difference is shown, but not with CDVFT at the recorded race's rate."""
    if one.verdict.word not in ("ahead", "behind"):
        return False
    found = at_race_rate(of, recipe, metric_name, one)
    return found is not None and found[1].verdict.word != one.verdict.word


def race_at_searched_rates(recipe: str, metric_name: str) -> dict[tuple[str, str], Verdict]:
    """Return the pairs of the recorded race at its sizes, each method at its own searched rate.

    As those of a race all are judged together. Methods that are not recorded at the race's size are left out.
    """
    runs = races.recorded_runs(recipe)
    sizes = {run["method"]: run["trainable_parameters"] for run in runs}
    recorded = points(record().get("recipes", {}).get(recipe, []), metric_name)
    found = {one.method: one.contestant for one in recorded if sizes.get(one.method) == one.numbers}
    pairs = [*itertools.combinations([method for method in sizes if method in found], 2)]
    verdicts = judge([Pair((found[one],), (found[other],)) for one, other in pairs], metric_name)
    return dict(zip(pairs, verdicts, strict=True))


def sentences(of: Sequence[Point], recipe: str, metric_name: str) -> list[str]:
    """Return what a recipe's pairs show at equal numbers, then against fewer, every shown difference told."""
    judged = against_no_more_numbers(of, metric_name)
    if not judged:
        return ["No rival was recorded with as many numbers as CDVFT or fewer."]
    equal = [one for one in judged if one.is_at_equal_numbers]
    fewer = [one for one in judged if not one.is_at_equal_numbers]
    shown = [one for one in judged if one.verdict.word in ("ahead", "behind")]
    elsewhere = [found for one in shown if (found := at_race_rate(of, recipe, metric_name, one))]
    return [
        *_told(f"Of {{}} with about as many numbers, within {SIMILAR} times,", equal),
        *_told("Of {} in which the rival trains fewer,", fewer),
        *(
            plain(f"At {rate:g}, the rate of the recorded race: {result(one.verdict)}")
            for rate, one in elsewhere
        ),
        (f"All {len(judged)} are corrected together, over" if judged[1:] else "Over")
        + f" {METHODS_FROM} seeds; the chance in choosing rates is in no interval.",
    ]


def _told(which: str, judged: Sequence[Judged]) -> list[str]:
    words = [one.verdict.word for one in judged]
    shown = [one for one in judged if one.verdict.word in ("ahead", "behind")]
    counts = f"CDVFT is ahead in {words.count('ahead')} and behind in {words.count('behind')}."
    return [
        *([f"{which.format(counted(len(judged), 'pair'))} {counts}"] if judged else []),
        *(
            f"{plain(result(one.verdict)).removesuffix('.')}, with {one.own.numbers:,} and "
            f"{one.rival.numbers:,} trained numbers; {chosen(one.own)}; {chosen(one.rival)}."
            for one in shown
        ),
    ]


def chosen(point: Point) -> str:
    """Return the rate that a setting trains at, and the next best, with their validation losses."""
    best, *others = sorted(point.losses.items(), key=lambda one: one[1])
    told = f"{point.label}'s rate {best[0]:g} had a validation loss of {best[1]:.3f}"
    return told + (f", the next best, {others[0][0]:g}, {others[0][1]:.3f}" if others else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--recipes", nargs="+", choices=RECIPES, default=RECIPES)
    parser.add_argument("--shard", default="1/1", help="such as 2/3: the second of three")
    parser.add_argument("--publish", action="store_true", help="train nothing, write the record")
    add_option(parser)
    chosen = parser.parse_args()
    if chosen.publish:
        publish()
        return
    number, _, of = chosen.shard.partition("/")
    mine = units(chosen.recipes, (int(number), int(of)))
    left = [unit for unit in mine if not is_done(unit)]
    print(f"{len(left)} of {len(mine)} settings are left: about {hours(left):.1f} hours.", flush=True)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ["CDVFT_CLUSTER"] = chosen.cluster  # for the command that searches
    with read_once():
        for unit in left:
            work(unit, chosen.cluster)
    publish()


if __name__ == "__main__":
    main()
