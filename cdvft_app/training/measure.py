"""Measure a training step of each method on a model of random weights: time does not care what they are.

    python -m cdvft_app.training.measure '{"model": "roberta-base", "methods": ["cdvft", "lora"]}'

A process of its own, so that its memory is its own and it can be ended at any moment. It prints one JSON
object a line: {"kind": "begin", "method"}, {"kind": "result", ...}, {"kind": "refused", "method", "why"}.
"""

from __future__ import annotations

import ctypes
import gc
import json
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import torch
from torch import nn
from torch.nn import functional as F

from cdvft_app.cost_request import CostRequest, parse_cost
from cdvft_app.cost_table import cost_table
from cdvft_app.memory import available_bytes, training_bytes
from cdvft_app.settings import InvalidChoice, RunSettings
from cdvft_app.shapes import ModelShapes, model_shapes
from cdvft_app.shapes.architectures import Architecture, build
from cdvft_app.training import methods

WARM_UP_STEPS = 2
SECONDS = 3.0
FEWEST_STEPS, MOST_STEPS = 3, 200
SHARE_OF_MEMORY = 0.7
HEAD = "head"


def measure(request: CostRequest, tell: Callable[[dict[str, Any]], None], seconds: float = SECONDS) -> None:
    """Measure every method of the request, `seconds` each, and tell of each as it comes.

    Raises:
        InvalidChoice: the model or a setting cannot be.
    """
    shapes = model_shapes(request.model, request.image_size)
    forward = None
    for row in cost_table(request):
        why = row["unavailable"] or _too_large(row, shapes)
        if why:
            tell({"kind": "refused", "method": row["method"], "why": why})
            continue
        tell({"kind": "begin", "method": row["method"]})
        found = _measured(row, request, shapes, seconds, forward)
        forward = found["forward_seconds"]
        asked = request.model_dump(mode="json", include={"model", "image_size"})
        known = {name: row[name] for name in ("method", "setting", "targets", "batch", "sequence")}
        tell({"kind": "result", **asked, **known, **found, "time": time.time()})


def _too_large(row: dict[str, Any], shapes: ModelShapes) -> str | None:
    need, free = training_bytes(row, shapes), _free()
    if need < SHARE_OF_MEMORY * free:
        return None
    return (
        f"A step of {shapes.name} needs about {need / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free here. "
        "Measure a smaller model or batch; the counts hold for this one as well."
    )


def _measured(
    row: dict[str, Any], request: CostRequest, shapes: ModelShapes, seconds: float, forward: float | None
) -> dict[str, Any]:
    device = _device()
    memory = _Memory(device)
    torch.manual_seed(0)
    task = _Task(build(request.model, request.image_size), shapes, request.labels).to(device)
    inputs = task.inputs(row["batch"], row["sequence"], device)
    if forward is None:
        forward = statistics.median(_times(lambda: task.forward_only(inputs), seconds / 3, device))
    model = _adapt(task, row, shapes)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4)
    model.train()

    def step() -> None:
        model(*inputs).backward()
        optimizer.step()
        optimizer.zero_grad()
        memory.look()

    times = _times(step, seconds, device)
    low, median, high = statistics.quantiles(times, n=4)
    return {
        "seconds": median,
        "low": low,
        "high": high,
        "steps": len(times),
        "forward_seconds": forward,
        "peak_bytes": memory.peak(),
        "device": _device_name(device),
    }


class _Task(nn.Module):
    """A backbone with random weights under a mean and a linear head; a generator with its own output."""

    def __init__(self, found: Architecture, shapes: ModelShapes, labels: int) -> None:
        super().__init__()
        self.kind = shapes.kind
        self.image: tuple[int, int] = (0, 0)
        if found.configuration is None:
            import timm

            side = found.model.patch_embed.img_size
            name = found.model.default_cfg["architecture"]
            self.backbone: Any = timm.create_model(name, pretrained=False, num_classes=0, img_size=side)
            self.image = side
        else:
            self.backbone = type(found.model)(found.configuration)
            if self.kind == "image":
                self.image = (found.configuration.image_size,) * 2
        if self.kind != "generation":
            self.head = nn.Linear(shapes.hidden_size, labels)
        self.labels = labels

    def inputs(self, batch: int, sequence: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        """Random inputs and targets."""
        if self.kind == "image":
            given = torch.randn(batch, 3, *self.image, device=device)
        else:  # low numbers are special tokens in some vocabularies
            words = self.backbone.config.vocab_size
            given = torch.randint(min(10, words - 1), words, (batch, sequence), device=device)
        if self.kind == "generation":
            return given, given
        return given, torch.randint(self.labels, (batch,), device=device)

    def forward(self, given: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        if self.kind == "generation":
            return self.backbone(input_ids=given, labels=wanted, use_cache=False).loss
        if self.kind == "text":
            features = self.backbone(input_ids=given, attention_mask=torch.ones_like(given))[0].mean(1)
        elif hasattr(self.backbone, "forward_features"):
            features = self.backbone(given)
        else:
            features = self.backbone(pixel_values=given)[0].mean(1)
        return F.cross_entropy(self.head(features), wanted)

    @torch.no_grad()
    def forward_only(self, inputs: tuple[torch.Tensor, torch.Tensor]) -> None:
        self.eval()
        self(*inputs)


def _adapt(task: _Task, row: dict[str, Any], shapes: ModelShapes) -> nn.Module:
    method = row["method"]
    settings = RunSettings(method=method, **row["setting"])
    if row["targets"]:
        layers = tuple(shape.name for shape in shapes.select(tuple(row["targets"])))
        settings = settings.model_copy(update={"target_modules": layers})
    if task.kind != "generation" or not row["targets"]:
        return methods.build(settings, task, HEAD)
    from peft import get_peft_model

    config = methods.peft_config(settings, HEAD)
    config.modules_to_save = None  # type: ignore[attr-defined]
    return get_peft_model(task, config)  # type: ignore[arg-type]


def _times(step: Callable[[], None], seconds: float, device: torch.device) -> list[float]:
    """Seconds of each step after the warm-up, until the budget is spent and the fewest steps are made."""
    warm: list[float] = []
    times: list[float] = []
    while len(times) < FEWEST_STEPS or (sum(times) < seconds and len(times) < MOST_STEPS):
        since = time.perf_counter()
        step()
        if device.type == "cuda":
            torch.cuda.synchronize()
        ready = len(warm) >= WARM_UP_STEPS or sum(warm) > seconds
        (times if ready else warm).append(time.perf_counter() - since)
    return times


class _Memory:
    """The largest growth of this process, or of torch's memory on a GPU, since this was made."""

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


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name()
    threads = torch.get_num_threads()
    return f"CPU, {threads} {'thread' if threads == 1 else 'threads'}"


def _free() -> int:
    return torch.cuda.mem_get_info()[0] if torch.cuda.is_available() else available_bytes()


def _print(found: dict[str, Any]) -> None:
    print(json.dumps(found), flush=True)


def main(argument: str) -> None:
    try:
        measure(parse_cost(json.loads(argument)), _print)
    except InvalidChoice as error:
        _print({"kind": "refused", "method": None, "why": str(error)})


if __name__ == "__main__":
    main(sys.argv[1])
