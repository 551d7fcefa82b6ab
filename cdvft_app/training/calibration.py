"""How fast this machine's CPU computes: two seconds of a small transformer layer, once a program.

Seconds a FLOP of a frozen layer's forward and backward pass, counted as the cost table counts them. It stands
where a first run has nothing like it to be estimated from.
"""

from __future__ import annotations

import time

from cdvft_app.catalog import libraries

SECONDS = 2.0
_WIDTH, _INNER, _HEADS, _BATCH, _TOKENS = 384, 1536, 12, 16, 32  # as MiniLM's, on short texts
_MIN_STEPS = 3

_found: list[float] = []


def measured_pace() -> float | None:
    """Return the seconds a FLOP, all threads together; None until `measure` was called in this program."""
    return _found[-1] if _found else None


def measure() -> float:
    """Measure for about `SECONDS`, and keep it for `measured_pace`.

    The fastest step counts: in others threads may have waited for another program, on a busy machine many
    times as long as they computed.
    """
    libraries.load()
    import torch
    from torch import nn

    from cdvft_app.training import kernels

    with torch.random.fork_rng(devices=[]):
        layer = nn.TransformerEncoderLayer(_WIDTH, _HEADS, _INNER, dropout=0.0, batch_first=True)
        x = torch.randn(_BATCH, _TOKENS, _WIDTH, requires_grad=True)
    layer.requires_grad_(False)
    kernels.use_onednn(layer)
    taken: list[float] = []
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end or len(taken) < _MIN_STEPS:
        begun = time.perf_counter()
        layer(x).sum().backward()
        x.grad = None
        taken.append(time.perf_counter() - begun)
    _found[:] = [min(taken) / _flops()]
    return _found[-1]


def _flops() -> float:
    """Return the FLOPs of a step: 2 a weight and token forward and as many backward; attention 4 T w a token,
    backward 2.5 times that."""
    tokens, weights = _BATCH * _TOKENS, 4 * _WIDTH * _WIDTH + 2 * _WIDTH * _INNER
    return tokens * (4.0 * weights + 3.5 * 4.0 * _TOKENS * _WIDTH)
