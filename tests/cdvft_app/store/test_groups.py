"""Groups of runs: races and sweeps, the latest first, and whose they are."""

from cdvft_app.settings import RunSettings
from cdvft_app.store.runs import RunStore

RUN = RunSettings(method="cdvft")


def test_groups_come_latest_first_and_can_be_told_apart(tmp_path):
    store = RunStore(tmp_path)
    race = [run.id for run in store.create([RUN, RUN], "a")]
    sweep = [run.id for run in store.create([RUN] * 3, "b", "Sweep", sweep=True)]
    found = [[run.id for run in group] for group in store.groups(10)]
    assert found == [sweep, race]
    assert [len(group) for group in store.groups(1)] == [3]
    assert [group[0].sweep for group in store.groups(10, sweeps=True)] == [True]
    assert [group[0].sweep for group in store.groups(10, sweeps=False)] == [False]
    assert [group[0].id for group in store.groups(10, "a")] == [race[0]]
    assert store.groups(10, "a", sweeps=True) == []


def test_a_run_joins_a_group(tmp_path):
    store = RunStore(tmp_path)
    (first,) = store.create([RUN], None, sweep=True)
    (second,) = store.create([RUN], None, sweep=True, group_id=first.group_id)
    assert [run.id for run in store.group(first.group_id)] == [first.id, second.id]
