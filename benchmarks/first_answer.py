"""How long the Use tab's first answer takes once a run is chosen, and the next ones.

    python -m benchmarks.first_answer [--times 3] [--note TEXT]

Each time a page is started with a folder of its own; once it is warm, all methods of the recorded race are
asked about a short text, then about others. Writes results/first_answer.json.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from gradio_client import Client

from benchmarks.load import RESULTS, served
from benchmarks.machine import machine

RUNS = [f"recorded-sentiment-{method}" for method in ("cdvft", "lora", "fourierft")]
TEXTS = ["A gripping, funny and deeply human film.", *(f"Part {part} is better." for part in range(2, 12))]
WARM_SECONDS = 20.0  # in which a page that nobody uses imports the heavy libraries


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
            client = Client(address, verbose=False)
            time.sleep(WARM_SECONDS)
            load = round(os.getloadavg()[0], 1)
            first, *others = (seconds_to_answer(client, text) for text in TEXTS)
        later = {"next": round(statistics.median(others), 3), "slowest": round(max(others), 3)}
        found.append({"load_average": load, "first": round(first, 2), **later})
        print(found[-1], flush=True)
    record = {"machine": machine(), "note": arguments.note, "runs": RUNS, "seconds": found}
    (RESULTS / "first_answer.json").write_text(json.dumps(record, indent=1) + "\n")


def seconds_to_answer(client: Client, text: str) -> float:
    since = time.monotonic()
    sides = client.predict(RUNS, [text], api_name="/predict")["sides"]
    assert len(sides) == len(RUNS) + 1
    return time.monotonic() - since


if __name__ == "__main__":
    main()
