"""Do two methods learn the same? What their updates, and the effects of these on real inputs, have in common.

    python -m benchmarks.effects [--recipes sentiment digits mnist] [--seeds 0 1 2 3 4]

Trains CDVFT and LoRA by each recipe as the app does, with each seed, and looks at both on the same 500
held-out tokens (cdvft_app/inspection/effects.py): cosine of the updates, of what they do to the tokens, of
that without the shift common to all tokens, and how much that shift is. Writes its record,
benchmarks/results/effects.json, after every pair of runs; run again to go on where it was cut off. It says
first how long it will take.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.machine import machines, read_record, rounded, write_compact
from benchmarks.trained import train_into

RESULTS = Path(__file__).parent / "results" / "effects.json"
METHODS = ("cdvft", "lora")
LOOKING = 60  # seconds that a pair takes beside its training, about


def pair(recipe: str, seed: int) -> list[dict[str, Any]]:
    """Both methods' runs of one seed: {"recipe", "seed", "method", "metric", "summary", "layers"}."""
    from cdvft_app.inspection.effects import MAX_ROWS, OpenedRuns
    from cdvft_app.results import finished_run
    from cdvft_app.settings import RunSettings
    from cdvft_app.store.runs import RunStore

    with tempfile.TemporaryDirectory() as folder:
        store = RunStore(folder)
        # Evaluated on the rows that are looked at, the first of the recipe's; training is the same.
        chosen = [
            RunSettings(recipe=recipe, method=method, seed=seed, evaluation_examples=MAX_ROWS)
            for method in METHODS
        ]
        ids = [train_into(store, one) for one in chosen]
        both = OpenedRuns([finished_run.find(store, run_id) for run_id in ids])
        shared = [shared_by(both, module) for module in both.measured]
        records = [store.get(run_id) for run_id in ids]
        found = []
        for place, (method, record) in enumerate(zip(METHODS, records, strict=True)):
            assert record is not None
            alone = both if place == 0 else OpenedRuns([finished_run.find(store, record.id)])
            found.append(
                {
                    "recipe": recipe,
                    "seed": seed,
                    "method": method,
                    "metric_name": record.metric_name,
                    "metric": record.metric,
                    "tokens": len(both.tokens),
                    "rows": len(both.rows),
                    "right": alone.on["right"],
                    "right_off": alone.off["right"],
                    "right_as_shifts": alone.shifts["right"],
                    "summary": alone.summary(),
                    "layers": [
                        {
                            "module": module,
                            "ratio": list(both.measure(place, module).quartiles),
                            "common": both.measure(place, module).common,
                            "used": both.measure(place, module).used,
                            "directions": both.measure(place, module).directions,
                            **({"with_lora": one} if place == 0 else {}),
                        }
                        for module, one in zip(both.measured, shared, strict=True)
                    ],
                }
            )
        store.close()
    return found


def shared_by(both: Any, module: str) -> dict[str, Any]:
    """Cosines of two runs' updates and effects at a layer, and of each effect what is outside the other's."""
    from cdvft_app.inspection import effects

    deltas = [both.delta(run, module) for run in (0, 1)]
    changes = [both.x[module] @ delta.T for delta in deltas]
    return {
        "updates": effects.cosine(*deltas),
        "effects": effects.cosine(*changes),
        "centred": effects.cosine(*(change - change.mean(0) for change in changes)),
        "alone": [effects.alone(*changes), effects.alone(*changes[::-1])],
    }


def main() -> None:
    from cdvft_app import catalog

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--recipes", nargs="+", default=["sentiment", "digits", "mnist"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    chosen = parser.parse_args()
    record = read_record(RESULTS)
    runs, ran_on = record.get("runs", []), machines(record.get("machines", []))
    known = {(run["recipe"], run["seed"]) for run in runs}
    wanted = [
        (recipe, seed) for recipe in chosen.recipes for seed in chosen.seeds if (recipe, seed) not in known
    ]
    each = {
        recipe: LOOKING + len(METHODS) * (catalog.RECIPES[recipe].expected.seconds_cpu2 or 60)
        for recipe in chosen.recipes
    }
    about = sum(each[recipe] for recipe, _ in wanted) / 60
    print(f"{len(wanted)} pairs of runs, about {about:.0f} minutes on two idle cores.", flush=True)
    for recipe, seed in wanted:
        began = time.monotonic()
        runs += rounded(pair(recipe, seed))
        print(f"{recipe}, seed {seed}: {time.monotonic() - began:.0f} s", flush=True)
        text = {"command": "python -m benchmarks.effects", "machines": ran_on, "runs": runs}
        write_compact(RESULTS, text)


if __name__ == "__main__":
    main()
