"""Doubts: do fewer FLOPs mean less time? And where is CDVFT slower than LoRA?"""

from __future__ import annotations

from math import log10
from statistics import mean
from typing import Any

from benchmarks import equal_numbers
from benchmarks.evidence import races
from benchmarks.evidence.drawing import at_line, axis, figure, name_of_y, of_method, read, thin_line
from benchmarks.tables import name_of_case
from cdvft import cost
from cdvft_app import catalog
from cdvft_app.format import counted, joined
from cdvft_app.judging import verdict_text
from cdvft_app.methods import METHODS
from cdvft_app.payloads.compare import EvidenceFigure

RECORDS = ("speed_intel_xeon.json", "speed_amd_epyc.json")
METHODS_TIMED: tuple[cost.Method, ...] = ("cdvft", "lora", "fourierft", "c3a")
THREADS = 2
DRAWN_WIDTHS = (192, 384, 768, 4096)


def flops_share(method: cost.Method, entry: dict[str, Any]) -> float:
    """The method's FLOPs over the frozen layer's 4 d_in d_out a token: forward and backward to its input."""
    shape = cost.Shape("layer", entry["d_out"], entry["d_in"])
    sizes = {"m": entry["m"], "block_size": entry["block_size"]} if method == "cdvft" else {}
    spent = cost.estimate(method, [shape], batch=1, sequence=entry["tokens"], **sizes)
    return spent.flops_per_step / (4 * entry["tokens"] * entry["d_in"] * entry["d_out"])


def time_share(method: str, entry: dict[str, Any]) -> float:
    """The time that the method adds, over the frozen layer's."""
    return entry["ratios"][f"{method} / base"]["median"] - 1


def cases(record: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for one in record["layers"] if one["threads"] == THREADS]


def time_and_flops() -> EvidenceFigure:
    """What each method adds to a layer, in time and in FLOPs, both over the frozen layer's."""
    records = [read(name) for name in RECORDS]
    data = [thin_line([1e-3, 100], [1e-3, 100])]
    rows = []
    left_out = 0  # no share of zero or less has a place on a logarithmic axis
    for record, fill in zip(records, ("", "-open"), strict=True):
        for method in METHODS_TIMED:
            placed = [one for one in cases(record) if time_share(method, one) > 0]
            left_out += len(cases(record)) - len(placed)
            points = [(flops_share(method, one), time_share(method, one)) for one in placed]
            trace = of_method(method, *zip(*points, strict=True), "markers")
            trace["marker"] |= {"symbol": trace["marker"]["symbol"] + fill, "size": 5, "opacity": 0.8}
            names = [f"{trace['name']}, {name_of_case(one)}" for one in placed]
            data.append(
                trace
                | {
                    "text": names,
                    "hovertemplate": "%{text}: FLOPs + %{x:.1%}, time + %{y:.1%}"
                    f"<extra>{record['machine']['cpu']}</extra>",
                }
            )
            rows += [
                [record["machine"]["cpu"], name, round(100 * x, 2), round(100 * y, 1)]
                for name, (x, y) in zip(names, points, strict=True)
            ]
    many, few = (
        next(
            one for one in cases(records[0]) if (one["title"], one["tokens"], one["m"]) == ("768", tokens, 2)
        )
        for tokens in (2048, 64)
    )
    flops = flops_share("lora", many) / flops_share("cdvft", many)
    taken, of_few = (time_share("lora", one) / time_share("cdvft", one) for one in (many, few))
    return {
        "key": "time",
        "doubt": "Fewer FLOPs, less time?",
        "answer": f"Xeon, 768 × 768: LoRA adds {flops:.1f} × CDVFT's FLOPs, {taken:.1f} × its time "
        f"(2,048 tokens), {of_few:.2f} × (64).",
        "figure": figure(
            data,
            axis("FLOPs added", log=True, range=[-2.7, 1.2]),
            axis("", log=True, range=[-2.2, 1.4]),
            annotations=[name_of_y("time added")],
        ),
        "label": "Time that a method adds to a layer against the FLOPs that it adds",
        "methods": list(METHODS_TIMED),
        "behind": [
            "Both are shares of the frozen layer's own. On the dotted line the two are equal; above it "
            "a FLOP of the adapter costs more than one of the layer: an FFT moves much and computes little, "
            "and what is added is small. "
            f"Of {len(rows) + left_out} cases {left_out} are left out: the layer took no longer than without "
            "the adapter, by the medians.",
            f"Forward and backward of one layer, float32, {THREADS} threads; filled: "
            f"{records[0]['machine']['cpu']}, open: {records[1]['machine']['cpu']}. No GPU was measured.",
            steps(records),
        ],
        "columns": ["Processor", "Case", "Added FLOPs, %", "Added time, %"],
        "rows": rows,
        "source": machines(records),
        "command": "python -m benchmarks.speed",
        "again": [],
    }


def steps(records: list[dict[str, Any]]) -> str:
    """Whole training steps, where most of the time is the frozen model's."""
    found = [
        f"{one['title']} on {record['machine']['cpu']}: "
        + ", ".join(
            f"{METHODS[name].title} {one['ratios'][f'{name} / frozen']['median']:.2f}"
            for name in METHODS_TIMED
        )
        for record in records
        for one in record["steps"]
        if one["threads"] == THREADS
    ]
    return "A whole training step, times the frozen model's: " + "; ".join(found) + "."


def machines(records: list[dict[str, Any]]) -> str:
    return "; ".join(f"{one['machine']['cpu']}, torch {one['machine']['torch']}" for one in records)


def where_it_loses() -> EvidenceFigure:
    """CDVFT's time over LoRA's by width and tokens, and what was lost elsewhere."""
    records = [read(name) for name in RECORDS]
    drawn = [one for one in cases(records[0]) if one["m"] == 2 and one["block_size"] is None]
    data = [thin_line([64, 8192], [1, 1])]
    named = [name_of_y("time, × LoRA's")]
    for thickness, width in enumerate(DRAWN_WIDTHS, 1):  # the wider the layer, the thicker its line
        line = [one for one in drawn if one["d_in"] == one["d_out"] == width]
        trace = of_method(
            "cdvft",
            [one["tokens"] for one in line],
            [over_lora(one) for one in line],
            "lines+markers",
            hovertemplate=f"d = {width}, %{{x}} tokens: %{{y:.2f}} × LoRA's<extra></extra>",
        )
        trace["line"] |= {"width": thickness}
        trace["marker"] |= {"size": 5 + thickness}
        data.append(trace)
        start = line[0]
        place = log10(start["tokens"]), over_lora(start)
        named.append(at_line(f"d = {width:,}" if width == DRAWN_WIDTHS[0] else f"{width:,}", *place, "cdvft"))
    lost = [
        (record, one)
        for record in records
        for one in cases(record)
        if one["ratios"]["cdvft / lora"]["low"] > 1  # shown, and not a median alone
    ]
    total = sum(len(cases(record)) for record in records)
    return {
        "key": "losses",
        "doubt": "Where does it lose?",
        "answer": f"In {len(lost)} of {total} timings, and in scores on {joined([*lost_scores()])}.",
        "figure": figure(
            data,
            axis("tokens", log=True, range=[log10(64) - 0.6, log10(8192) + 0.1]),
            axis(""),
            annotations=named,
        ),
        "label": "CDVFT's time over LoRA's by tokens, a line for each width, thicker for wider layers",
        "methods": ["cdvft"],
        "behind": [
            "LoRA is faster with few tokens on narrow layers, at small blocks, at m = 4, and "
            "by a little on some wide layers: the table. "
            "The wider the layer, the thicker its line; the dotted line is equality. "
            f"{records[0]['machine']['cpu']}, {THREADS} threads.",
            *lost_elsewhere(),
        ],
        "columns": ["Processor", "Case where LoRA is faster", "CDVFT's time over LoRA's"],
        "rows": [
            [record["machine"]["cpu"], name_of_case(one), round(over_lora(one), 3)]
            for record, one in sorted(lost, key=lambda both: -over_lora(both[1]))
        ],
        "source": machines(records),
        "command": "python -m benchmarks.speed; python -m benchmarks.default_race",
        "again": [],
    }


def over_lora(entry: dict[str, Any]) -> float:
    return entry["ratios"]["cdvft / lora"]["median"]


def lost_scores() -> dict[str, list[str]]:
    """Return by recipe what the judge says of each rival that CDVFT is behind."""
    found: dict[str, list[str]] = {}
    for recipe in races.record()["summary"]:
        seeds = counted(races.record()["summary"][recipe]["cdvft"]["seeds"], "seed")
        for (first, second), verdict in races.compared_race(recipe).between.items():
            if ("cdvft", verdict.word) in ((first, "behind"), (second, "ahead")):
                found.setdefault(recipe, []).append(
                    f"Scores, recipe {recipe}, {seeds}: {verdict_text.result(verdict)}"
                )
    for recipe, recorded in (equal_numbers.record().get("recipes") or {}).items():
        metric_name = catalog.get_dataset(catalog.get_recipe(recipe).dataset).metric
        points = equal_numbers.points(recorded, metric_name)
        for one in equal_numbers.against_no_more_numbers(points, metric_name):
            if one.verdict.word == "behind":
                found.setdefault(recipe, []).append(
                    f"Scores, recipe {recipe}, each at its best rate on validation rows, {one.own.numbers:,} "
                    f"and {one.rival.numbers:,} numbers: {verdict_text.result(one.verdict)}"
                )
    return found


def lost_elsewhere() -> list[str]:
    """Return scores in which the judge finds it behind; fits, FLOPs and numbers that it loses."""
    found = [text for texts in lost_scores().values() for text in texts]
    errors: dict[tuple[str, int, str], list[tuple[float, float]]] = {}
    for row in read("fit_matrix.json")["rows"]:
        own = row["fits"]["circulant_diagonal"]
        for rival, fit in row["fits"].items():
            if row["n"] == 64 and row["m"] > 1 and fit["parameters"] <= own["parameters"]:
                errors.setdefault((row["target"], row["m"], rival), []).append((own["error"], fit["error"]))
    behind = [
        f"{target}, m = {m}, {rival} ({100 * ours:.1f} against {100 * theirs:.1f} %)".replace("_", " ")
        for (target, m, rival), seeds in errors.items()
        for ours, theirs in (map(mean, zip(*seeds, strict=True)),)
        if round(100 * ours, 1) > round(100 * theirs, 1)  # as they are written
    ]
    if behind:
        found.append(
            "Fits of 64 × 64 matrices in which a rival with no more numbers came closer, means over the "
            f"targets' seeds: {'; '.join(behind)}."
        )
    wide = cost.Shape("layer", 768, 768)
    flops = {name: cost.estimate(name, [wide], batch=1, sequence=2048) for name in METHODS_TIMED}
    more = [
        METHODS[name].title
        for name in METHODS_TIMED
        if flops[name].flops_per_step < flops["cdvft"].flops_per_step
    ]
    fewer = [
        METHODS[name].title
        for name in (*METHODS_TIMED, "vera")
        if cost.estimate(name, [wide], batch=1, sequence=1).trainable_parameters
        < flops["cdvft"].trainable_parameters
    ]
    if more:
        found.append(f"At 768 × 768 and 2,048 tokens fewer FLOPs are added by {', '.join(more)}.")
    if fewer:
        found.append(f"Fewer numbers than CDVFT's 2,304 are trained at 768 × 768 by {', '.join(fewer)}.")
    return found
