"""One at a time: the others get a sentence, and a turn ends however its work does."""

import pytest

from cdvft_app.errors import TooManyRequests
from cdvft_app.inspection.lock import TimedLock


def test_the_second_is_told_and_the_next_may():
    lock = TimedLock("Somebody else is measuring.")
    with lock.held(0.0), pytest.raises(TooManyRequests, match="Somebody else is measuring"), lock.held(0.01):
        pytest.fail("two at a time")
    with lock.held(0.0):
        pass


def test_a_turn_ends_when_its_work_fails_or_is_dropped():
    lock = TimedLock("busy")
    with pytest.raises(ZeroDivisionError), lock.held(0.0):
        1 / 0  # noqa: B018 (any error)

    def work():
        with lock.held(0.0):
            yield 1
            yield 2

    started = work()
    next(started)
    started.close()
    with lock.held(0.0):
        pass
