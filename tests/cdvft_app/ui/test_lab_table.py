"""The recorded table shows the recorded numbers."""

import json

from benchmarks import fit_matrix
from cdvft_app.ui.learn import lab_table


def test_shows_each_target_with_its_smallest_error_bold(tmp_path, monkeypatch):
    recorded = {
        "tables": {
            "2": {
                "smooth_kernel": {"circulant_diagonal": 0.5, "low_rank": 0.25},
                "toeplitz": {"circulant_diagonal": 0.5, "low_rank": 0.75, "fourier": 0.6},
            }
        },
        "bound": {"side": 10, "factors_needed": [6, 10], "errors": {"2": 0.5}},
        **{"side": 64, "date": "today", "cpu": "<cpu>", "command": "x"},
    }
    monkeypatch.setattr(lab_table, "FILE", tmp_path / "fit_table.json")
    assert lab_table.recorded_table() == "", "where nothing was recorded"
    lab_table.FILE.write_text(json.dumps(recorded))
    shown = lab_table.recorded_table()
    assert '<th scope="row">Smooth kernel</th><td>50.0</td><td><b>25.0</b></td><td></td>' in shown
    assert "m = 2: 192 of 4,096 numbers" in shown
    assert "At n\u00a0=\u00a010 these are 10 and 6" in shown and "50.0\u00a0% at m\u00a0=\u00a02" in shown
    assert "&lt;cpu&gt;" in shown


def test_the_shipped_table_is_the_mean_of_what_was_recorded():
    """Else: python -m benchmarks.fit_matrix --publish."""
    recorded = json.loads(fit_matrix.RESULTS.read_text(encoding="utf-8"))
    shipped = json.loads(lab_table.FILE.read_text(encoding="utf-8"))
    assert shipped == fit_matrix.published(recorded)
    seeds = [
        row["fits"]["low_rank"]["error"]
        for row in recorded["rows"]
        if (row["target"], row["n"], row["m"]) == ("gaussian", 64, 3)
    ]
    assert len(seeds) == 2
    assert abs(shipped["tables"]["3"]["gaussian"]["low_rank"] - sum(seeds) / 2) < 1e-4
