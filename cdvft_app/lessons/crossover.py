"""From which length on the FFT multiplies by a circulant faster than the matrix does, measured here."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import torch

from cdvft.circulant import circulant, circulant_matmul
from cdvft_app.payloads.learn import Crossover

LENGTHS = (16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
TOKENS = 16
SECONDS = 0.08
"""Time for each way and length; the smallest of the repeated times counts, as others only add noise."""


def measured(lengths: tuple[int, ...] = LENGTHS, seconds: float = SECONDS) -> Crossover:
    """Return microseconds a vector of x circ(c)^T with 16 vectors x at once, as a dense product and by FFT.

    The dense circulant is built beforehand and not timed; the FFT of c is timed, as in a forward pass.
    """
    dense, fft = [], []
    generator = torch.Generator().manual_seed(0)
    for d in lengths:
        x = torch.randn(TOKENS, d, generator=generator)
        c = torch.randn(d, generator=generator)
        transposed = circulant(c).T
        with torch.inference_mode():
            dense.append(_microseconds(partial(torch.matmul, x, transposed), seconds))
            fft.append(_microseconds(partial(circulant_matmul, x, c), seconds))
    return {"lengths": list(lengths), "dense": dense, "fft": fft, "sentence": sentence(lengths, dense, fft)}


def sentence(lengths: tuple[int, ...], dense: list[float], fft: list[float]) -> str:
    """A sentence on where the FFT starts to win for good, and on how much it wins or loses at the ends."""
    behind = [d for d, by_matrix, by_fft in zip(lengths, dense, fft, strict=True) if by_fft >= by_matrix]
    threads = torch.get_num_threads()
    on = f"CPU with {threads} thread{'s' if threads > 1 else ''}"
    where = f"On this server, {on}, {TOKENS} vectors at a time: "
    longer, shorter = ("dense product", "FFT") if dense[-1] > fft[-1] else ("FFT", "dense product")
    ratio = max(dense[-1], fft[-1]) / min(dense[-1], fft[-1])
    times = f"{ratio:.2g}" if ratio < 10 else f"{ratio:,.0f}"
    last = f"At d = {lengths[-1]:,} the {longer} takes {times} times as long as the {shorter}."
    if not behind:
        return f"{where}the FFT wins at every length measured. {last}"
    if behind[-1] == lengths[-1]:
        return f"{where}the dense product wins even at d = {lengths[-1]:,}. {last}"
    after = lengths[lengths.index(behind[-1]) + 1]
    return f"{where}the FFT wins from between d = {behind[-1]:,} and {after:,} on, not from the start. {last}"


def _microseconds(call: Callable[[], object], seconds: float) -> float:
    """Least time of one call divided by the vectors, over as many calls as fit, at least three."""
    times: list[float] = []
    deadline = time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < deadline:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times) * 1e6 / TOKENS
