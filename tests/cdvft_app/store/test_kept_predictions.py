"""A run's predictions in its folder."""

import numpy as np

from cdvft_app.store import predictions


def test_a_large_set_keeps_its_first_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(predictions, "MAX_ROWS", 3)
    predictions.write(
        tmp_path, np.array([4, 0, 2, 1, 3]), np.array([4, 0, 2, 1, 3]), np.eye(5)[[4, 0, 2, 1, 3]]
    )
    kept = predictions.read(tmp_path)
    assert kept is not None and kept.rows.tolist() == kept.labels.tolist() == [0, 1, 2]
    (tmp_path / predictions.FILE).write_bytes(b"cut off")
    assert predictions.read(tmp_path) is None
