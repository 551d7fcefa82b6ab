"""What a poll costs the page's processor by how many pages are open: 5, 125, 200 and 1,200.

    python -m benchmarks.open_pages

Everything runs in one process without a port, so that the processor's time is counted and waiting is not;
it holds what the asking client takes, too. Each page has had one event of its form, for which Gradio keeps a
session. Writes results/open_pages.json.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

import gradio as gr
from starlette.testclient import TestClient

from benchmarks.machine import machine, write_record
from cdvft_app.executors.queue import RunQueue
from cdvft_app.settings import RunSettings
from cdvft_app.store.runs import RunStore
from cdvft_app.ui.build import build
from cdvft_app.ui.launching import launch_arguments
from cdvft_app.ui.shared.state import AppState

RESULT = Path(__file__).parent / "results" / "open_pages.json"
PAGES = (5, 125, 200, 1200)
POLLS = 200


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = RunStore(folder)
        (run,) = store.create([RunSettings(method="cdvft")], "owner")
        page, arguments = build(AppState.make(store, RunQueue(store))), launch_arguments()
        page.state_session_capacity = arguments["state_session_capacity"]
        app = gr.routes.App.create_app(page, app_kwargs=arguments["app_kwargs"])
        event = next(handler._id for handler in page.fns.values() if handler.api_name == "choose_run")
        with TestClient(app, "http://127.0.0.1") as client:
            costs = []
            for count in PAGES:
                for number in range(count):
                    body = {"session_hash": f"page {number}", "fn_index": event, "data": [None]}
                    client.post("/gradio_api/run/predict", json=body).raise_for_status()
                costs.append({"open_pages": count, **_spread(client, run.id)})
                print(costs[-1], flush=True)
        store.close()
    write_record(RESULT, {"machine": machine(), "polls": POLLS, "cpu_ms": costs})


def _spread(client: TestClient, run_id: str) -> dict[str, float]:
    spent = []
    for _ in range(POLLS):
        since = time.process_time()
        client.post("/cdvft/train/run_view/poll", json={"cursors": {run_id: 0}}).raise_for_status()
        spent.append(1000 * (time.process_time() - since))
    return {"p50": round(statistics.median(spent), 2), "p95": round(sorted(spent)[int(0.95 * POLLS)], 2)}


if __name__ == "__main__":
    main()
