"""A training process does not fetch the memory of every step anew."""

from __future__ import annotations

import sys

import pytest
from forked import Forked

from cdvft_app.training.loop import keep_freed_memory


def print_pages_of_a_second_step(keep):
    """Whether freed memory is kept, and how many new pages the step touches."""
    import resource

    import torch

    def step():
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        torch.ones(25_000_000)
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    kept = keep and keep_freed_memory()
    step()
    print(kept, step())


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux: glibc is asked")
def test_a_second_step_touches_no_new_pages(tmp_path):
    def second_step(keep):
        code, printed, errors = Forked(tmp_path, print_pages_of_a_second_step, keep).end()
        assert code == 0, errors
        kept, pages = printed.split()
        return kept, int(pages)

    assert second_step(False)[1] > 20_000, "100 MB are 24,414 pages"
    kept, pages = second_step(True)
    assert (kept, pages < 100) == ("True", True)
