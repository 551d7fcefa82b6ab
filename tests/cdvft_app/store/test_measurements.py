"""Measured steps are found again by what was measured and where, and the latest one counts."""

from __future__ import annotations

from cdvft_app.store.measurements import Measurements
from cdvft_app.store.runs import RunStore

ASKED = {"model": "roberta-base", "method": "lora", "setting": {"lora_r": 8}, "targets": ["query", "value"],
         "batch": 16, "sequence": 128, "device": "CPU, 2 threads"}  # fmt: skip
RESULT = {**ASKED, "kind": "result", "seconds": 0.5, "time": 100.0}


def test_the_latest_is_found_after_a_restart(store, tmp_path):
    assert not store.measurements.any() and store.measurements.latest(**ASKED) is None
    store.measurements.keep(RESULT)
    store.measurements.keep({**RESULT, "seconds": 0.6, "time": 200.0})
    again: Measurements = RunStore(tmp_path).measurements
    assert again.any()
    assert again.latest(**ASKED) == {**RESULT, "seconds": 0.6, "time": 200.0}
