"""A real race recorded on some machine, shown while nobody has run one here."""

from __future__ import annotations

import json

from cdvft_app import ASSETS
from cdvft_app.methods import flat
from cdvft_app.payloads.train import RecordedRace
from cdvft_app.settings import RunSettings

FILE = ASSETS / "recorded_race.json"  # written by benchmarks/record_race.py


def recorded() -> RecordedRace | None:
    """None where there is no file."""
    if not FILE.is_file():
        return None
    race = json.loads(FILE.read_text(encoding="utf-8"))
    for run in race["runs"]:
        run["options"] = flat.write_run(RunSettings.model_validate(run["settings"]))
    return race
