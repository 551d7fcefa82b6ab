"""One at a time: the others get a sentence, and a turn ends however its work does."""

import pytest

from cdvft_app.inspection.turns import Busy, Turn


def test_the_second_is_told_and_the_next_may():
    turn = Turn("Somebody else is measuring.")
    with turn.taken(0.0), pytest.raises(Busy, match="Somebody else is measuring"), turn.taken(0.01):
        pytest.fail("two at a time")
    with turn.taken(0.0):
        pass


def test_a_turn_ends_when_its_work_fails_or_is_dropped():
    turn = Turn("busy")
    with pytest.raises(ZeroDivisionError), turn.taken(0.0):
        1 / 0  # noqa: B018 (any error)

    def work():
        with turn.taken(0.0):
            yield 1
            yield 2

    started = work()
    next(started)
    started.close()
    with turn.taken(0.0):
        pass
