"""How long after Start the first point of a curve is there: at once after the page is, and once more.

    python -m benchmarks.first_point [--times 3] [--note TEXT]

Each time a page is started with a folder of its own, the default race is asked for as soon as it answers, and
again when that race's first run has ended. Writes results/first_point.json.
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
from benchmarks.machine import machine
from cdvft_app.store.runs import RunStore

RACE = {"recipe": "sentiment", "methods": ["cdvft"], "max_steps": 10, "evaluation_examples": 64}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--note", default="", help="how the machine was, for the record")
    arguments = parser.parse_args()
    found: list[dict[str, Any]] = []
    for _ in range(arguments.times):
        with tempfile.TemporaryDirectory() as folder, served(Path(folder)) as (address, _server):
            store, client = RunStore(folder), Client(address, verbose=False)
            one = {"load_average": round(os.getloadavg()[0], 1)}
            for name in ("cold", "warm"):
                one[name] = round(seconds_to_first_point(store, client), 2)
            found.append(one)
            print(one, flush=True)
    record = {"machine": machine(), "note": arguments.note, "race": RACE, "seconds": found}
    (RESULTS / "first_point.json").write_text(json.dumps(record, indent=1) + "\n")


def seconds_to_first_point(store: RunStore, client: Client) -> float:
    """From the request to the row of the first step; returns when the run has ended."""
    since = time.monotonic()
    (run_id,) = client.predict(RACE, api_name="/start")["run_ids"]
    wait(lambda: bool(store.rows(run_id, kinds=["step"], limit=1)[0]), every=0.05)
    found = time.monotonic() - since
    wait(lambda: store.state(run_id) == "finished")
    return found


if __name__ == "__main__":
    main()
