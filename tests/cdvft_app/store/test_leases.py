"""Who may write: the holder of the latest lease, as long as it lives."""

import time

import pytest
from clocks import set_clock
from stored_runs import CDVFT, STARTED, step

from cdvft_app.store import leases
from cdvft_app.store.processes import machine, this_process
from cdvft_app.store.records import LeaseLost
from cdvft_app.store.runs import RunStore

ELSEWHERE = "7:1.00@another-machine"
GONE = f"999999999:1.00@{machine()}"


@pytest.fixture
def clock(monkeypatch):
    """`clock(seconds)` lets so much time pass."""
    ahead = [0.0]
    set_clock(monkeypatch, [leases], time=lambda: time.time() + ahead[0])
    return lambda seconds: ahead.__setitem__(0, ahead[0] + seconds)


def test_each_lease_has_the_next_epoch_and_old_ones_cannot_write(store, run_id):
    first = store.leases.acquire(run_id, ELSEWHERE)
    assert (first.state, first.process, first.epoch) == ("preparing", ELSEWHERE, 1)
    store.append(run_id, STARTED, first.epoch)
    store.set_state(run_id, "interrupted", epoch=first.epoch)
    second = store.leases.acquire(run_id, this_process())
    assert second.epoch == 2
    for write in (
        lambda: store.append(run_id, step(1), first.epoch),
        lambda: store.set_state(run_id, "failed", epoch=first.epoch),
        lambda: store.leases.renew(run_id, first.epoch),
    ):
        with pytest.raises(LeaseLost, match="epoch 1"):
            write()
    store.append(run_id, step(1), second.epoch)
    assert (store.state(run_id), store.get(run_id).step) == ("preparing", 1)


def test_a_lease_of_another_machine_ends_unless_it_is_renewed(store, clock):
    silent, renewed = (run.id for run in store.create([CDVFT] * 2, None, process=ELSEWHERE))
    store.leases.join(silent, 1, "8:1.00@another-machine")  # a child of it may still train
    clock(leases.LEASE_SECONDS - 1)
    assert store.leases.expire() == []
    store.leases.renew(renewed, 1)
    clock(2)
    assert store.leases.expire() == [silent]
    assert store.get(silent).state == "interrupted" and "Resume" in store.get(silent).reason
    for epoch in (1, 2):  # the old one, and the one that nobody was given
        with pytest.raises(LeaseLost):
            store.append(silent, step(1), epoch)
    assert store.leases.acquire(silent, this_process()).epoch == 3
    assert store.state(renewed) == "preparing"


def test_a_child_that_lives_keeps_the_run_of_a_holder_that_is_gone(store):
    held, left = (store.create([CDVFT], None, process=GONE)[0] for _ in range(2))
    store.leases.join(held.id, held.epoch, this_process())
    store.leases.join(left.id, left.epoch, f"999999998:1.00@{machine()}")
    assert store.leases.expire() == [left.id]
    store.set_state(held.id, "interrupted", "The child saw it.", epoch=held.epoch)
    assert store.get(held.id).reason == "The child saw it."
    with pytest.raises(LeaseLost):
        store.leases.join(left.id, left.epoch, this_process())


@pytest.mark.parametrize(
    "shown",
    [
        lambda store, run: store.get(run.id),
        lambda store, run: store.history()[0],
        lambda store, run: store.group(run.group_id)[0],
        lambda store, run: store.groups(1)[0][0],
    ],
)
def test_a_run_whose_holder_is_gone_is_never_shown_as_alive(store, tmp_path, shown):
    (run,) = store.create([CDVFT], "secret", process=GONE)
    assert shown(RunStore(tmp_path), run).state == "interrupted"


def test_one_of_each_owner_at_a_time_trains_where_that_is_asked(store):
    first, second = store.create([CDVFT] * 2, "a")
    (other,) = store.create([CDVFT], "b")
    taken = [store.leases.next(this_process(), one_each=True) for _ in range(3)]
    assert [run and run.id for run in taken] == [first.id, other.id, None]
    assert store.leases.next(this_process()).id == second.id
