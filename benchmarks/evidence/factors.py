"""Doubt: what theory is there for few factors?"""

from __future__ import annotations

from statistics import mean
from typing import Any

from benchmarks.evidence.drawing import (
    axis,
    figure,
    name_of_y,
    of_machine,
    of_method,
    read,
    thin_line,
)
from cdvft_app.payloads.compare import EvidenceFigure

DRAWN = ("gaussian", 64, "random 64 × 64"), ("low_rank", 64, "rank-4 64 × 64")


def few_factors() -> EvidenceFigure:
    """The error of the best fit that was found, by m, beside what counting and the theorem say."""
    record = read("fit_matrix.json")
    least, enough = record["bound"]["factors_needed"]
    side = record["bound"]["rows"][0]["n"]
    targets = [(title, rows_of(record, name, n)) for name, n, title in DRAWN]
    targets.append((f"random {side} × {side}", record["bound"]["rows"]))
    series = [(title, by_m(rows), by_m(rows, "low_rank")) for title, rows in targets]
    panels = ["x", "x2", "x3"]
    data = [thin_line([least, least], [0, 100]) | {"xaxis": panels[-1]}]
    for panel, (title, ours, theirs) in zip(panels, series, strict=True):
        both = ("lora", theirs, "LoRA with no more numbers than m"), ("cdvft", ours, "m")
        for method, errors, told in both:
            trace = of_method(
                method, list(errors), [value for value, _, _ in errors.values()], "lines+markers"
            )
            trace |= {
                "xaxis": panel,
                "error_y": {
                    "type": "data", "symmetric": False, "thickness": 1, "width": 3,
                    "array": [high - value for value, _, high in errors.values()],
                    "arrayminus": [value - low for value, low, _ in errors.values()],
                },
                "hovertemplate": f"{title}: {told} = %{{x}}, %{{y:.1f}} % off<extra></extra>",
            }  # fmt: skip
            data.append(trace)
    _, *random = series[0]
    ours, theirs = (errors[2][0] for errors in random)
    return {
        "key": "factors",
        "doubt": "Few factors enough?",
        "answer": f"Unproven; random matrices: m = 2 leaves {ours:.1f}\u00a0%, LoRA {theirs:.1f}\u00a0%.",
        "figure": figure(
            data,
            [
                axis(title.replace(" ", "<br>", 1), range=[0.6, enough + 0.4], anchor="y")
                for title, *_ in series
            ],
            axis("", range=[-4, 104]),
            annotations=[name_of_y("error, % by m")],
        ),
        "label": "Error of the best fit found, by the number of diagonals m",
        "methods": ["cdvft", "lora"],
        "behind": [
            "m = n, that is 2n − 1 factors, reaches a generic complex n × n matrix (Huhtanen and Perämäki, "
            "2015); counting says that fewer than (n + 2) / 2 cannot: the dotted line, "
            f"m = {least} of {enough} at n = {side}. To a complex matrix of rank k, where k divides "
            "n, 4k + 1 factors come as close as one likes (Araujo and others, 2020). For fewer we know of no "
            "useful bound on the error.",
            "With m = 2 every square matrix of rank 1, every circulant and every diagonal is exact, and "
            "generic vectors give full rank with 3n numbers, but not freely chosen entries.",
            "The answer is of the norm of random 64 × 64 matrices, LoRA with no more numbers. The points "
            "are errors of fits found by search, LoRA's of the best change of the rank that no more "
            "numbers buy, means over the targets' seeds with lowest and highest. What training needs is not "
            "what a matrix needs: see the settings.",
        ],
        "columns": ["Target", "m", "Numbers of n × n", "Error, %", "Lowest", "Highest", "LoRA's error, %"],
        "rows": [
            [
                *(title, m, numbers(title, m), *(round(one, 2) for one in found)),
                round(rivals[m][0], 2) if m in rivals else "–",
            ]
            for title, errors, rivals in series
            for m, found in errors.items()
        ],
        "source": f"{record['date']}, {of_machine(record['machine'])}",
        "command": record["command"],
        "again": [],
    }


def rows_of(record: dict[str, Any], target: str, n: int) -> list[dict[str, Any]]:
    return [row for row in record["rows"] if (row["target"], row["n"]) == (target, n)]


def by_m(
    rows: list[dict[str, Any]], family: str = "circulant_diagonal"
) -> dict[int, tuple[float, float, float]]:
    """The mean, lowest and highest error in percent for each m; of a rival with no more numbers if given."""
    found: dict[int, list[float]] = {}
    for row in rows:
        if family in row["fits"]:
            found.setdefault(row["m"], []).append(100 * row["fits"][family]["error"])
    return {m: (mean(errors), min(errors), max(errors)) for m, errors in found.items()}


def numbers(title: str, m: int) -> str:
    side = int(title.rsplit(maxsplit=1)[-1])
    return f"{(2 * m - 1) * side:,} of {side * side:,}"
