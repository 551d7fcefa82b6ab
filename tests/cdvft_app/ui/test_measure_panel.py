"""What the Compare tab says while it measures, and what it keeps."""

from __future__ import annotations

import pytest
from clocks import Clock

from cdvft_app.measuring.background import MeasuringFailed, WaitingLine
from cdvft_app.ui.compare import measure
from cdvft_app.ui.compare.measure import Progress, measured

VALUES = {"model": "roberta-base", "methods": ["cdvft", "lora"]}
ABOUT = {"method": "lora", "setting": {"r": 8}}
BEGIN = {"kind": "begin", **ABOUT, "number": 2, "of": 4, "more": 2}
RESULT = {"kind": "result", **ABOUT, "model": "FacebookAI/roberta-base", "targets": ["query"], "batch": 16,
          "sequence": 128, "seconds": 0.5, "device": "CPU, 2 threads", "time": 100.0}  # fmt: skip


def never() -> bool:
    return False


def test_seconds_left_follow_what_is_known():
    clock = Clock()
    progress = Progress(clock)
    assert progress.text() == "Loading torch and the model"
    progress.add(BEGIN)
    clock.now += 2
    assert progress.text() == "Measuring LoRA r\u00a0=\u00a08, 2 of 4"
    progress.add({"kind": "pace", "seconds": 3.0})
    assert progress.text().endswith("about 13 s left")  # 3 of this one, and 5 for each of two more
    clock.now += 4
    progress.add(RESULT)
    progress.add({**BEGIN, "number": 3, "more": 1})
    assert progress.text(bounded=True).endswith("3 of 4, at most about 12 s left")
    assert progress.value("on", "")["fraction"] == pytest.approx(6 / 18, abs=0.01)
    progress.add({"kind": "refused", **ABOUT, "why": "Too large."})
    assert progress.end() == "Done: 1 step time on CPU, 2 threads. LoRA r\u00a0=\u00a08: Too large."


def test_who_waits_is_told():
    progress = Progress(Clock())
    progress.add({"kind": "waiting", "place": 2})
    assert progress.text() == "Number 3 in the queue"
    progress.add({"kind": "on"})
    assert progress.text() == "Loading torch and the model"


def test_results_are_kept_as_they_come(app, monkeypatch):
    def told(*_):
        yield BEGIN
        yield RESULT
        raise MeasuringFailed("The measurement was killed.")

    monkeypatch.setattr(measure, "measuring", told)
    values = list(measured(app, WaitingLine(), VALUES, never))
    assert [value["kept"] for value in values] == [0, 0, 1, 1]
    assert (values[-1]["state"], values[-1]["text"]) == ("failed", "The measurement was killed.")
    asked = {name: RESULT[name] for name in ("model", "method", "setting", "targets", "batch", "sequence")}
    assert app.store.measurements.latest(**asked, device="CPU, 2 threads") == RESULT


def test_cancelled_it_ends_its_process_and_keeps_what_was_measured(app, monkeypatch):
    ended = []

    def told(*_):
        try:
            yield BEGIN
            yield RESULT
            yield {"kind": "on"}
        finally:
            ended.append(True)

    monkeypatch.setattr(measure, "measuring", told)
    pressed = iter([False, True])
    values = list(measured(app, WaitingLine(), VALUES, lambda: next(pressed)))
    assert [value["state"] for value in values] == ["on", "on", "idle"]
    assert (values[-1]["text"], values[-1]["kept"]) == ("Cancelled; what was measured until then is kept.", 1)
    assert ended and app.store.measurements.all() == [RESULT]


def test_what_cannot_be_is_refused_before_anything_starts(app):
    *_, last = measured(app, WaitingLine(), {**VALUES, "lora_r": 0}, never)
    assert last["state"] == "failed" and last["text"].startswith("Rank (r): got 0")
