"""What a finished run predicts is what the trainer saw in its own evaluation."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch
from listening import run

from cdvft_app.catalog.dataset_readers import Rows, Split
from cdvft_app.progress import never, silent
from cdvft_app.store import predictions
from cdvft_app.tasks.base import LabelledTask
from cdvft_app.tasks.prepare import prepare
from cdvft_app.training import trainable


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """The logits of each evaluation, as the trainer measured them."""
    logits: list[np.ndarray] = []

    def measured(self, evaluation):
        logits.append(evaluation.predictions)
        return measure(self, evaluation)

    measure = LabelledTask.compute_metrics
    monkeypatch.setattr(LabelledTask, "compute_metrics", measured)
    return logits


def in_both(change: Callable[[Split], Split], rows: Rows) -> Rows:
    return dataclasses.replace(rows, train=change(rows.train), evaluation=change(rows.evaluation))


@pytest.fixture
def pairs(text_rows) -> Rows:
    return in_both(lambda of: Split([(one, f"the {one}") for one in of.inputs], of.labels), text_rows)


@pytest.fixture
def scores(text_rows) -> Rows:
    rows = in_both(lambda of: Split(of.inputs, of.labels.astype(np.float32) * 5), text_rows)
    return dataclasses.replace(rows, labels=())


@pytest.mark.parametrize(
    ("kind", "method"), [("text", "cdvft"), ("pairs", "lora"), ("scores", "cdvft"), ("image", "cdvft")]
)
def test_predictions_equal_the_evaluation(kind, method, seen, request, tmp_path):
    rows = request.getfixturevalue({"text": "text_rows", "image": "image_rows"}.get(kind, kind))
    make = request.getfixturevalue("image_plan" if kind == "image" else "text_plan")
    plan = make(method, max_steps=6, learning_rate=0.1)
    if kind == "scores":
        plan = dataclasses.replace(plan, dataset=dataclasses.replace(plan.dataset, metric="pearson"))
    _, done = run(plan, rows, tmp_path)
    assert done.metric_name == ("pearson" if kind == "scores" else "accuracy")
    places = prepare(plan, silent, never, rows).evaluation_rows
    evaluated = torch.empty(len(places), len(rows.labels) or 1)
    evaluated[places] = torch.from_numpy(seen[-1])

    task = trainable.load_trained(plan, done.adapter_folder)[0]
    assert isinstance(task, LabelledTask)
    torch.testing.assert_close(task.logits(rows.evaluation.inputs), evaluated, rtol=0, atol=1e-5)
    answers = task.predict(rows.evaluation.inputs)
    kept = predictions.read(tmp_path)
    assert kept is not None
    assert kept.rows.tolist() == list(range(len(places)))
    np.testing.assert_array_equal(kept.labels, rows.evaluation.labels)
    said = [one.probabilities or (one.value,) for one in answers]
    np.testing.assert_allclose(kept.outputs, said, rtol=0, atol=1e-5)
    if kind == "scores":
        assert [one.value for one in answers] == pytest.approx(evaluated[:, 0].tolist(), abs=1e-5)
        assert {(one.label, one.probabilities) for one in answers} == {(None, ())}
        return
    exponentials = evaluated.double().exp()
    expected = (exponentials / exponentials.sum(1, keepdim=True)).tolist()
    assert [list(one.probabilities) for one in answers] == [pytest.approx(row, abs=1e-5) for row in expected]
    assert [one.label for one in answers] == [rows.labels[int(row.argmax())] for row in evaluated]
