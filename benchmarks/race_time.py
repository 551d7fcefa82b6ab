"""How long a race takes from Start on: loading, evaluations and written answers included.

    python -m benchmarks.race_time [--recipe addresses] [--precisions float32 bfloat16] [--note TEXT]

The page is started with a folder of its own and asked by its named endpoint for what Start asks for; nothing
draws it meanwhile. Writes results/race_time.json, in which other recipes and precisions stay.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from gradio_client import Client

from benchmarks.load import RESULTS, served, wait
from benchmarks.machine import machine, write_record
from cdvft_app.store.runs import RunStore

METHODS = ("cdvft", "lora", "fourierft")


def race(recipe: str, precision: str) -> dict[str, Any]:
    """Seconds from Start to the end of the last run, and what each run took, trained and got right."""
    with (
        tempfile.TemporaryDirectory() as folder,
        served(Path(folder), os.cpu_count() or 1) as (address, _server),
    ):
        store, client = RunStore(folder), Client(address, verbose=False)
        wanted = {"recipe": recipe, "methods": list(METHODS), "precision": precision}
        load, since = round(os.getloadavg()[0], 1), time.monotonic()
        ids = client.predict(wanted, api_name="/start")["run_ids"]
        wait(lambda: store.state(ids[-1]) in ("finished", "failed"), seconds=3600)
        seconds = round(time.monotonic() - since, 1)
        runs = [run for run in map(store.get, ids) if run and run.state == "finished"]
        assert len(runs) == len(ids), "a run has failed"
        of_each = {
            run.method: {
                "seconds": round(run.whole_seconds or 0, 1),
                "training": round(run.seconds or 0, 1),
                str(run.metric_name): round(run.metric or 0, 4),
            }
            for run in runs
        }
    return {
        "recipe": recipe,
        "precision": precision,
        "load_average": load,
        "seconds": seconds,
        "runs": of_each,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--recipe", default="addresses")
    parser.add_argument("--precisions", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--note", default="", help="how the machine was, for the record")
    arguments = parser.parse_args()
    path = RESULTS / "race_time.json"
    kept = json.loads(path.read_text())["races"] if path.exists() else []
    for precision in arguments.precisions:
        found = race(arguments.recipe, precision) | {"machine": machine(), "note": arguments.note}
        print(json.dumps(found), flush=True)
        key = (arguments.recipe, precision)
        kept = [one for one in kept if (one["recipe"], one["precision"]) != key] + [found]
        write_record(path, {"races": kept})


if __name__ == "__main__":
    main()
