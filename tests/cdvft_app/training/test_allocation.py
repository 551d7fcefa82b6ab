"""A training process does not fetch the memory of every step anew."""

from __future__ import annotations

import subprocess
import sys

import pytest

PAGES_TOUCHED = """
import resource, sys
import torch
from cdvft_app.training.loop import keep_freed_memory

kept = sys.argv[1] == "kept" and keep_freed_memory()

def step():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(25_000_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

step()
print(kept, step())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux: glibc is asked")
def test_a_second_step_touches_no_new_pages():
    def second_step(how):
        command = [sys.executable, "-c", PAGES_TOUCHED, how]
        kept, pages = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        return kept, int(pages)

    assert second_step("given back")[1] > 20_000, "100 MB are 24,414 pages"
    kept, pages = second_step("kept")
    assert (kept, pages < 100) == ("True", True)
