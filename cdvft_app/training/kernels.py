"""Which kernels multiply in a run: CDVFT's engines, and frozen layers on AMD processors.

CDVFT's engines are made ready before a run's clock starts. On a CPU the compiled kernel is loaded, or
compiled first. On a GPU every engine is timed for the layers of the model at hand, for a few seconds, once:
the library keeps what it found by device, driver and version of torch, and estimates by published rates until
then.

Float32 products go through oneDNN on AMD processors with AVX-512, where PyTorch's own take twice as long.
PyTorch multiplies float32 matrices by MKL, which on an AMD EPYC (Zen 5) makes 210 GFLOP/s on two cores, and
convolutions by oneDNN, which makes 430. A linear layer is a convolution of width 1: W x + b of all tokens as
the pixels of one image that is one row high, laid out as they lie, so that nothing is copied. The same to
rounding; whole runs take about a third less time, measured on film reviews, digits, and addresses.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cdvft.kernels import calibrate
from cdvft.kernels.native.build import library
from cdvft_app.catalog import Plan
from cdvft_app.events import Event, Preparing
from cdvft_app.progress import Progress
from cdvft_app.tasks.base import Prepared, Task
from cdvft_app.training.device import cpu_capabilities, device_kind
from cdvft_app.training.loop import RaceTrainer, autocast_dtype

logger = logging.getLogger(__name__)
TIMING_SECONDS = 3.0


def load_on_cpu(plan: Plan, progress: Progress) -> None:
    """Load the compiled kernel where it will be used."""
    if plan.settings.method.key == "cdvft" and device_kind() == "cpu":
        progress(None, "Loading CDVFT's compiled kernel")
        library()  # may have to compile it, which is no part of a step's time


def time_on_gpu(
    plan: Plan, prepared: Prepared, model: nn.Module, trainer: RaceTrainer, emit: Callable[[Event], None]
) -> None:
    """Time what was not timed on this GPU yet; a run goes on without."""
    device, size = trainer.args.device, min(plan.settings.batch_size or 1, len(prepared.train))
    if plan.settings.method.key != "cdvft" or device.type != "cuda":
        return
    emit(Preparing("Timing CDVFT's engines on this GPU"))
    batch = trainer._prepare_inputs(prepared.task.collate([prepared.train[n] for n in range(size)]))
    with torch.random.fork_rng(devices=[device]):  # the run's random numbers stay as they were
        time_engines(model, prepared.task, batch, autocast_dtype(trainer.args))
    torch.cuda.empty_cache()


def time_engines(model: nn.Module, task: Task, batch: dict[str, Any], dtype: torch.dtype | None) -> None:
    """Time each way of each engine for the adapted layers, on as many tokens as this batch has.

    dtype: in which autocast makes products; None without autocast.
    """
    kind = next(model.parameters()).device.type
    try:
        with torch.autocast(kind, dtype, enabled=dtype is not None):
            calibrate(model, _tokens(model, task, batch), TIMING_SECONDS, missing_only=True)
    except (ValueError, RuntimeError) as error:  # nothing that can be timed; no memory for it
        logger.warning("Estimates choose CDVFT's engines, for timing them failed: %s", error)


def _tokens(model: nn.Module, task: Task, batch: dict[str, Any]) -> int:
    """Return the most rows that an adapted layer is given."""
    seen = [0]
    hooks = [
        layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape[:-1].numel()))
        for layer in model.modules()
        if hasattr(layer, "cdvft_circulants")
    ]
    inputs = dict(batch)
    labels = inputs.pop("labels")
    try:
        with torch.no_grad():
            task.forward(model, inputs, labels)
    finally:
        for hook in hooks:
            hook.remove()
    return max(seen)


MIN_TOKENS, MIN_TOKENS_OTHERWISE = 64, 256
"""Tokens, by a frozen weight of at most `MAX_FROZEN_WEIGHT` entries and by any other; for fewer, what oneDNN
does beforehand (it lays the weight out anew at each call) costs as much as it saves."""
MAX_FROZEN_WEIGHT = 1 << 23


def onednn_is_faster() -> bool:
    """Return whether oneDNN is faster here: on an AMD processor with AVX-512."""
    has = cpu_capabilities()
    both = torch.backends.mkl.is_available() and torch.backends.mkldnn.is_available()
    return both and bool(has.get("avx512_f")) and "AMD" in has.get("cpu_name", "")


def use_onednn(model: nn.Module) -> None:
    """Have the linear layers of a model that is to be trained multiply by oneDNN, where that is faster.

    Adapters come around them afterwards, so that no method of a race is faster for it than another.
    """
    if onednn_is_faster():
        for layer in model.modules():
            # Subclasses of layers and of tensors are other packages', with products of their own.
            if type(layer) is nn.Linear and type(layer.weight.data) is Tensor:
                layer.__class__ = ConvolvedLinear


class ConvolvedLinear(nn.Linear):
    """nn.Linear, and the same product as a convolution where tokens are many and float32 on a CPU."""

    def forward(self, input: Tensor) -> Tensor:
        """Map (..., d_in) to (..., d_out)."""
        x, weight = input, self.weight
        is_frozen = not (weight.requires_grad and torch.is_grad_enabled())
        min_tokens = MIN_TOKENS if is_frozen and weight.numel() <= MAX_FROZEN_WEIGHT else MIN_TOKENS_OTHERWISE
        in_float32 = x.device.type == "cpu" and x.dtype == weight.dtype == torch.float32
        if not in_float32 or torch.is_autocast_enabled("cpu") or x.numel() < min_tokens * self.in_features:
            return super().forward(x)
        return Frozen.apply(x, weight, self.bias) if is_frozen else convolved(x, weight, self.bias)


def convolved(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """W x + b: x (..., d_in), W (d_out, d_in), b (d_out,); `F.linear` is its slow truth."""
    y = F.conv2d(_as_image(x), weight[:, :, None, None], bias).permute(0, 2, 3, 1).contiguous()
    # Not a view for autograd: adapters add to what a layer gives.
    return torch.ops.aten._unsafe_view(y, [*x.shape[:-1], len(weight)])


class Frozen(torch.autograd.Function):
    """`convolved` by a weight without gradient, which keeps nothing; a convolution would keep its input."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(weight)
        return convolved(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (weight,) = ctx.saved_tensors
        image = _as_image(grad)
        unread = grad.new_empty(1, 1, image.shape[-1], weight.shape[1]).permute(0, 3, 1, 2)
        by_x = torch.ops.aten.convolution_backward(
            image, unread, weight[:, :, None, None], None, [1, 1], [0, 0], [1, 1], False, [0, 0], 1,
            (True, False, False),
        )[0]  # fmt: skip
        return by_x.permute(0, 2, 3, 1).reshape(*grad.shape[:-1], weight.shape[1]), None, None


def _as_image(rows: Tensor) -> Tensor:
    """Return (..., d) as (1, d, 1, tokens), in memory "channels last"."""
    return rows.reshape(1, 1, -1, rows.shape[-1]).permute(0, 3, 1, 2)
