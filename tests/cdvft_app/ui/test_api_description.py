"""Programs rely on what the named endpoints take: every change of it is deliberate."""

from __future__ import annotations

import json

from api_description import KEPT, described

from cdvft_app.ui.shared.state import AppState


def test_api_matches_its_description(app: AppState) -> None:
    now = described(app)
    assert now == json.loads(KEPT.read_text(encoding="utf-8")), (
        "The API has changed: run `PYTHONPATH=. python tests/cdvft_app/ui/api_description.py`."
    )
