"""Small work runs on one thread, in every thread that asks for it, and leaves others' numbers alone."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from cdvft_app.lessons.one_thread import on_one_thread


@pytest.fixture(autouse=True)
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def test_one_thread_while_it_works_and_as_many_as_before_between():
    work = on_one_thread(torch.get_num_threads() for _ in range(3))
    assert (next(work), torch.get_num_threads()) == (1, 3)
    with ThreadPoolExecutor(1) as other:
        assert other.submit(lambda: (next(work), torch.get_num_threads())).result() == (1, 3)
    assert list(work) == [1]


def test_another_thread_keeps_its_number_meanwhile():
    with ThreadPoolExecutor(1) as other:
        work = on_one_thread(other.submit(torch.get_num_threads).result() for _ in range(1))
        assert list(work) == [3]


def test_an_error_ends_it_and_gives_the_threads_back():
    def fails():
        yield torch.get_num_threads()
        raise ValueError("a matrix that cannot be fitted")

    work = on_one_thread(fails())
    assert next(work) == 1
    with pytest.raises(ValueError, match="cannot be fitted"):
        next(work)
    assert torch.get_num_threads() == 3
