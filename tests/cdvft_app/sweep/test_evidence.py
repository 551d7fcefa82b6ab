"""The shipped evidence is what the records and the judge give."""

from __future__ import annotations

import pytest

from benchmarks import record_evidence
from cdvft_app.decision import decide


@pytest.mark.nightly
def test_regenerated_evidence_equals_committed() -> None:
    """If it does not: python -m benchmarks.record_evidence."""
    assert record_evidence.FILE.read_text(encoding="utf-8") == record_evidence.text()
    assert decide.RECORDED_RACES.read_text(encoding="utf-8") == record_evidence.recorded_races()
