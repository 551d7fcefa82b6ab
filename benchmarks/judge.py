"""How often the judge is wrong where two methods are tied, and how often it sees a gap, by simulation.

    python -m benchmarks.judge [--ties 2000] [--gaps 500]

Rows differ in difficulty, seeds by 0.8 points (standard deviation) in how well they turn out, and each run
answers each row anew. Writes benchmarks/results/judge.json: the share of each word over ties of methods (five
seeds each, tied on average) and of runs (tied as they are), over methods two points apart by seeds and rows,
and what one run each would have said of tied methods, were it taken for a word on methods. Written after
every case; run again to go on where it was cut off. Takes half an hour or more of one core.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import read_record, write_record
from cdvft_app.judging.judge import Contestant, Pair, Run, Verdict, judge
from cdvft_app.judging.row_scores import RowScores, of_predictions, of_scores
from cdvft_app.store.predictions import Predictions

RESULTS = Path(__file__).parent / "results" / "judge.json"
SEEDS_APART = 0.008
ALARMS = ("ahead", "behind")
METRICS = ("accuracy", "matthews", "pearson", "rouge")
Values = NDArray[np.float64]
Draw = Callable[[np.random.Generator, Values, float], RowScores]


def _difficulty(chance: np.random.Generator, rows: int) -> Values:
    """How likely each row (N) is answered right, about 80 % on average; most rows are sure either way."""
    return 1 / (1 + np.exp(-chance.normal(3.2, 3.5, rows)))


def _right(chance: np.random.Generator, easy: Values, better: float) -> NDArray[np.bool_]:
    """Of `better` > 0 that share of all rows is right beside those that would be; of < 0 it is wrong."""
    right = chance.random(len(easy)) < easy
    room = (1 - easy).mean() if better > 0 else easy.mean()
    flipped = chance.random(len(easy)) < abs(better) / room
    return right | flipped if better > 0 else right & ~flipped


def accuracy(chance: np.random.Generator, easy: Values, better: float) -> RowScores:
    return of_scores(_right(chance, easy, better))


def matthews(chance: np.random.Generator, easy: Values, better: float) -> RowScores:
    """Labels are the rows' parity; a correlation moves about twice as far as the share."""
    rows = np.arange(len(easy))
    labels = rows % 2
    classes = np.where(_right(chance, easy, better / 2), labels, 1 - labels)
    return of_predictions(Predictions(rows, labels, np.eye(2)[classes]), "matthews")


def pearson(chance: np.random.Generator, easy: Values, better: float) -> RowScores:
    """Outputs are the labels, which the rows are, with noise; r is about 0.85."""
    noise = 0.6 - 2.3 * better
    outputs = easy / easy.std() + 0.5 * noise * np.sin(1e4 * easy) + chance.normal(0, noise, len(easy))
    rows = np.arange(len(easy))
    return of_predictions(Predictions(rows, easy / easy.std(), outputs[:, None]), "pearson")


def rouge(chance: np.random.Generator, easy: Values, better: float) -> RowScores:
    """A score a row, around 0.2 to 0.8 by its ease."""
    return of_scores(0.2 + 0.6 * easy + better + chance.normal(0, 0.15, len(easy)))


DRAW: dict[str, Draw] = {"accuracy": accuracy, "matthews": matthews, "pearson": pearson, "rouge": rouge}


def contest(
    chance: np.random.Generator,
    metric: str,
    *,
    rows: int,
    seeds: int,
    gap: float = 0.0,
    apart: float = SEEDS_APART,
) -> tuple[Contestant, Contestant]:
    """Two methods, the second better by `gap`, with so many seeds of each."""
    easy = _difficulty(chance, rows)
    first, second = (
        Contestant(
            name,
            tuple(
                _run(DRAW[metric](chance, easy, more + chance.normal(0, apart)), seed)
                for seed in range(seeds)
            ),
        )
        for name, more in (("first", 0.0), ("second", gap))
    )
    return first, second


def _run(answers: RowScores, seed: int) -> Run:
    return Run(seed, answers.score, len(answers.rows), answers)


def verdict(first: Contestant, second: Contestant, metric: str) -> Verdict:
    return judge([Pair((first,), (second,))], metric)[0]


def word_shares(metric: str, times: int, **of_contest: float) -> dict[str, float]:
    """The share of each word over `times` contests."""
    chance = np.random.default_rng(METRICS.index(metric))
    counted = Counter(verdict(*contest(chance, metric, **of_contest), metric).word for _ in range(times))
    return {word: round(count / times, 4) for word, count in sorted(counted.items())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--ties", type=int, default=2000)
    parser.add_argument("--gaps", type=int, default=500)
    chosen = parser.parse_args()
    asked = {"command": "python -m benchmarks.judge", **vars(chosen)}
    record = read_record(RESULTS)
    if {name: record.get(name) for name in asked} != asked:
        record = asked
    for name, found in cases(chosen.ties, chosen.gaps):
        if name not in record:
            record[name] = found()
            print(name, record[name], flush=True)
            write_record(RESULTS, record)


def cases(ties: int, gaps: int) -> Iterator[tuple[str, Callable[[], float]]]:
    """The simulated cases, each by a name of its own with a function of the share that is asked for."""
    tied: dict[str, dict[str, Any]] = {
        "false alarms, methods of 5 seeds, 1,000 rows": {"rows": 1000, "seeds": 5},
        "false alarms, runs of one seed, 300 rows": {"rows": 300, "seeds": 1, "apart": 0.0},
        "one run each taken for its method, 1,000 rows": {"rows": 1000, "seeds": 1},
    }
    for (name, case), metric in product(tied.items(), METRICS):
        yield f"{name}, {metric}", partial(share, ALARMS, metric, ties, **case)
    for metric, rows, seeds in product(METRICS, (1000, 4000), (5, 8, 12)):
        name = f"seen, methods 2 points apart, {seeds} seeds, {rows:,} rows, {metric}"
        yield name, partial(share, ("behind",), metric, gaps, rows=rows, seeds=seeds, gap=0.02)
    for rows, seeds in product((1000, 4000, 16000), (5, 12)):
        name = f"as good within 1 point, tied methods, {seeds} seeds, {rows:,} rows, accuracy"
        yield name, partial(share, ("as good",), "accuracy", gaps, rows=rows, seeds=seeds)


def share(said: tuple[str, ...], metric: str, times: int, **of_contest: float) -> float:
    """How often one of these words is the judge's."""
    found = word_shares(metric, times, **of_contest)
    return round(sum(found.get(word, 0.0) for word in said), 4)


if __name__ == "__main__":
    main()
