"""How long a visitor of a fresh page waits for the first point of a curve, or for the first answer.

    python -m benchmarks.waits point [--times 3] [--note TEXT]
    python -m benchmarks.waits answer [--times 3] [--note TEXT]

Each time a page is started with a folder of its own. For `point` the default race is asked for as soon as the
page answers, and again when that race's first run has ended; for `answer` all methods of the recorded race
are asked about a short text once the page is warm, then about others. Writes results/first_point.json or
results/first_answer.json.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from gradio_client import Client

from benchmarks.load import RESULTS, served, wait
from benchmarks.machine import machine, write_record
from cdvft_app.store.runs import RunStore

RACE = {"recipe": "sentiment", "methods": ["cdvft"], "max_steps": 10, "evaluation_examples": 64}
RUNS = [f"recorded-sentiment-{method}" for method in ("cdvft", "lora", "fourierft")]
TEXTS = ["A gripping, funny and deeply human film.", *(f"Part {part} is better." for part in range(2, 12))]
WARM_SECONDS = 20.0  # in which a page that nobody uses imports the heavy libraries
ASKED: dict[str, dict[str, Any]] = {"point": {"race": RACE}, "answer": {"runs": RUNS}}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=tuple(ASKED))
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--note", default="", help="how the machine was, for the record")
    arguments = parser.parse_args()
    measured = {"point": points, "answer": answers}[arguments.what]
    found: list[dict[str, Any]] = []
    for _ in range(arguments.times):
        with tempfile.TemporaryDirectory() as folder, served(Path(folder)) as (address, _server):
            found.append(measured(Client(address, verbose=False), Path(folder)))
            print(found[-1], flush=True)
    record = {"machine": machine(), "note": arguments.note, **ASKED[arguments.what], "seconds": found}
    write_record(RESULTS / f"first_{arguments.what}.json", record)


def points(client: Client, folder: Path) -> dict[str, float]:
    """Seconds to the first point of the first race, and of one once the page is warm."""
    store, load = RunStore(folder), round(os.getloadavg()[0], 1)
    cold, warm = (round(seconds_to_first_point(store, client), 2) for _ in range(2))
    return {"load_average": load, "cold": cold, "warm": warm}


def seconds_to_first_point(store: RunStore, client: Client) -> float:
    """Seconds from the request to the row of the first step; returns when the run has ended."""
    since = time.monotonic()
    (run_id,) = client.predict(RACE, api_name="/start")["run_ids"]
    wait(lambda: bool(store.rows(run_id, kinds=["step"], limit=1)[0]), every=0.05)
    found = time.monotonic() - since
    wait(lambda: store.state(run_id) == "finished")
    return found


def answers(client: Client, folder: Path) -> dict[str, float]:
    """Seconds to the first answer, and the median and the longest of those to the next ones."""
    time.sleep(WARM_SECONDS)
    load = round(os.getloadavg()[0], 1)
    first, *others = (seconds_to_answer(client, text) for text in TEXTS)
    later = {"next": round(statistics.median(others), 3), "slowest": round(max(others), 3)}
    return {"load_average": load, "first": round(first, 2), **later}


def seconds_to_answer(client: Client, text: str) -> float:
    since = time.monotonic()
    sides = client.predict(RUNS, [text], api_name="/predict")["sides"]
    assert len(sides) == len(RUNS) + 1
    return time.monotonic() - since


if __name__ == "__main__":
    main()
