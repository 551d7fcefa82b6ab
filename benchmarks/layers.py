"""One adapted linear layer a method, what is measured on it, and the shapes on which it is measured."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from peft import C3AConfig, FourierFTConfig, LoraConfig, get_peft_model
from torch import Tensor, nn

from cdvft import CDVFTConfig
from cdvft.blocks import Partition, partitions
from cdvft.kernels import cost_model, linear, native
from cdvft.kernels.cost_model import Plan
from cdvft.kernels.engine_choice import Selection, available_engines, selections
from cdvft_app.measuring.measure import PeakMemory

PLANS = {f"cdvft, {way}": cost_model.PLANS[way] for way in ("transforms", "merged forward", "merged")}

FUSED = "cdvft, fused, transforms"


@dataclass(frozen=True)
class Case:
    """A layer d_in -> d_out on so many tokens; `ways` asks for CDVFT's every way beside the rule's choice."""

    d_out: int
    d_in: int
    tokens: int
    block_size: int | None = None
    m: int = 2
    ways: bool = False

    @property
    def title(self) -> str:
        shape = str(self.d_in) if self.d_in == self.d_out else f"{self.d_in} -> {self.d_out}"
        extras = [f"p = {self.block_size}"] * bool(self.block_size) + [f"m = {self.m}"] * (self.m > 2)
        return ", ".join([shape, *extras])

    def record(self) -> dict[str, Any]:
        return asdict(self)


def square(d: int, tokens: int, **more: Any) -> Case:
    return Case(d, d, tokens, **more)


FULL = (
    *(square(192, n) for n in (64, 512, 2048, 8192)),
    *(square(384, n, ways=n == 2048) for n in (64, 256, 512, 2048, 8192)),
    *(square(768, n, ways=True) for n in (64, 256, 512, 1024, 2048, 8192)),
    square(896, 2048),
    *(square(1024, n) for n in (256, 512, 2048, 8192)),
    *(square(2048, n, ways=True) for n in (512, 2048)),
    *(square(4096, n, ways=n == 512) for n in (64, 512, 2048)),
    *(Case(3072, 768, n, ways=n == 2048) for n in (256, 2048)),
    *(Case(768, 3072, n, ways=n == 2048) for n in (256, 2048)),
    *(square(768, 2048, block_size=p, ways=True) for p in (128, 64, 16, 4)),
    *(square(768, 2048, m=m, ways=m == 3) for m in (3, 4)),
)
QUICK = (
    square(384, 2048),
    square(768, 256),
    square(768, 2048, ways=True),
    square(768, 2048, block_size=64, ways=True),
)


def configurations(case: Case, targets: list[str]) -> dict[str, Any]:
    """PEFT configurations to compare, at their customary sizes."""
    return {
        "lora": LoraConfig(r=8, target_modules=targets),
        "fourierft": FourierFTConfig(n_frequency=1000, target_modules=targets),
        "c3a": C3AConfig(block_size=math.gcd(case.d_out, case.d_in), target_modules=targets),
        "cdvft": CDVFTConfig(m=case.m, block_size=case.block_size, target_modules=targets),
    }


def layers(case: Case) -> dict[str, nn.Module]:
    """The frozen layer as "base", and every method's adaptation of it."""
    torch.manual_seed(0)
    base = nn.Sequential(nn.Linear(case.d_in, case.d_out)).requires_grad_(False)
    found: dict[str, nn.Module] = {"base": base}
    for method, configuration in configurations(case, ["0"]).items():
        found[method] = get_peft_model(
            nn.Sequential(nn.Linear(case.d_in, case.d_out)), configuration
        ).base_model.model
    return found


def inputs(case: Case) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(case.tokens, case.d_in, generator=generator, requires_grad=True)
    return x, torch.randn(case.tokens, case.d_out, generator=generator)


def pass_through(layer: nn.Module, x: Tensor, grad: Tensor) -> Callable[[], None]:
    """Forward and backward, the gradients of the input and of the adapter included."""
    trained = [p for p in layer.parameters() if p.requires_grad]

    def run() -> None:
        layer(x).backward(grad)
        for tensor in (x, *trained):
            tensor.grad = None

    return run


def candidates(
    case: Case, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
) -> dict[str, Callable[[], None]]:
    """A pass of the frozen layer as "base" and of every method, adapters in float32 as PEFT keeps them."""
    x, grad = (t.detach().to(device, dtype) for t in inputs(case))
    x.requires_grad_()
    found = {}
    for method, layer in layers(case).items():
        for name, parameter in layer.to(device).named_parameters():
            if name.endswith(("0.weight", "0.bias", "base_layer.weight", "base_layer.bias")):
                parameter.data = parameter.data.to(dtype)
        found[method] = pass_through(layer, x, grad)
    if case.ways:
        if x.device.type != "cpu":
            circulants = [torch.empty(part.q1, part.q2, part.p, device=device) for part in _parts(case)]
            ways = {
                f"cdvft, {way.key}": _with(found["cdvft"], lambda *_, way=way, **__: way)
                for way in selections(x, circulants)
            }
            if dtype != torch.float32 and FUSED in ways:
                ways[f"{FUSED}, products in tf32"] = _in_tf32(ways[FUSED])
            return found | ways
        found |= {name: _with_plan(found["cdvft"], plan) for name, plan in PLANS.items()}
        found["cdvft, no compiler"] = _without_native(found["cdvft"])
    return found


def _parts(case: Case) -> tuple[Partition, ...]:
    return partitions(case.d_out, case.d_in, case.m, case.block_size)


def _with_plan(run: Callable[[], None], plan: Plan) -> Callable[[], None]:
    return _with(run, lambda x, _, circulants, **__: Selection(available_engines(x, circulants)[0], plan))


def _with(run: Callable[[], None], choice: Callable[..., Selection]) -> Callable[[], None]:
    select = linear.select

    def chosen() -> None:
        linear.select = choice
        run()
        linear.select = select

    return chosen


def _in_tf32(run: Callable[[], None]) -> Callable[[], None]:
    from cdvft.kernels.fused import operators

    precision = operators.precision

    def in_tf32() -> None:
        operators.precision = lambda _: "tf32"
        run()
        operators.precision = precision

    return in_tf32


def _without_native(run: Callable[[], None]) -> Callable[[], None]:
    supports = native.supports

    def chunked() -> None:
        native.supports = lambda *_: False
        run()
        native.supports = supports

    return chunked


def saved_bytes_per_token(layer: nn.Module, x: Tensor) -> float:
    """Bytes that autograd keeps for backward beyond the input and the parameters, by storage."""
    known = {t.untyped_storage().data_ptr() for t in (x, *layer.parameters())}
    kept: dict[int, int] = {}

    def pack(t: Tensor) -> Tensor:
        storage = t.untyped_storage()
        if storage.data_ptr() not in known:
            kept[storage.data_ptr()] = storage.nbytes()
        return t

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        out = layer(x)
    del out
    return sum(kept.values()) / len(x)


def peak_bytes(run: Callable[[], None]) -> int | None:
    """Most memory that the process held during the call beyond what it held before; Linux alone tells."""
    if not Path("/proc/self/clear_refs").exists():
        return None
    run()
    peaks = []
    for _ in range(3):
        memory = PeakMemory(torch.device("cpu"))
        run()
        peaks.append(memory.peak())
    return statistics.median(peaks)
