"""Who waits is patient for as long as the machine is slow, and no longer."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import waiting
from clocks import set_clock
from waiting import pace, wait_for


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """A clock of the test's own, which sleeping alone moves."""
    now = [0.0]
    set_clock(
        monkeypatch,
        [waiting],
        monotonic=lambda: now[0],
        sleep=lambda seconds: now.__setitem__(0, now[0] + seconds),
    )
    yield now
    waiting._measured.cache_clear()


@pytest.mark.parametrize(
    ("slower", "comes_at", "comes"), [(1, 8, True), (1, 30, False), (4, 30, True), (4, 50, False)]
)
def test_a_slower_machine_has_so_much_more_time(clock, monkeypatch, slower, comes_at, comes) -> None:
    monkeypatch.setattr(waiting, "pace", lambda: slower)
    if comes:
        assert wait_for(lambda: clock[0] >= comes_at, seconds=10)
    else:
        with pytest.raises(AssertionError, match=r"in vain: .*comes_at"):
            wait_for(lambda: clock[0] >= comes_at, seconds=10)
        assert 10 * slower <= clock[0] < 10 * slower + 1


def test_the_pace_is_what_work_takes_beside_an_idle_machine(clock, monkeypatch) -> None:
    waiting._measured.cache_clear()
    wanted = [0.0]
    monkeypatch.setattr(os, "getloadavg", lambda: (wanted[0], 0.0, 0.0), raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(waiting, "_work", lambda: waiting.time.sleep(6 * waiting.IDLE_SECONDS))
    assert pace() == pytest.approx(6)
    monkeypatch.setattr(waiting, "_work", lambda: waiting.time.sleep(waiting.IDLE_SECONDS / 3))
    assert pace() == pytest.approx(6), "measured a moment ago"
    clock[0] += 60
    assert pace() == 1
    clock[0] += 60
    wanted[0] = 16.0  # programs want the two cores
    assert pace() == 8
