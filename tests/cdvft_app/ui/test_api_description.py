"""Programs rely on what the named endpoints take: a change of it is seen, and told."""

from __future__ import annotations

import json
from pathlib import Path

from api_description import KEPT, described, mark

from cdvft_app.ui.shared.state import AppState

CHANGELOG = Path(__file__).parents[3] / "CHANGELOG.md"


def test_the_api_is_the_one_that_is_kept_and_told(app: AppState) -> None:
    now = described(app)
    assert now == json.loads(KEPT.read_text(encoding="utf-8")), (
        "The API has changed: run `PYTHONPATH=. python tests/cdvft_app/ui/api_description.py`."
    )
    assert mark(now) in CHANGELOG.read_text(encoding="utf-8"), (
        f"Say in CHANGELOG.md what changed of the API, and that it is {mark(now)}."
    )
