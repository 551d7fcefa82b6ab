"""What the Compare tab says while it measures, and what it keeps."""

from __future__ import annotations

import pytest

from cdvft_app.measuring.background import MeasuringFailed, WaitingLine
from cdvft_app.ui.compare import measure
from cdvft_app.ui.compare.measure import Story, measured

VALUES = {"model": "roberta-base", "methods": ["cdvft", "lora"]}
ABOUT = {"method": "lora", "setting": {"r": 8}}
BEGIN = {"kind": "begin", **ABOUT, "number": 2, "of": 4, "more": 2}
RESULT = {"kind": "result", **ABOUT, "model": "FacebookAI/roberta-base", "targets": ["query"], "batch": 16,
          "sequence": 128, "seconds": 0.5, "device": "CPU, 2 threads", "time": 100.0}  # fmt: skip


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_seconds_left_follow_what_is_known(clock):
    story = Story(clock)
    assert story.text() == "Loading torch and the model"
    story.add(BEGIN)
    clock.now = 2.0
    assert story.text() == "Measuring LoRA r\u00a0=\u00a08, 2 of 4"
    story.add({"kind": "pace", "seconds": 3.0})
    assert story.text().endswith("about 13 s left")  # 3 of this one, and 5 for each of two more
    clock.now = 6.0
    story.add(RESULT)
    story.add({**BEGIN, "number": 3, "more": 1})
    assert story.text(bounded=True).endswith("3 of 4, at most about 12 s left")
    assert story.value("on", "")["fraction"] == pytest.approx(6 / 18, abs=0.01)
    story.add({"kind": "refused", **ABOUT, "why": "Too large."})
    assert story.end() == "Done: 1 step time on CPU, 2 threads. LoRA r\u00a0=\u00a08: Too large."


def test_who_waits_is_told(clock):
    story = Story(clock)
    story.add({"kind": "waiting", "place": 2})
    assert story.text() == "Somebody else is measuring; 2 before you"
    story.add({"kind": "on"})
    assert story.text() == "Loading torch and the model"


def test_results_are_kept_as_they_come(app, monkeypatch):
    def told(*_):
        yield BEGIN
        yield RESULT
        raise MeasuringFailed("The measurement was killed.")

    monkeypatch.setattr(measure, "measuring", told)
    values = list(measured(app, WaitingLine(), VALUES))
    assert [value["kept"] for value in values] == [0, 0, 1, 1]
    assert (values[-1]["state"], values[-1]["text"]) == ("failed", "The measurement was killed.")
    asked = {name: RESULT[name] for name in ("model", "method", "setting", "targets", "batch", "sequence")}
    assert app.store.measurements.latest(**asked, device="CPU, 2 threads") == RESULT


def test_what_cannot_be_is_refused_before_anything_starts(app):
    *_, last = measured(app, WaitingLine(), {**VALUES, "lora_r": 0})
    assert last["state"] == "failed" and last["text"].startswith("r, rank: got 0")
