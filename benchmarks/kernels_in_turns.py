"""Compare the C kernel of this checkout with another checkout's, in turns, at the shapes of `make bench`.

    python -m benchmarks.kernels_in_turns OTHER [--threads 1 2] [--rounds 7] [--only 'p = 16']

OTHER is the folder of the other checkout, of any commit whose `cdvft.kernels.native` has today's functions.
Each has a process of its own, which waits while the other calculates, and who is first changes every round.
One thread is timed by the process's own processor time, several by the clock, for which nothing else may run.
Prints, for transforms forward and backward, this kernel's time over the other's: of the shortest times, and
the median of the rounds with its quartiles.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parents[1]
AS_LONG = 4_000_000
"""Entries of an input that are transformed between two readings of the clock, at least one call's."""


class Process:
    """A process that times one checkout's kernel on request."""

    def __init__(self, checkout: Path, threads: int) -> None:
        command = [sys.executable, __file__, "--answer", str(checkout), "--threads", str(threads)]
        pipe = subprocess.PIPE
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment)

    def time(self, case: dict[str, Any]) -> list[float]:
        """Seconds of a call forward and of one backward."""
        assert self._process.stdin is not None and self._process.stdout is not None
        print(json.dumps(case), file=self._process.stdin, flush=True)
        return json.loads(self._process.stdout.readline())

    def end(self) -> None:
        self._process.communicate()


def answer(checkout: str, threads: int) -> None:
    """Times on request until there is none, with the library of a checkout."""
    sys.path[0] = checkout
    import torch

    from cdvft.blocks import partitions
    from cdvft.circulant import Factors
    from cdvft.kernels import native

    torch.set_num_threads(threads)
    clock = time.process_time if threads == 1 else time.perf_counter

    def seconds(run: Callable[[], object], calls: int) -> float:
        run()
        start = clock()
        for _ in range(calls):
            run()
        return (clock() - start) / calls

    for line in sys.stdin:
        case = json.loads(line)
        d_out, d_in, tokens, m = (case[name] for name in ("d_out", "d_in", "tokens", "m"))
        torch.manual_seed(0)
        diagonals = [torch.randn(d_in), *(torch.randn(d_out) for _ in range(m - 1))]
        parts = partitions(d_out, d_in, m, case["block_size"])
        factors = Factors(diagonals, [torch.randn(part.q1, part.q2, part.p) for part in parts], 0.5)
        x, grad = torch.randn(tokens, d_in), torch.randn(tokens, d_out)
        y, grad_x = torch.zeros(tokens, d_out), torch.zeros(tokens, d_in)
        calls = max(1, AS_LONG // (max(d_in, d_out) * tokens))
        forward = seconds(lambda: native.forward_(y, x, factors), calls)  # noqa: B023
        backward = seconds(lambda: native.backward(x, grad, factors, grad_x), calls)  # noqa: B023
        print(json.dumps([forward, backward]), flush=True)


def compare(other: Path, threads: int, rounds: int, only: str) -> None:
    from benchmarks.layers import FULL
    from benchmarks.tables import table

    names = ("this", "other")
    processes = dict(zip(names, (Process(HERE, threads), Process(other, threads)), strict=True))
    rows = []
    for case in FULL:
        if only not in case.title:
            continue
        found: dict[str, list[list[float]]] = {name: [] for name in names}
        for n in range(rounds):
            for name in names if n % 2 else names[::-1]:
                found[name].append(processes[name].time(case.record()))
        row = [case.title, f"{case.tokens:,}"]
        for place in (0, 1):
            mine, theirs = ([times[place] for times in found[name]] for name in names)
            ratios = [a / b for a, b in zip(mine, theirs, strict=True)]
            low, middle, high = statistics.quantiles(ratios, n=4)
            row += [f"{1e3 * min(theirs):.2f}", f"{min(mine) / min(theirs):.2f}"]
            row += [f"{middle:.2f} [{low:.2f}, {high:.2f}]"]
        rows.append(row)
        print(threads, "threads:", *row, flush=True)
    for process in processes.values():
        process.end()
    head = ["layer", "tokens"]
    for way in ("forward", "backward"):
        head += [f"{way}, other, ms", "this / other, shortest", "median"]
    print("\n".join(["", f"{threads} threads, load {os.getloadavg()[0]:.1f}", "", *table(head, rows)]))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("other", type=Path, nargs="?", help="folder of the other checkout")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default="", help="shapes whose title contains this")
    parser.add_argument("--answer", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.answer:
        answer(arguments.answer, *arguments.threads)
        return
    if arguments.other is None or not (arguments.other / "cdvft").is_dir():
        parser.error("Name the folder of another checkout, which has a folder cdvft.")
    for threads in arguments.threads:
        compare(arguments.other.resolve(), threads, arguments.rounds, arguments.only)


if __name__ == "__main__":
    main()
