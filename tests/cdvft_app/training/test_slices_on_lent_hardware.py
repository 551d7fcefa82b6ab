"""Hardware that is lent for a slice: how long it is asked for, and what becomes of a run that gets none."""

from queued_runs import RUN, begin, drive_to_the_end, steps
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
