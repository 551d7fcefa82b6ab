"""How many operators of torch adapted layers consist of, forward and backward, as on a GPU.

    python -m benchmarks.operators

On a GPU an operator is one launch or a few, which costs the more the smaller the batch. Counted on a CPU by a
dispatch mode, views and bare memory left out, in bfloat16 with adapters in float32; CDVFT by the ways of a
GPU, where each launch of a kernel of its own counts as an operator. Launches proper are counted by torch's
profiler in `make gpu`. Writes benchmarks/results/operators.json and .md.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest import mock

import torch
from peft import get_peft_model
from torch import Tensor, nn

from benchmarks import layers
from benchmarks.device_clock import Operators
from benchmarks.layers import Case
from benchmarks.tables import table
from cdvft import shared_input
from cdvft.kernels import fused, group, linear, native, passes, survival
from cdvft.kernels.rule import WAYS
from cdvft.kernels.selection import Selection

RESULTS = Path(__file__).parent / "results"
CASES = (Case(768, 768, 16), Case(4096, 4096, 16), Case(3072, 768, 16), Case(768, 768, 16, m=3))
"""Few tokens: how many there are changes no count."""
WIDTHS = (768, 4096)
"""Of query, key and value, three layers of one input."""


class Attention(nn.Module):
    """Query, key and value."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))

    def forward(self, x: Tensor) -> list[Tensor]:
        return [self.query(x), self.key(x), self.value(x)]


@contextmanager
def as_on_a_gpu(way: str) -> Iterator[list[object]]:
    """The fused kernels serve, by this way, half precision is multiplied as such; the kernels launched."""
    from cdvft.kernels.fused import dense, group_cube, launch, operators, tables_operator
    from cdvft.kernels.fused import group as group_launches

    kernels: list[object] = []

    def launched(kernel: object, _: int) -> dict[object, Callable[..., None]]:
        kernels.append(kernel)
        # Not a mock: it would keep the gradients that it is given, and torch copies what another holds.
        return defaultdict(lambda: lambda *_, **__: None)

    with (
        mock.patch.dict(os.environ, CDVFT_ENGINE="fused"),  # no record proves it on a device
        mock.patch.object(fused, "supports", lambda *_: True),
        mock.patch.object(fused, "is_watched", lambda: False),
        mock.patch.object(dense, "supports", lambda factors, _: len(factors.circulants) == 1),
        mock.patch.object(launch, "launched", launched),
        mock.patch.object(tables_operator, "is_in_torch_dispatch_mode", lambda: False),
        mock.patch.object(native, "supports", lambda *_: False),
        mock.patch.object(linear, "select", lambda *_, **__: Selection("fused", WAYS[way])),
        mock.patch.object(group, "select", lambda *_, **__: Selection("fused", WAYS[way])),
        mock.patch.object(group, "is_in_torch_dispatch_mode", lambda: False),
        mock.patch.object(survival, "last_answer", lambda _: False),
        mock.patch.object(linear, "product_dtype", lambda x, _: x.dtype),
        mock.patch.object(passes, "product_dtype", lambda x, _: x.dtype),
        ExitStack() as stack,
    ):
        for module in (operators, operators.blocks, operators.cube, group_launches, group_cube):
            stack.enter_context(mock.patch.object(module, "launched", launched))
        yield kernels


def counted(case: Case) -> dict[str, int]:
    """Operators of a pass forward and backward, by method; those of the frozen layer among them."""
    candidates = layers.candidates(case, "cpu", torch.bfloat16)
    cdvft = candidates.pop("cdvft")
    found = {name: _count(run) for name, run in candidates.items()}
    for way in ("transforms", "merged"):
        with as_on_a_gpu(way) as kernels:
            cdvft()  # what is decided or worked out once
            kernels.clear()
            found[f"cdvft, {way}"] = _count(cdvft) + len(kernels)
    return found


def counted_together(width: int) -> dict[str, int]:
    """The same of query, key and value; of CDVFT's by transforms, where the first layer serves all."""
    x = torch.randn(16, width, dtype=torch.bfloat16, requires_grad=True)
    grads = [torch.randn(16, width, dtype=torch.bfloat16) for _ in range(3)]
    bare = Attention(width).requires_grad_(False)
    configurations = layers.configurations(Case(width, width, 16), ["query", "key", "value"])
    models = {"base": bare} | {
        name: get_peft_model(Attention(width), one).base_model.model for name, one in configurations.items()
    }

    def run(model: nn.Module) -> None:
        torch.autograd.backward(model(x), grads)
        for tensor in (x, *model.parameters()):
            tensor.grad = None

    found = {}
    for name, model in models.items():
        for layer in model.modules():
            if type(layer) is nn.Linear and layer.in_features == layer.out_features:
                layer.bfloat16()
        if name != "cdvft":
            found[name] = _count(lambda model=model: run(model))
    for name, devices in (("cdvft, each by itself", ()), ("cdvft, together", ("cpu",))):
        with as_on_a_gpu("transforms") as kernels, mock.patch.object(shared_input, "DEVICES", devices):
            for _ in range(2):  # what is decided, worked out or seen once
                run(models["cdvft"])
            kernels.clear()
            found[name] = _count(lambda: run(models["cdvft"])) + len(kernels)
    return found


def _count(run: Callable[[], None]) -> int:
    with Operators() as operators:
        run()
    return operators.count


def main() -> None:
    record = {
        "layers": {case.title: counted(case) for case in CASES},
        "query, key and value": {str(width): counted_together(width) for width in WIDTHS},
    }
    (RESULTS / "operators.json").write_text(json.dumps(record, indent=1) + "\n")
    (RESULTS / "operators.md").write_text(markdown(record))
    print(markdown(record))


def markdown(record: dict[str, dict[str, dict[str, int]]]) -> str:
    lines = [
        "# Operators of adapted layers, forward and backward",
        "",
        "Counted on a CPU by `python -m benchmarks.operators`, as a GPU would be given them. No launches, no "
        "times.",
        "",
    ]
    for name, found in record.items():
        head = [name, *next(iter(found.values()))]
        lines += [*table(head, [[title, *counts.values()] for title, counts in found.items()]), ""]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
