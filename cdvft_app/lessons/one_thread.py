"""Work on matrices so small that a second thread only slows it down."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

import torch
from threadpoolctl import ThreadpoolController

Item = TypeVar("Item")


def on_one_thread(work: Iterator[Item]) -> Iterator[Item]:
    """The items of `work`, each computed on one thread of OpenMP, whichever thread asks for it.

    OpenMP keeps the number for each thread that calls it, so a training beside this one keeps its own;
    torch.set_num_threads would change that of new ones as well.
    """
    pools, end = ThreadpoolController(), object()
    while True:
        torch.get_num_threads()  # a thread's first call of torch sets its number, which must not come later
        with pools.limit(limits=1, user_api="openmp"):
            item = next(work, end)
        if item is end:
            return
        yield item  # type: ignore[misc]
