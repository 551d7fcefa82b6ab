"""One set of runs, shown by every reader of the judge: the verdict is the same everywhere."""

from __future__ import annotations

from types import SimpleNamespace

from finished_races import race

from cdvft_app.judging import verdict_text
from cdvft_app.judging.outcomes import judged_race
from cdvft_app.store import predictions
from cdvft_app.ui.compare.outcomes import outcomes
from cdvft_app.ui.train.run_view import verdict
from cdvft_app.ui.use import held_out_tables

RIGHT = {"cdvft": 900, "lora": 840, "fourierft": 896}  # of which the first 840 are easy for all


def in_compare(store):
    return outcomes(SimpleNamespace(store=store), {})["sentences"]["parameters"][1:]


def test_every_reader_gives_the_same_verdict(store):
    ids = race(store, **RIGHT)
    judged = judged_race(store.group(store.get(ids[0]).group_id), store)
    verdicts = list(judged.comparison_set.between.values())
    assert [one.word for one in verdicts] == ["ahead", "not shown", "behind"]
    shown = [verdict_text.result(one) for one in verdicts]
    on_train = verdict(store, {"runs": ids})
    assert on_train["leaders"] == [ids[0], ids[2]]
    *on_train_sentences, advice = on_train["sentences"]
    assert judged.advised.label in advice
    assert in_compare(store) == on_train_sentences
    assert on_train_sentences[0] == shown[0]
    assert on_train_sentences[1].startswith(shown[1])
    kept = [(name, name, predictions.read(store.folder(one))) for name, one in zip(RIGHT, ids, strict=True)]
    in_use = held_out_tables.judged(kept[:2], judged.between(ids[0], ids[1]))
    told = [said["text"] for section in in_use for said in section.get("said", [])]
    assert told[:2] == ["Only cdvft is correct on 60 of 1,000 examples, only lora on 0.", shown[0]]
    assert [verdict_text.result(one) for one in judged.about(ids[0])] == shown[:2], "on the model card"
    assert verdict_text.result(judged.between(ids[1], ids[0])).startswith("LoRA r\u00a0=\u00a08 scores ")
