"""Search the hub for models that can be fine-tuned here, in a child process that is given some seconds.

`python -m cdvft_app.catalog.hub_search '{"search": ..., "kind": "text", "limit": 8}'` prints what was found
as JSON, behind `MARK`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cdvft_app
from cdvft_app.catalog.entries import Kind
from cdvft_app.catalog.reachability import hub_status

MARK = "hub-search:"
SECONDS_TO_ANSWER = 15.0  # of which loading the hub's client takes some
SAFE = "safetensors"  # the hub's tag; other weights can carry code
LIBRARY: Mapping[Kind, str] = {"text": "transformers", "image": "timm", "generation": "transformers"}
# The tasks that the hub knows models of a kind by.
TASKS: Mapping[Kind, tuple[str, ...]] = {
    "text": ("fill-mask", "feature-extraction", "sentence-similarity", "text-classification"),
    "image": ("image-classification", "image-feature-extraction"),
    "generation": ("text-generation",),
}
NO_ANSWER = "The hub did not answer in time. Search again, or type a model's id, owner/name."


def search_hub(text: str, kind: Kind, limit: int) -> tuple[list[dict[str, Any]], str | None]:
    """Models as {"id", "downloads"}, the most downloaded first; or none, and a sentence that says why."""
    status = hub_status()
    if not status.reachable:
        return [], status.sentence
    root = str(Path(cdvft_app.__file__).parents[1])
    asked = json.dumps({"search": text, "kind": kind, "limit": limit})
    try:
        answer = subprocess.run(
            [sys.executable, "-m", "cdvft_app.catalog.hub_search", asked],
            check=False,
            capture_output=True,
            text=True,
            timeout=SECONDS_TO_ANSWER,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH")))),
            },
        )
    except subprocess.TimeoutExpired:
        return [], NO_ANSWER
    line = next((one for one in answer.stdout.splitlines() if one.startswith(MARK)), None)
    return (json.loads(line.removeprefix(MARK)), None) if line else ([], NO_ANSWER)


def main() -> None:
    """Do what the one argument asks for."""
    from huggingface_hub import HfApi

    asked = json.loads(sys.argv[1])
    kind, limit = asked["kind"], asked["limit"]
    found: dict[str, int] = {}
    for task in TASKS[kind]:
        models = HfApi().list_models(
            search=asked["search"],
            filter=[SAFE, LIBRARY[kind]],
            pipeline_tag=task,
            sort="downloads",
            limit=limit,
        )
        found |= {model.id: model.downloads or 0 for model in models}
    most = sorted(found, key=lambda name: -found[name])[:limit]
    print(MARK + json.dumps([{"id": name, "downloads": found[name]} for name in most]), flush=True)


if __name__ == "__main__":
    main()
