"""Right and wrong of models that write: which rows are shown, what is marked, and what is answered anew."""

from __future__ import annotations

import numpy as np
import pytest

from cdvft_app.catalog.conversations import prompt_of
from cdvft_app.judging import row_scores
from cdvft_app.results import answering, held_out
from cdvft_app.results.finished_run import ResultsError
from cdvft_app.store import predictions
from cdvft_app.store.predictions import WrittenAnswers, WrittenRow
from cdvft_app.ui.use import held_out_tables

FIELDS = ("n", "kind")
RIGHT = ("n: 1", "n: 2\nkind: even", "n: 1", "n: 2\nkind: even")


def answers(*scored: tuple[str, float]) -> WrittenAnswers:
    rows = zip(RIGHT, scored, strict=True)
    return WrittenAnswers(
        tuple(
            WrittenRow(
                row=place,
                prompt=f"go {place}",
                expected=expected,
                written=text,
                scores={"exact_match": float(f1 == 1), "field_f1": f1},
            )
            for place, (expected, (text, f1)) in enumerate(rows)
        )
    )


FIRST = answers(("n: 1", 1.0), ("n: 2", 2 / 3), ("<b>chat", 0.0), ("n: 2\nkind: even", 1.0))
SECOND = answers(("n: 3", 0.0), ("n: 2\nkind: even", 1.0), ("n: 4", 0.0), ("n: 2\nkind: even", 1.0))


@pytest.mark.parametrize(
    ("show", "rows"), [("mistakes", [2, 1]), ("right", [0, 3]), ("disagree", [0, 1]), ("all", [0, 1, 2, 3])]
)
def test_prompts_are_ordered_by_score(show, rows):
    assert held_out.chosen_prompts(show, FIRST, SECOND).tolist() == rows


def test_row_scores_are_read_from_saved_texts(tmp_path):
    predictions.write_answers(tmp_path, FIRST.entries)
    assert row_scores.of_folder(tmp_path, "field_f1").score == pytest.approx((1 + 2 / 3 + 0 + 1) / 4)
    assert row_scores.of_folder(tmp_path, "chrf") is None


def texts(sheet):
    """What stands in its rows."""
    return [["\n".join(line["text"] for line in cell["lines"]) for cell in row] for row in sheet["rows"]]


def test_fields_are_counted():
    assert held_out.mistakes_by_field(FIRST, FIELDS) == {"n": 1, "kind": 1}
    sections = held_out_tables.of_written([("A", "cdvft", FIRST), ("B", "lora", SECOND)], FIELDS, None)
    right, by_field = (texts(section["sheet"]) for section in sections if "sheet" in section)
    assert right[0][:3] == ["A", "2 of 4 (50.0\u00a0%)", "0.667"]  # (1 + 2/3 + 0 + 1) / 4
    assert ["kind", "1", "0"] in by_field


def test_incorrect_fields_are_marked(answer_plan):
    dataset = answer_plan().dataset
    rows = held_out.prompt_rows([FIRST, SECOND], np.array([1, 2]), dataset)
    assert [row["row"] for row in rows] == [1, 2]
    assert rows[0]["answers"] == [
        {"text": "n: 2", "correct": False, "wrong": ["kind"]},
        {"text": "n: 2\nkind: even", "correct": True, "wrong": []},
    ]
    (section,) = held_out_tables.of_written_rows({"rows": rows}, ["A", "B"], FIELDS)
    (*_, of_first, _), (*_, chat, of_second) = section["sheet"]["rows"]
    assert of_first["lines"] == [{"text": "n: 2"}, {"text": "kind:", "strong": True, "wrong": "missing"}]
    assert of_second["lines"][0] == {"text": "n: 4", "strong": True, "wrong": "wrong"}
    assert chat["lines"] == [{"text": "<b>chat", "wrong": "wrong"}]


def test_conversations_are_shown_as_transcripts(answer_plan):
    said = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}]
    prompt = prompt_of(said)
    chat = WrittenAnswers((FIRST.entries[0].model_copy(update={"prompt": prompt}),))
    (row,) = held_out.prompt_rows([chat], np.array([0]), answer_plan().dataset)
    assert row["prompt"] == "System: Be brief.\n\nUser: Why?"


@pytest.fixture(scope="module")
def run(trained, answer_plan, answer_rows):
    """A run that has learned a part of the task."""
    return trained(answer_plan("full", epochs=4.0, learning_rate=5e-3), answer_rows)


@pytest.mark.parametrize("kind", ["text", "answer"])
def test_missing_predictions_are_computed(kind, request, store, answered_here, monkeypatch):
    of = request.getfixturevalue
    run, rows = of("runs")("text", "cdvft") if kind == "text" else of("run"), of(f"{kind}_rows")
    folder = store.folder(run.record.id)
    kept, last = predictions.read_either(folder), len(rows.evaluation) - 1
    (folder / (predictions.FILE if kind == "text" else predictions.ANSWERS_FILE)).unlink()
    monkeypatch.setattr(held_out, "load_rows", lambda entry, **asked: rows)
    asked = answered_here(run)
    with pytest.raises(ResultsError, match=answering.NOT_SAVED):
        asked.rows([run.record.id], "all", None, 0)
    assert asked.evaluate(run.record.id, [run.record.id]) == last + 1
    again = predictions.read_either(folder)
    if kind == "text":
        assert again.rows.tolist() == [*range(last + 1)]
        np.testing.assert_allclose(again.outputs, kept.outputs, rtol=0, atol=1e-5)
    else:
        assert again == kept and kept.correct.mean() == pytest.approx(run.record.metric)
    found = asked.rows([run.record.id], "all", None, last - 1)
    assert (found["count"], [row["row"] for row in found["rows"]]) == (last + 1, [last - 1, last])
    assert found["rows"][0]["given" if kind == "text" else "prompt"] == rows.evaluation.inputs[last - 1]
