"""What the named endpoints take and give, as Gradio tells programs, and the copy of it that is kept.

PYTHONPATH=. python tests/cdvft_app/ui/api_description.py   # rewrites api.json
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from cdvft_app.executors.queue import RunQueue
from cdvft_app.store.runs import RunStore
from cdvft_app.ui.build import build
from cdvft_app.ui.shared.state import AppState

KEPT = Path(__file__).with_name("api.json")
TOLD = ("parameter_name", "parameter_has_default", "parameter_default", "type")


def described(app: AppState) -> dict[str, Any]:
    endpoints = build(app).get_api_info()["named_endpoints"]
    return {
        name: {
            "parameters": [{key: one.get(key) for key in TOLD} for one in endpoint["parameters"]],
            "returns": [one["type"] for one in endpoint["returns"]],
        }
        for name, endpoint in sorted(endpoints.items())
    }


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        store = RunStore(Path(folder))
        now = described(AppState.make(store, RunQueue(store)))
        store.close()
    KEPT.write_text(json.dumps(now, indent=1) + "\n", encoding="utf-8")
