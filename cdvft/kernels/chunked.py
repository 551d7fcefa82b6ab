"""The update with torch's own transforms, a few tokens at a time.

Any device, any block size, float32 or float64. Its time is that of memory accesses: 768-wide rows in chunks
that stay in the second-level cache take a quarter of the time that a whole batch takes at once.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from cdvft.circulant import Factors, block_spectrum

DEFAULT_CACHE_BYTES = 1 << 20
"""Assumed second-level cache of a core where the system does not report it, as outside Linux."""

ACCELERATOR_BYTES = 64 << 20
"""Working set off the CPU: enough to fill a GPU, little beside a model's activations."""

_spectra = WeakTensorKeyDictionary()  # circulant on the CPU -> (copy of its values, its spectrum)


def forward_(y: Tensor, x: Tensor, factors: Factors) -> None:
    """y += alpha dW x in place; x (tokens, d_in), y (tokens, d_out)."""
    spectra = [kept_spectrum(c) for c in factors.circulants]
    for rows in _chunks(x, factors):
        _, ys = _walk(x[rows], factors, spectra)
        y[rows] += ys[-1] * (factors.alpha * factors.diagonals[-1])


def backward(
    x: Tensor, grad: Tensor, factors: Factors, grad_x: Tensor | None
) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
    """Gradients by diagonals and circulants, given that by alpha dW x; adds that by x to `grad_x`, if given.

    With u = a y, y' = circ(c) u and g_v the gradient of the loss with respect to v, summing over tokens:
    g_a = sum g_u y, g_y = a g_u, g_c = IFFT(sum conj(FFT u) FFT g_y'), g_u = IFFT(conj(FFT c) FFT g_y').
    """
    diagonals, circulants, alpha = factors
    spectra = [kept_spectrum(c) for c in circulants]
    diagonal_sums = [torch.zeros_like(a) for a in diagonals]
    spectrum_sums = [torch.zeros_like(s) for s in spectra]
    for rows in _chunks(x, factors):
        us, ys = _walk(x[rows], factors, spectra)
        g = alpha * grad[rows].to(diagonals[0].dtype)
        diagonal_sums[-1] += torch.linalg.vecdot(g, ys.pop(), dim=0)
        for j in reversed(range(len(spectra))):
            h = block_spectrum(g * diagonals[j + 1], *circulants[j].shape[::2])
            spectrum_sums[j] += _correlate(us[j], h)
            back = torch.einsum("ijf,nif->njf", spectra[j].conj(), h)
            g = _inverse(back, circulants[j].shape[2], diagonals[j].numel())
            diagonal_sums[j] += torch.linalg.vecdot(g, ys[j], dim=0)
        if grad_x is not None:
            grad_x[rows] += g * diagonals[0]
    sums = zip(spectrum_sums, circulants, strict=True)
    return diagonal_sums, [torch.fft.irfft(s, n=c.shape[2]) for s, c in sums]


@torch.no_grad()
def kept_spectrum(c: Tensor) -> Tensor:
    """Return the half spectra FFT(c) of blocks (q1, q2, p): (q1, q2, p // 2 + 1), complex.

    On the CPU the last one is kept, with a copy of the values, and returned while the values are the same,
    so that every way of writing to them is noticed. Elsewhere it is computed at every call: to compare would
    wait for the device, and torch's version counters miss fused optimizers and writes through `.data`.
    """
    values = c.detach()
    if values.device.type != "cpu" or type(values) is not Tensor:  # fake tensors cannot be compared
        return torch.fft.rfft(values)
    kept = _spectra.get(c)
    if kept is None or kept[0].dtype != values.dtype or not torch.equal(values, kept[0]):
        kept = _spectra[c] = values.clone(), torch.fft.rfft(values)
    return kept[1]


def _walk(x: Tensor, factors: Factors, spectra: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """Spectra of u_j = a_j y_j, blockwise, and y_0 = x, y_{j+1} = C_j u_j."""
    us, ys = [], [x.to(factors.diagonals[0].dtype)]
    for j, (c, s) in enumerate(zip(factors.circulants, spectra, strict=True)):
        us.append(block_spectrum(ys[-1] * factors.diagonals[j], *c.shape[1:]))
        y = torch.einsum("ijf,njf->nif", s, us[-1])
        ys.append(_inverse(y, c.shape[2], factors.diagonals[j + 1].numel()))
    return us, ys


def _inverse(y: Tensor, p: int, size: int) -> Tensor:
    return torch.fft.irfft(y, n=p).flatten(-2)[:, :size]


def _correlate(u: Tensor, h: Tensor) -> Tensor:
    """sum over tokens of conj(FFT u_j) FFT h_i: (tokens, q2, f), (tokens, q1, f) -> (q1, q2, f)."""
    if u.shape[1] == 1 or h.shape[1] == 1:
        return torch.linalg.vecdot(u[:, None], h[:, :, None], dim=0)
    return torch.einsum("njf,nif->ijf", u.conj(), h)


def _chunks(x: Tensor, factors: Factors) -> Iterator[slice]:
    """Chunks of rows whose intermediates fit into half the second-level cache of the cores in use."""
    if x.device.type == "cpu":
        budget = _second_level_cache() * torch.get_num_threads() // 2
    else:
        budget = ACCELERATOR_BYTES
    row_bytes = sum(a.numel() for a in factors.diagonals) * factors.diagonals[0].element_size() // 2
    rows = max(8, budget // row_bytes)
    return (slice(start, start + rows) for start in range(0, len(x), rows))


@functools.lru_cache
def _second_level_cache() -> int:
    try:
        size = Path("/sys/devices/system/cpu/cpu0/cache/index2/size").read_text().strip()
        return int(size.removesuffix("K")) << 10
    except (OSError, ValueError):
        return DEFAULT_CACHE_BYTES
