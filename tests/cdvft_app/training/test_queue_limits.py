"""How many runs may wait, and whose."""

import pytest
from queued_runs import RUN, FakeTrainer

from cdvft_app.executors.queue import QueueFull
from cdvft_app.store.processes import this_process


def test_a_sweep_has_a_limit_of_its_own_and_lets_races_go_first(store, queue, monkeypatch):
    monkeypatch.setenv("CDVFT_MAX_QUEUED_PER_OWNER", "2")
    monkeypatch.setenv("CDVFT_MAX_SWEEP_RUNS", "4")
    jobs = queue(FakeTrainer(), start=False)
    swept = jobs.submit([RUN] * 4, "a", sweep=True)
    raced = jobs.submit([RUN] * 2, "a")
    with pytest.raises(QueueFull, match=r"4 runs of sweeps are waiting and at most 4 may; 1 more do"):
        jobs.submit([RUN], "b", sweep=True)
    assert [store.queue_place(run) for run in (*raced, *swept)] == [1, 2, 3, 4, 5, 6]
    assert [store.leases.next(this_process()).id for _ in range(3)] == [*raced, swept[0]]
    jobs.stop(swept[3], "a")
    with pytest.raises(QueueFull, match=r"2 runs of sweeps are waiting and at most 4 may; 3 more do"):
        jobs.submit([RUN] * 3, "b", sweep=True)
    jobs.resume(swept[3], "a")
    assert store.queued(sweep=True) == 3 and store.queued("a") == 3
