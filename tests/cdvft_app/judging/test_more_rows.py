"""Whether more rows would help: which runs are asked for, and what the judge says of them."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from finished_races import STEPS, TRAINED, finish, race, settings

from cdvft_app.format import plain
from cdvft_app.judging.more_rows import is_there, on_fewer_rows, whole_and_fewer
from cdvft_app.settings import InvalidChoice
from cdvft_app.store.records import RunRecord
from cdvft_app.store.runs import RunStore
from cdvft_app.ui.train.run_view import verdict


def trained_on_fewer(store: RunStore, run_id: str, *right: int) -> None:
    run = found_run(store, run_id)
    for one, count in zip(on_fewer_rows(run), right, strict=True):
        assert one.train_examples
        finish(store, store.add_to_group(run_id, one).id, count, one.train_examples)


def found_run(store: RunStore, run_id: str) -> RunRecord:
    run = store.get(run_id)
    assert run
    return run


def said(store: RunStore, ids: list[str]) -> str:
    found: str = verdict(store, {"runs": ids})["sentences"][-1]
    return plain(found)


def test_what_differs_is_how_many_rows(store: RunStore) -> None:
    (run_id,) = race(store, cdvft=900)
    run = found_run(store, run_id)
    third, two_thirds = on_fewer_rows(run)
    assert (third.train_examples, two_thirds.train_examples) == (300, 600)
    for one in (third, two_thirds):
        assert one.max_steps == STEPS, "they have the steps of the whole one"
        back = one.model_copy(update={"train_examples": TRAINED, "max_steps": None})
        assert back == run.settings


def test_what_has_not_finished_or_has_few_rows_is_not_asked(store: RunStore) -> None:
    (waiting,) = store.create([settings("cdvft")], None)
    with pytest.raises(InvalidChoice, match="has finished"):
        on_fewer_rows(waiting)
    (validated,) = store.create([settings("cdvft", evaluate_on="validation")], None)
    finish(store, validated.id, 900)
    unmeasured = replace(found_run(store, *race(store, cdvft=900)), total_steps=0)
    for one in (found_run(store, validated.id), unmeasured):
        with pytest.raises(InvalidChoice, match="scored on evaluation rows"):
            on_fewer_rows(one)
    small, just_enough = (store.create([settings("cdvft", max_steps=STEPS)], None)[0] for _ in "ab")
    finish(store, small.id, 900, trained=20)
    with pytest.raises(InvalidChoice, match="on 20 rows; it takes 24 or more"):
        on_fewer_rows(found_run(store, small.id))
    finish(store, just_enough.id, 900, trained=24)
    fewer = on_fewer_rows(found_run(store, just_enough.id))
    assert [one.train_examples for one in fewer] == [8, 16]


@pytest.mark.parametrize(
    ("third", "two_thirds", "sentence"),
    [  # On all rows 900 of 1,000 are right. LoRA has 840, CDVFT is 6 points ahead of it.
        (700, 780, "would probably help most: CDVFT trained on all 900 is ahead of itself on 600 by 12.0"),
        (700, 870, "would probably help: CDVFT trained on all 900 is ahead of itself on 600 by 3.0 points"),
        (800, 899, "may help: CDVFT trained on all 900 is ahead of itself on 300 by 10.0 points"),
        (900, 900, "would probably help little: CDVFT trained on 300 of 900 is as good within 1 point"),
    ],
)
def test_one_sentence_at_the_end_says_whether_more_rows_would_help(
    store: RunStore, third: int, two_thirds: int, sentence: str
) -> None:
    ids = race(store, cdvft=900, lora=840)
    before = verdict(store, {"runs": ids})
    trained_on_fewer(store, ids[0], third, two_thirds)
    after = verdict(store, {"runs": ids})
    assert after["sentences"][:-1] == before["sentences"], "the race itself is judged as before"
    assert after["leaders"] == before["leaders"]
    assert after["sentences"][-1].startswith(f"More rows {sentence}")


def test_a_few_points_less_have_the_interval_of_as_many_more(store: RunStore) -> None:
    sentences = []
    for third in (895, 905):  # five rows more, or fewer, of 1,000 are right when trained on all
        ids = race(store, cdvft=900)
        trained_on_fewer(store, ids[0], third, 899)
        sentences.append(said(store, ids))
    more, less = sentences
    assert more.startswith(
        "It is not shown that more rows would help: CDVFT has 0.5 points more trained on all 900"
    )
    assert more.replace(" more trained", " less trained") == less
    low, high = (float(one.replace("\u2212", "-")) for one in re.findall(r"\((\S+) to (\S+)\)", less)[0])
    assert low < 0.5 < high


def test_methods_that_differ_by_more_are_named_as_that(store: RunStore) -> None:
    ids = race(store, cdvft=900, lora=840)
    trained_on_fewer(store, ids[0], 700, 870)
    assert said(store, ids).endswith(", less than one method of another; of one seed.")


def test_the_last_third_brings_most_where_no_method_is_ahead(store: RunStore) -> None:
    ids = race(store, cdvft=900, lora=899)
    second = found_run(store, ids[1])
    third, two_thirds = on_fewer_rows(second)
    for fewer, right in ((two_thirds, 870), (third, 700)):  # whichever ends first
        assert fewer.train_examples
        finish(store, store.add_to_group(second.id, fewer).id, right, fewer.train_examples)
    assert said(store, ids).startswith(
        "More rows would probably help most: LoRA r = 8 trained on all 900 is ahead of itself on 600 by 2.9"
    )


def test_a_run_without_rivals_is_asked_too(store: RunStore) -> None:
    ids = race(store, cdvft=900)
    assert verdict(store, {"runs": ids})["sentences"] == []
    trained_on_fewer(store, ids[0], 700, 780)
    (only,) = verdict(store, {"runs": ids})["sentences"]
    start = "More rows would probably help: CDVFT trained on all 900 is ahead of itself on 600 by 12.0"
    assert only.startswith(start)
    assert only.endswith("; of one seed.") and "method" not in only


def test_nothing_is_said_before_both_have_finished(store: RunStore) -> None:
    ids = race(store, cdvft=900, lora=840)
    before = verdict(store, {"runs": ids})
    run = found_run(store, ids[0])
    third, two_thirds = on_fewer_rows(run)
    finish(store, store.add_to_group(ids[0], third).id, 700, 300)
    failed = store.add_to_group(ids[0], two_thirds)
    assert is_there(two_thirds, whole_and_fewer(store.group(run.group_id))[1])
    assert verdict(store, {"runs": ids}) == before
    store.set_state(failed.id, "stopped")
    assert verdict(store, {"runs": ids}) == before
    _, fewer = whole_and_fewer(store.group(run.group_id))
    assert [is_there(one, fewer) for one in (third, two_thirds)] == [True, False], "it may be asked again"


def test_its_label_says_on_how_many_rows_it_was_trained(store: RunStore) -> None:
    ids = race(store, cdvft=900, lora=840)
    trained_on_fewer(store, ids[0], 700, 780)
    run = found_run(store, ids[0])
    labels = [store.label_of(one) for one in store.group(run.group_id)]
    told = ["CDVFT", "LoRA r = 8", "CDVFT, 300 rows", "CDVFT, 600 rows"]
    assert [plain(label) for label in labels] == told
