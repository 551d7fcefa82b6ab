"""Measure a training step of each method on a model of random weights, which take as long as trained ones.

`background.measuring` runs it in a child process, so that peak memory is this measurement's alone, and the
process can be ended at any moment.
"""

from __future__ import annotations

import ctypes
import gc
import statistics
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import torch
from torch import nn
from torch.nn import functional as F

from cdvft_app.costs.request import CostRequest
from cdvft_app.costs.table import cost_row, cost_table
from cdvft_app.measuring import comparison_times
from cdvft_app.measuring.background import too_large
from cdvft_app.methods import flat
from cdvft_app.settings import RunSettings
from cdvft_app.shapes import ModelShapes, model_shapes
from cdvft_app.shapes.architectures import Architecture, build
from cdvft_app.training import kernels, trainable
from cdvft_app.training.device import device_name, kind_of_measured_steps


class PeakMemory:
    """The largest growth of this process, or of torch's memory on a GPU, since this object was created."""

    def __init__(self, device: torch.device) -> None:
        gc.collect()
        self.cuda = device.type == "cuda"
        if self.cuda:
            torch.cuda.reset_peak_memory_stats()
        with suppress(OSError, AttributeError):  # glibc keeps freed memory of the method before
            ctypes.CDLL(None).malloc_trim(0)
        self.process = psutil.Process()
        self.before = self.highest = self.process.memory_info().rss
        with suppress(OSError):  # Linux: forget the highest mark so far
            Path("/proc/self/clear_refs").write_text("5")

    def look(self) -> None:
        self.highest = max(self.highest, self.process.memory_info().rss)

    def peak(self) -> int:
        if self.cuda:
            return torch.cuda.max_memory_allocated()
        with suppress(OSError, StopIteration):
            lines = Path("/proc/self/status").read_text().splitlines()
            marked = next(line for line in lines if line.startswith("VmHWM"))
            self.highest = max(self.highest, 1024 * int(marked.split()[1]))
        return self.highest - self.before


WARM_UP_STEPS = 2
MIN_STEPS, MAX_STEPS = 3, 200
HEAD = "head"


def measuring_device() -> torch.device:
    """Return the device on which steps are measured."""
    return torch.device(kind_of_measured_steps())


def warm_up(row: dict[str, Any], request: CostRequest, shapes: ModelShapes) -> None:
    """A few small steps, so that memory which libraries take once does not count as the first method's."""
    small = {**row, "batch": 1, "sequence": min(16, row["sequence"])}
    step_time(small, request, shapes, seconds=0.0, forward=0.0, pace=lambda left: None)


def step_time(
    row: dict[str, Any],
    request: CostRequest,
    shapes: ModelShapes,
    *,
    seconds: float,
    forward: float | None,
    pace: Callable[[float], None],
) -> dict[str, Any]:
    """Median and quartiles of a step's seconds for a cost table's row, and the largest growth of memory.

    `others` is the share of the processor that other programs took: with much of it, times are too long.

    Args:
        row: method, setting, targets, batch and sequence.
        request: model and image size; its labels are the head's outputs.
        shapes: of that model.
        seconds: budget for the steps; at least `MIN_STEPS` are made.
        forward: seconds of the frozen model's forward pass, measured here where None.
        pace: called after the first step with about how many seconds are left.
    """
    where = measuring_device()
    memory = PeakMemory(where)
    torch.manual_seed(0)
    task = _Task(build(request.model, request.image_size), shapes, request.labels).to(where)
    kernels.use_onednn(task)
    inputs = task.inputs(row["batch"], row["sequence"], where)
    if forward is None:
        forward = statistics.median(_step_times(lambda: task.forward_only(inputs), seconds / 3, where))
    model = _adapt(task, row, shapes)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4)
    model.train()

    def step() -> None:
        model(*inputs).backward()
        optimizer.step()
        optimizer.zero_grad()
        memory.look()

    others = _OtherPrograms()
    times = _step_times(step, seconds, where, pace)
    low, median, high = statistics.quantiles(times, n=4)
    return {
        "seconds": median,
        "low": low,
        "high": high,
        "steps": len(times),
        "forward_seconds": forward,
        "peak_bytes": memory.peak(),
        "others": others.share(),
        "device": device_name(where.type),
    }


class _Task(nn.Module):
    """A randomly initialized backbone with mean pooling and a linear head; a generator has its own head."""

    def __init__(self, architecture: Architecture, shapes: ModelShapes, labels: int) -> None:
        super().__init__()
        self.kind = shapes.kind
        self.image: tuple[int, int] = (0, 0)
        if architecture.configuration is None:
            import timm

            side = architecture.model.patch_embed.img_size
            name = architecture.model.default_cfg["architecture"]
            self.backbone: Any = timm.create_model(name, pretrained=False, num_classes=0, img_size=side)
            self.image = side
        else:
            self.backbone = type(architecture.model)(architecture.configuration)
            if self.kind == "image":
                self.image = (architecture.configuration.image_size,) * 2
        if self.kind != "generation":
            self.head = nn.Linear(shapes.hidden_size, labels)
        self.labels = labels

    def inputs(self, batch: int, sequence: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        """Random inputs and targets."""
        if self.kind == "image":
            inputs = torch.randn(batch, 3, *self.image, device=device)
        else:  # low numbers are special tokens in some vocabularies
            vocabulary = self.backbone.config.vocab_size
            inputs = torch.randint(min(10, vocabulary - 1), vocabulary, (batch, sequence), device=device)
        if self.kind == "generation":
            return inputs, inputs
        return inputs, torch.randint(self.labels, (batch,), device=device)

    def forward(self, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        if self.kind == "generation":
            return self.backbone(input_ids=inputs, labels=targets, use_cache=False).loss
        if self.kind == "text":
            features = self.backbone(input_ids=inputs, attention_mask=torch.ones_like(inputs))[0].mean(1)
        elif hasattr(self.backbone, "forward_features"):
            features = self.backbone(inputs)
        else:
            features = self.backbone(pixel_values=inputs)[0].mean(1)
        return F.cross_entropy(self.head(features), targets)

    @torch.no_grad()
    def forward_only(self, inputs: tuple[torch.Tensor, torch.Tensor]) -> None:
        self.eval()
        self(*inputs)


def _adapt(task: _Task, row: dict[str, Any], shapes: ModelShapes) -> nn.Module:
    settings = RunSettings.model_validate({"method": flat.method_of(row["method"], row["setting"])})
    if row["targets"]:
        layers = tuple(shape.name for shape in shapes.select(tuple(row["targets"])))
        settings = settings.model_copy(update={"target_modules": layers})
    has_head = task.kind != "generation" or not row["targets"]
    return trainable.build(settings, task, HEAD if has_head else None)


def _step_times(
    step: Callable[[], None],
    seconds: float,
    device: torch.device,
    pace: Callable[[float], None] | None = None,
) -> list[float]:
    """Return seconds of each step after the warm-up, until the budget is spent and the fewest steps are made.

    `pace` is called after the first step with about how many seconds are left.
    """
    warm: list[float] = []
    times: list[float] = []
    while len(times) < MIN_STEPS or (sum(times) < seconds and len(times) < MAX_STEPS):
        since = time.perf_counter()
        step()
        if device.type == "cuda":
            torch.cuda.synchronize()
        ready = len(warm) >= WARM_UP_STEPS or sum(warm) > seconds
        (times if ready else warm).append(time.perf_counter() - since)
        if pace and len(warm) == 1 and not times:
            slow = warm[0] > seconds
            pace(MIN_STEPS * warm[0] if slow else seconds + WARM_UP_STEPS * warm[0])
    return times


class _OtherPrograms:
    """The share of this machine's processor that other programs have taken since this object was created."""

    def __init__(self) -> None:
        self.process = psutil.Process()
        self.before = self._times()

    def share(self) -> float:
        """Return the other programs' share of all cores' time, from 0 to 1."""
        total, busy, own = (now - then for now, then in zip(self._times(), self.before, strict=True))
        return min(max((busy - own) / total, 0.0), 1.0) if total > 0 else 0.0

    def _times(self) -> tuple[float, float, float]:
        """Core seconds: all, those not idle, and this process's own."""
        all_, own = psutil.cpu_times(), self.process.cpu_times()
        return sum(all_), sum(all_) - all_.idle - getattr(all_, "iowait", 0.0), own.user + own.system


SECONDS = 3.0
Report = Callable[[dict[str, Any]], None]


def measure(request: CostRequest, report: Report, seconds: float = SECONDS) -> None:
    """Measure every method of the request, `seconds` each, and report each as it comes.

    With match seconds_per_step, values of r, n and b are tried until a step takes about as long as CDVFT's.
    The reports by "kind":
        begin: method, setting; number and of: which one of how many methods; more: how many steps are
            measured after it, about;
        pace: seconds that this one still takes, about;
        result: what `step_time` returns, with model, method, setting, targets, batch, sequence, the FLOPs
            that are counted for the step, and time;
        refused: method, setting, why.

    Raises:
        InvalidChoice: the model or a setting cannot be.
    """
    request = request.as_measured
    bench = _Bench(request, report, seconds)
    if request.match == "seconds_per_step":
        _match(bench)
        return
    rows = cost_table(request)
    for number, row in enumerate(rows, 1):
        bench.measured(row, number, len(rows), len(rows) - number)


class _Bench:
    def __init__(self, request: CostRequest, report: Report, seconds: float) -> None:
        self.request, self.report, self.seconds = request, report, seconds
        self.shapes = model_shapes(request.model, request.image_size)
        self.forward: float | None = None

    def measured(self, row: dict[str, Any], number: int, total: int, more: int) -> float | None:
        """Measure and report the row's step: its seconds; None where it is refused."""
        about = {name: row[name] for name in ("method", "setting")}
        why = row["unavailable"] or too_large(row)
        if why:
            self.report({"kind": "refused", **about, "why": why})
            return None
        self.report({"kind": "begin", **about, "number": number, "of": total, "more": more})
        if self.forward is None:
            warm_up(row, self.request, self.shapes)
        result = step_time(
            row,
            self.request,
            self.shapes,
            seconds=self.seconds,
            forward=self.forward,
            pace=self._pace,
        )
        self.forward = result["forward_seconds"]
        facts = {name: row[name] for name in ("model", "targets", "batch", "sequence")}
        flops = self._flops(row)
        self.report({"kind": "result", **about, **facts, **result, "step_flops": flops, "time": time.time()})
        return result["seconds"]

    def _flops(self, row: dict[str, Any]) -> int:
        """Return the step's FLOPs as executed (real FFTs), whatever convention the request has."""
        if row["convention"] != "real_fft":
            request = self.request.model_copy(update={"convention": "real_fft"})
            row = cost_row(request, flat.method_of(row["method"], row["setting"]))
        return row["total_flops_per_step"]

    def _pace(self, left: float) -> None:
        self.report({"kind": "pace", "seconds": left})


def _match(bench: _Bench) -> None:
    adapted = bench.shapes.select(bench.request.targets or bench.shapes.default_targets)
    others = [method for method in bench.request.methods if method != bench.request.reference]
    ladders = {method: method.ladder(adapted) for method in others}
    total = 1 + len(ladders)

    def remaining(after: int) -> int:
        return sum(comparison_times.tries(values) or 1 for values in [*ladders.values()][after:])

    target_seconds = bench.measured(cost_row(bench.request, bench.request.reference), 1, total, remaining(0))
    for number, (method, values) in enumerate(ladders.items(), 2):
        after = remaining(number - 1)
        if not values:  # head and full have nothing to match by
            bench.measured(cost_row(bench.request, method), number, total, after)
        seconds: dict[int, float] = {}
        while (
            target_seconds
            and (value := comparison_times.next_value(values, seconds, target_seconds)) is not None
        ):
            more = comparison_times.tries(values) - len(seconds) - 1 + after
            result = bench.measured(cost_row(bench.request, method.matched(value)), number, total, more)
            if result is None:  # it does not fit, and what is slower would not either
                break
            seconds[value] = result
