"""The recorded table shows the recorded numbers."""

import json

from cdvft_app.ui.learn import lab_table


def test_shows_each_target_with_its_smallest_error_bold(tmp_path, monkeypatch):
    fits = {
        "circulant_diagonal": {"size": 2, "parameters": 192, "error": 0.5},
        "low_rank": {"size": 1, "parameters": 128, "error": 0.25},
    }
    row = {"target": "smooth_kernel", "n": 64, "seed": 0, "m": 2, "fits": fits}
    bound = {"factors_needed": [6, 10], "rows": [{"m": 2, "fits": fits}]}
    file = tmp_path / "fit_matrix.json"
    file.write_text(
        json.dumps(
            {"rows": [row], "bound": bound, "date": "today", "machine": {"cpu": "<cpu>"}, "command": "x"}
        )
    )
    monkeypatch.setattr(lab_table, "FILE", file)
    shown = lab_table.recorded_table()
    assert '<th scope="row">Smooth kernel</th><td>50.0</td><td><b>25.0</b></td><td></td>' in shown
    assert "50.0\u00a0% at m\u00a0=\u00a02" in shown
    assert "&lt;cpu&gt;" in shown


def test_is_empty_where_nothing_was_recorded(tmp_path, monkeypatch):
    monkeypatch.setattr(lab_table, "FILE", tmp_path / "none.json")
    assert lab_table.recorded_table() == ""
