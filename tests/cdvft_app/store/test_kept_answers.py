"""What a run answered is kept row by row, and no more of it than there is room for."""

from __future__ import annotations

from cdvft_app.store import predictions
from cdvft_app.store.predictions import WrittenRow


def row(place: int, right: bool = True, written: str = "n: 1") -> WrittenRow:
    scores = {"exact_match": float(right), "field_f1": 1.0 if right else 0.5}
    return WrittenRow(row=place, prompt=f"go {place}", expected="n: 1", written=written, scores=scores)


def test_answers_come_back_in_the_order_of_their_rows(tmp_path):
    written = [row(5), row(2, right=False), row(3, written="a\nb — “ü”\u2028c")]
    assert predictions.write_answers(tmp_path, written) == 3
    found = predictions.read_answers(tmp_path)
    assert found.rows.tolist() == [2, 3, 5]
    assert found.correct.tolist() == [False, True, True]
    assert found.scores("field_f1").tolist() == [0.5, 1.0, 1.0]
    assert found.labels.tolist() == ["n: 1"] * 3
    assert found.entries[1].written == "a\nb — “ü”\u2028c"
    assert predictions.read_either(tmp_path) == found
