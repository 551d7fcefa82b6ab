"""The order in which a public server takes what several visitors have waiting."""

from cdvft_app.settings import RunSettings
from cdvft_app.store.processes import this_process

RUN = RunSettings(method="lora")


def queue(store, visitor, count=1, sweep=False):
    return [run.id for run in store.create([RUN] * count, "t", visitor=visitor, sweep=sweep)]


def take(store):
    """The visitor whose run is taken next; the run is over at once."""
    run = store.leases.next(this_process())
    if run is None:
        return None
    store.set_state(run.id, "stopped")
    return run.visitor


def test_visitors_take_turns_however_many_runs_one_has(store):
    queue(store, "ada", 4)
    queue(store, "bob", 2)
    queue(store, "cy", 1)
    assert [take(store) for _ in range(8)] == ["ada", "bob", "cy", "ada", "bob", "ada", "ada", None]
