"""The step that is kept: the best on rows that are neither trained nor evaluated on, or the last."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from listening import TOTAL, Listener, run
from safetensors.torch import load_file
from tiny_models import reviews

from cdvft_app.events import Done, Evaluation, Note, Started
from cdvft_app.store import predictions, snapshots
from cdvft_app.tasks.base import LabelledTask

VALIDATION = 20


@pytest.fixture
def rows(text_rows):
    return dataclasses.replace(text_rows, validation=reviews(VALIDATION, seed=3))


@pytest.fixture
def scores(monkeypatch):
    """`scores(0.5, 0.9)`: what evaluations on the validation rows measure, one after the other."""
    left: list[float] = []
    measured = LabelledTask.compute_metrics

    def measure(self, evaluation):
        if len(evaluation.label_ids) == VALIDATION:
            return {self.metric_name: left.pop(0)}
        return measured(self, evaluation)

    monkeypatch.setattr(LabelledTask, "compute_metrics", measure)
    return lambda *values: left.extend(values)


def kept_vectors(done: Done) -> list[torch.Tensor]:
    weights = load_file(done.adapter_folder / "adapter_model.safetensors")
    return [weights[name].flatten() for name in sorted(weights) if "cdvft_" in name]


def is_of_step(done: Done, step: int) -> bool:
    """Whether the adapter holds the numbers that the snapshot of that step holds."""
    then = snapshots.read(done.adapter_folder.parent, step).values()
    numbers = torch.cat([torch.from_numpy(one).flatten() for one in then])
    return torch.equal(numbers.sort()[0], torch.cat(kept_vectors(done)).sort()[0])


def notes(heard: Listener) -> str:
    return "\n".join(note.text for note in heard.of(Note))


def test_best_step_is_kept_and_scored_on_evaluation_rows(text_plan, rows, scores, tmp_path):
    scores(0.5, 0.9, 0.6, 0.4)
    heard, done = run(text_plan(learning_rate=0.1), rows, tmp_path / "best")
    assert (done.state, done.step, done.best_step) == ("finished", TOTAL, 8)
    assert is_of_step(done, 8) and not is_of_step(done, TOTAL)
    assert heard.of(Started)[0].validation_examples == VALIDATION
    assert "Step 8 of 16 is kept, the best on 20 validation rows" in notes(heard)
    assert not (tmp_path / "best" / "checkpoints").exists()
    asked, last = run(text_plan(learning_rate=0.1, keep="last"), rows, tmp_path / "last")
    choosing = [(one.step, one.metric, one.final) for one in heard.of(Evaluation) if one.validation]
    assert choosing == [(4, 0.5, False), (8, 0.9, False), (12, 0.6, False), (16, 0.4, False)]
    of_last, of_best = [one for one in heard.of(Evaluation) if not one.validation]
    assert (of_last.step, of_last.final, of_last.metric) == (16, False, last.metric)
    assert (of_best.step, of_best.final, of_best.metric) == (8, True, done.metric)
    assert done.last_metric == last.metric
    answers = predictions.read(tmp_path / "best")
    assert len(answers.labels) == 24
    assert (answers.classes == answers.labels).mean() == pytest.approx(done.metric)
    keeps_the_last(asked)


def keeps_the_last(heard: Listener) -> None:
    done = heard[-1]
    assert (done.best_step, done.last_metric) == (None, None) and is_of_step(done, TOTAL)
    assert not any(one.validation for one in heard.of(Evaluation))


@pytest.mark.parametrize("stop_after", [None, 11])
def test_early_stopping_survives_a_stop(stop_after, text_plan, rows, scores, tmp_path):
    scores(0.9, 0.5, 0.5)
    heard, done = run(text_plan(checkpoint_every=5), rows, tmp_path, stop_after=stop_after)
    assert (done.state, done.step, done.best_step, done.last_metric) == ("finished", 12, 4, None)
    assert "Stopped early after step 12: 2 evaluations in a row were no better" in notes(heard)
    assert is_of_step(done, 4)
