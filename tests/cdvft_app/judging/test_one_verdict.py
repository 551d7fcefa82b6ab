"""One set of runs, shown by every reader of the judge: the verdict is the same everywhere."""

from __future__ import annotations

from pathlib import Path

from finished_races import finish

from cdvft_app.judging import verdict_text
from cdvft_app.judging.outcomes import judged_race
from cdvft_app.settings import RunSettings
from cdvft_app.store import predictions
from cdvft_app.store.runs import RunStore
from cdvft_app.sweep import results
from cdvft_app.ui.compare.outcomes import outcomes
from cdvft_app.ui.train.run_view import verdict
from cdvft_app.ui.use import held_out_tables

RIGHT = {"cdvft": 900, "lora": 840, "fourierft": 896}


class App:
    def __init__(self, store: RunStore) -> None:
        self.store = store


def finished_race(folder: Path, *, sweep: bool) -> tuple[RunStore, list[str]]:
    """Three methods on the same rows; the first 840 rows are easy for all of them."""
    store = RunStore(folder)
    settings = [
        RunSettings(recipe="mnist", method=method, model="vit", dataset="mnist", batch_size=32)
        for method in RIGHT
    ]
    runs = store.create(settings, None, "A race", sweep=sweep)
    for run, right in zip(runs, RIGHT.values(), strict=True):
        finish(store, run.id, right)
    return store, [run.id for run in runs]


def test_every_reader_gives_the_same_verdict(tmp_path):
    store, ids = finished_race(tmp_path, sweep=False)
    race = judged_race(store.group(store.get(ids[0]).group_id), store)
    verdicts = list(race.comparison_set.between.values())
    assert [one.word for one in verdicts] == ["ahead", "not shown", "behind"]
    shown = [verdict_text.result(one) for one in verdicts]
    on_train = verdict(store, {"runs": ids})
    assert on_train["leaders"] == [ids[0], ids[2]]
    *on_train_sentences, advice = on_train["sentences"]
    assert advice.startswith("Take CDVFT")
    assert outcomes(App(store), {})["sentences"]["parameters"][1:] == on_train_sentences
    assert on_train_sentences[0] == shown[0]
    assert on_train_sentences[1].startswith(shown[1])
    kept = [(name, name, predictions.read(store.folder(one))) for name, one in zip(RIGHT, ids, strict=True)]
    in_use = held_out_tables.judged(kept[:2], race.between(ids[0], ids[1]))
    told = [said["text"] for section in in_use for said in section.get("said", [])]
    assert told[:2] == ["cdvft alone is right on 60 of 1,000 rows, lora alone on 0.", shown[0]]
    assert [verdict_text.result(one) for one in race.about(ids[0])] == shown[:2], "on the model card"
    assert verdict_text.result(race.between(ids[1], ids[0])).startswith(
        "LoRA r\u00a0=\u00a08 is behind CDVFT m\u00a0=\u00a02"
    )


def test_a_sweep_of_the_same_runs_says_the_same_in_its_own_view_and_among_the_results(tmp_path):
    store, ids = finished_race(tmp_path, sweep=True)
    shown = results.results([store.get(one) for one in ids], store)["sentences"]
    compared = outcomes(App(store), {})["sentences"]["parameters"][1:]
    rate = ", learning\u00a0rate\u00a0×\u00a01"  # which a sweep names in every setting
    assert rate in shown[0]
    assert [sentence.replace(rate, "") for sentence in shown] == compared


def test_a_run_that_is_deleted_changes_no_verdict_of_the_others(tmp_path):
    store, ids = finished_race(tmp_path, sweep=False)
    before = verdict(store, {"runs": ids})["sentences"]
    assert store.get(ids[0]).family == 3
    store.remove(ids[2])
    after = verdict(store, {"runs": ids[:2]})["sentences"]
    assert after[0] == before[0]
    assert "3 pairs are corrected together" in after[1]


def test_the_recorded_race_is_paired_and_says_the_same_on_train_and_in_compare(tmp_path):
    store = RunStore(tmp_path)
    recorded = store.recorded()
    between = judged_race(recorded, store).comparison_set.between.values()
    assert {one.word for one in between} == {"not shown"}
    assert all(one.paired and one.rows == 1024 for one in between)
    *on_train, advice = verdict(store, {"runs": [run.id for run in recorded]})["sentences"]
    assert advice.startswith("Take FourierFT")
    assert outcomes(App(RunStore(tmp_path)), {})["sentences"]["parameters"][1:] == on_train
    assert verdict(store, {"runs": ["no such run"]})["sentences"] == []
    assert verdict(store, {"runs": []})["sentences"] == []
