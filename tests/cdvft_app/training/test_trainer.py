from __future__ import annotations

import pytest
import torch
from listening import TOTAL, run

from cdvft_app.events import Done, Evaluation, Preparing, Snapshot, Started, Step
from cdvft_app.methods import METHODS
from cdvft_app.store import snapshots
from cdvft_app.training.loop import RaceTrainer


def test_events_come_in_order(whole):
    heard, _ = whole
    kinds = [type(event) for event in heard]
    first_step = kinds.index(Step)
    assert kinds.index(Preparing) < kinds.index(Started) < kinds.index(Snapshot) < first_step
    assert kinds[-1] is Done
    assert [step.step for step in heard.of(Step)] == list(range(1, TOTAL + 1))
    seconds = [event.seconds for event in heard if isinstance(event, Step | Evaluation)]
    assert seconds == sorted(seconds) and seconds[0] > 0
    assert all(step.throughput > 0 and step.gradient_norm > 0 for step in heard.of(Step))
    assert {step.throughput_unit for step in heard.of(Step)} == {"tokens/s"}


def test_snapshots_span_the_run(whole):
    heard, folder = whole
    assert snapshots.steps(folder) == list(range(TOTAL + 1))
    for place, event in enumerate(heard):
        if isinstance(event, Snapshot) and event.step > 0:
            assert heard[place - 1].step == event.step and isinstance(heard[place - 1], Step)
            assert (folder / event.file).is_file()
    start, end = snapshots.read(folder, 0), snapshots.read(folder, TOTAL)
    name = "encoder.layer.0.attention.self.query/diagonal.1"
    assert not start[name].any() and end[name].any()


def test_losses_follow_from_the_seed(whole, text_plan, text_rows, tmp_path):
    torch.manual_seed(99)  # whatever happened before in this process
    again, _ = run(text_plan(checkpoint_every=5), text_rows, tmp_path / "same")
    other, _ = run(text_plan(seed=1), text_rows, tmp_path / "other")
    assert again.losses() == whole[0].losses()
    assert [one.metric for one in again.of(Evaluation)] == [one.metric for one in whole[0].of(Evaluation)]
    assert other.losses() != whole[0].losses()


@pytest.mark.filterwarnings("error::FutureWarning")
def test_methods_of_a_race_share_batches_and_head(text_plan, text_rows, tmp_path, monkeypatch):
    seen: dict[str, list] = {}

    def first_logits(self, model, inputs, *args, **kwargs):
        seen.setdefault(method, []).append(inputs["input_ids"].tolist())
        return compute_loss(self, model, inputs, *args, **kwargs)

    compute_loss = RaceTrainer.compute_loss
    monkeypatch.setattr(RaceTrainer, "compute_loss", first_logits)
    losses = {}
    for method in METHODS:
        heard, _ = run(text_plan(method, max_steps=3), text_rows, tmp_path / method)
        losses[method] = heard.losses()[1]
    assert all(seen[method] == seen["head"] for method in METHODS)
    starts_at_zero = ("cdvft", "lora", "fourierft", "head", "full")
    assert [losses[method] for method in starts_at_zero] == pytest.approx([losses["head"]] * 5, abs=1e-6)
