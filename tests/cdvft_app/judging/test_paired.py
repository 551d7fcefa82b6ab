"""McNemar's exact test, and that the sentences on a race call no difference one that it does not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest
from test_outcomes import PARAMETERS, placed, ran

from cdvft_app.judging.outcome_sentences import sentences
from cdvft_app.judging.paired import Paired, compare, mcnemar, of_runs
from cdvft_app.settings import RunSettings
from cdvft_app.store import predictions
from cdvft_app.store.predictions import Predictions
from cdvft_app.store.runs import RunStore


@pytest.mark.parametrize(
    ("alone", "p"), [((0, 0), 1.0), ((1, 0), 1.0), ((5, 5), 1.0), ((0, 6), 2 / 64), ((8, 1), 20 / 512)]
)
def test_known_values(alone, p):
    assert mcnemar(*alone) == mcnemar(*reversed(alone)) == pytest.approx(p)


def test_it_is_the_binomial_test_of_a_fair_coin():
    for first, second in [(3, 11), (47, 31), (120, 180), (2900, 3100)]:
        assert mcnemar(first, second) == pytest.approx(binomtest(first, first + second).pvalue, rel=1e-9)


def answered(classes, labels=(0, 1, 1, 0)):
    outputs = np.eye(2, dtype=np.float32)[list(classes)]
    return Predictions(np.arange(len(labels)), np.array(labels), outputs)


def test_rows_are_counted_that_one_alone_gets_right():
    assert compare(answered([0, 1, 1, 1]), answered([0, 0, 0, 0])) == Paired(4, 2, 1)
    assert compare(answered([0, 1, 1, 1]), answered([0, 0, 0, 0], [0, 1, 1, 1])) is None, "other rows"


def test_runs_are_compared_by_what_their_folders_keep(tmp_path):
    store = RunStore(tmp_path)
    runs = store.create([RunSettings(method=one) for one in ("cdvft", "lora")], None)
    first, second = (run.id for run in runs)
    assert of_runs(store, first, second) is None, "trained by the version before"
    for run_id, classes in ((first, [0, 1, 1, 1]), (second, [1, 0, 1, 1])):
        one = answered(classes)
        predictions.write(store.folder(run_id), one.rows, one.labels, one.outputs)
    assert of_runs(store, first, second) == Paired(4, 2, 0)
    assert of_runs(store, first, "recorded") is None


@pytest.mark.parametrize(
    ("alone", "said"),
    [
        # 3 points of 1,024 rows are more than twice the standard error, but these rows do not show it.
        ((80, 50), "80.0 %, 3.0 points less than CDVFT m = 2 (right on 50 rows that"),
        ((130, 100), "80.0 %, a tie with CDVFT m = 2 at 83.0 % (right on 100 rows that"),
    ],
)
def test_a_difference_is_one_only_where_the_paired_test_allows(alone, said):
    points = placed(ran("cdvft", 0.83, 9), ran("lora", 0.80, 9))
    _, against, doubt = sentences(points, PARAMETERS, lambda one, other: Paired(1024, *alone))
    assert said in against.replace("\u00a0", " ")
    assert "by the exact McNemar test: a difference counts where p is below 0.05." in doubt
    assert "standard error" not in doubt


def test_a_large_set_keeps_its_first_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(predictions, "MOST_ROWS", 3)
    predictions.write(
        tmp_path, np.array([4, 0, 2, 1, 3]), np.array([4, 0, 2, 1, 3]), np.eye(5)[[4, 0, 2, 1, 3]]
    )
    kept = predictions.read(tmp_path)
    assert kept is not None and kept.rows.tolist() == kept.labels.tolist() == [0, 1, 2]
    (tmp_path / predictions.FILE).write_bytes(b"cut off")
    assert predictions.read(tmp_path) is None
