"""Items made in a child: they arrive, errors do, and no child is left behind."""

import os
import signal
import sys

import psutil
import pytest
from waiting import wait_for

from cdvft_app.training.children import ChildEnded, stream

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")


def counted(most, first=0):
    yield os.getpid()
    yield from range(first, most)


def refused():
    yield "first"
    raise ValueError("a matrix is square")


def killed():
    yield "first"
    os.kill(os.getpid(), signal.SIGKILL)


def silent():
    yield os.getpid()
    signal.pause()


def gone(pid):
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_items_come_from_another_process():
    pid, *numbers = stream(counted, 5, 2)
    assert numbers == [2, 3, 4] and pid != os.getpid()
    wait_for(lambda: gone(pid))


@pytest.mark.parametrize(
    ("work", "error", "said"),
    [(refused, ValueError, "a matrix is square"), (killed, ChildEnded, "most likely because memory ran out")],
)
def test_how_the_work_failed_is_raised_here(work, error, said):
    items = stream(work)
    assert next(items) == "first"
    with pytest.raises(error, match=said):
        next(items)
