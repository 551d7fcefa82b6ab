"""Which state may follow which, as the lives of runs tell it; and what a change of state writes."""


def lead(store, run_id, *steps):
    for state in steps:
        store.set_state(run_id, state)
    return store.get(run_id)


def test_a_run_that_ends_keeps_when_and_why_until_it_waits_or_goes_on_again(store, run_id):
    store.set_state(run_id, "preparing", process="1:2")
    begun = store.get(run_id)
    assert begun.process == "1:2" and begun.created <= begun.started and begun.ended is None
    store.set_state(run_id, "failed", "The disk is full.")
    ended = store.get(run_id)
    assert ended.reason == "The disk is full." and ended.started == begun.started <= ended.ended
    again = lead(store, run_id, "queued")
    assert (again.ended, again.reason, again.process, again.started) == (None, None, None, ended.started)
    store.set_state(run_id, "preparing", process="3:4")
    taken = store.get(run_id)
    assert taken.process == "3:4" and taken.ended is None and taken.started >= ended.ended
    store.set_state(run_id, "interrupted")
    store.set_state(run_id, "preparing", process="5:6")  # a terminal does not queue it
    taken = store.get(run_id)
    assert (taken.ended, taken.reason, taken.process) == (None, None, "5:6")
