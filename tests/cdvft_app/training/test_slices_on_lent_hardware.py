"""Hardware that is lent for a slice: how long it is asked for, and what becomes of a run that gets none."""

from dataclasses import replace

import pytest
from queued_runs import LONG, RUN, begin, drive, drive_to_the_end, steps
from waiting import wait

from cdvft_app.store.processes import this_process
from cdvft_app.store.states import FINAL
from cdvft_app.training.slices import NotLent, Slices


def refusing(*errors):
    """`lend` that raises one of the errors a slice, after it has begun, and then lends."""
    left, orders = list(errors), []

    def lend(train):
        def called(order):
            orders.append(order)
            for number, news in enumerate(train(order)):
                if left and number:
                    raise left.pop(0)
                yield news

        return called

    return lend, orders


def test_slices_keep_a_resumed_run_when_its_old_one_ends(store):
    (made,) = store.create([RUN], "a")
    slices = Slices()
    old = slices.start(store, store.leases.acquire(made.id, this_process()))
    store.set_state(made.id, "interrupted")
    slices.start(store, store.leases.acquire(made.id, this_process()))
    old.stop()  # its supervisor looks only after the run was resumed
    assert slices.due([made.id]) == made.id


def test_slices_pause_a_run_without_hardware(store, start_slices):
    lend, _ = refusing(NotLent("The day's time is used up."))
    slices, queue, run_id, _ = begin(start_slices, lend=lend)
    run = wait(store, run_id, *FINAL)
    assert (run.state, run.reason) == ("interrupted", "The day's time is used up.")
    queue.resume(run_id, "a")
    drive_to_the_end(slices, store, run_id)
    assert store.state(run_id) == "finished" and steps(store, run_id) == [*range(1, 41)]


def test_slices_ask_twice_as_long_once(store, start_slices):
    lend, orders = refusing(NotLent("Taken away.", again=True), NotLent("Taken away.", again=True))
    slices, _, run_id, _ = begin(start_slices, lend=lend)
    assert store.state(run_id) == "running"
    drive(slices, run_id)
    assert wait(store, run_id, *FINAL).state == "interrupted"
    first, second = (order.asked_seconds for order in orders)
    assert second > 1.7 * first


def test_slices_ask_for_what_a_run_needs(store, start_slices):
    slices, _ = start_slices("slowly")
    (run,) = store.create([RUN], "a")
    unknown = slices.order(run)
    assert unknown.seconds == 15 and 40 <= unknown.asked_seconds <= 45
    soon = replace(run, step=35, total_steps=40, seconds=35.0)
    assert slices.order(soon).seconds == pytest.approx(1.3 * 5 + 1)
    forecast = {"seconds": {"high": 4.0}, "evaluating": {"times": 2, "seconds": 1.0, "last_seconds": 7.0}}
    promised = slices.order(replace(run, forecast=forecast))
    assert promised.seconds == pytest.approx(1.3 * 4 + 1)
    assert promised.asked_seconds > promised.seconds + 8
    assert slices.order(run, 2.0).asked_seconds > 1.8 * unknown.asked_seconds
    shorter = slices.order(run, most=35)
    assert shorter.seconds < 15 and shorter.asked_seconds <= 35


def test_slices_use_what_is_left_of_a_day(store, start_slices):
    lend, orders = refusing(NotLent("30 s are left.", left=30), NotLent("4 s are left.", left=4))
    slices, _, run_id, _ = begin(start_slices, asked=LONG, seconds=15, lend=lend)
    assert store.state(run_id) == "running"
    drive(slices, run_id)
    assert wait(store, run_id, *FINAL).reason == "4 s are left."
    assert [order.asked_seconds <= 30 for order in orders] == [False, True]
    assert 5 <= orders[1].seconds < 15
