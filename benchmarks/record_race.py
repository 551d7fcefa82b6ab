"""Record finished runs of the store as the race that the page shows before anybody has run one.

    python -m benchmarks.record_race RUN_ID ...   writes assets/recorded_race.json

Rows are kept as the page polls them; losses and seconds are rounded to what a chart can show. `wrong` holds
the evaluation rows, of `rows`, that a run got wrong.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import time

from cdvft_app.store import predictions
from cdvft_app.store.runs import RunStore
from cdvft_app.ui.shared.recorded import FILE
from cdvft_app.ui.train.feed import Feed
from cdvft_app.ui.train.run_view import poll


def rounded(rows: list[list[float | None]]) -> list[list[float | None]]:
    return [[step, *(value and round(value, 4) for value in values)] for step, *values in rows]


def main(ids: list[str]) -> None:
    store = RunStore.default()
    answer = json.loads(poll(store, Feed(store), {"cursors": dict.fromkeys(ids, 0)}).body)
    if not ids or answer["missing"]:
        sys.exit(
            f"Give the ids of runs in the store; unknown: {', '.join(answer['missing']) or 'none given'}."
        )
    for run in answer["runs"]:
        if run["state"] != "finished" or run["more"]:
            sys.exit(
                f"Run {run['id']} is {run['state']}; only finished runs of a few thousand rows are recorded."
            )
        if kept := predictions.read(store.folder(run["id"])):  # by which the page's first verdict is paired
            run |= {"rows": len(kept.rows), "wrong": kept.rows[~kept.correct].tolist()}
        run["steps"], run["evaluations"] = rounded(run["steps"]), rounded(run["evaluations"])
    day = time.strftime("%d %B %Y", time.localtime(answer["runs"][0]["created"]))
    machine = f"{platform.machine()}, {os.cpu_count()} CPU cores"
    FILE.write_text(
        json.dumps(
            {"recorded": f"on {day}, {answer['runs'][0]['device']} ({machine})", **answer},
            separators=(",", ":"),
        )
        + "\n",
        encoding="utf-8",
    )
    print(f"Wrote {FILE.relative_to(FILE.parents[1])}: {FILE.stat().st_size:,} bytes.")


if __name__ == "__main__":
    main(sys.argv[1:])
