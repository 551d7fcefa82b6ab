"""How many operators of torch adapted layers consist of, forward and backward, as on a GPU.

    python -m benchmarks.operators

On a GPU an operator is one launch or a few, which costs the more the smaller the batch. Counted on a CPU by a
dispatch mode, views and bare memory left out, in bfloat16 with adapters in float32; CDVFT by the ways of a
GPU, where each launch of a kernel of its own counts as an operator. Launches proper are counted by torch's
profiler in `make gpu`. Writes benchmarks/results/operators.json and .md.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import torch

from benchmarks import layers
from benchmarks.device_clock import Operators
from benchmarks.layers import Case
from benchmarks.machine import write_record
from benchmarks.tables import table
from cdvft.kernels import autograd_ops, fused, linear, native
from cdvft.kernels.cost_model import PLANS
from cdvft.kernels.engine_choice import Selection

RESULTS = Path(__file__).parent / "results"
CASES = (Case(768, 768, 16), Case(4096, 4096, 16), Case(3072, 768, 16), Case(768, 768, 16, m=3))
"""Few tokens: how many there are changes no count."""


@contextmanager
def as_on_a_gpu(way: str) -> Iterator[list[object]]:
    """The fused kernels serve, by this way, half precision is multiplied as such; the kernels launched."""
    from cdvft.kernels.fused import dense, operators

    kernels: list[object] = []

    def launch(kernel: object, *_: object, **__: object) -> None:
        kernels.append(kernel)

    with (
        mock.patch.dict(os.environ, CDVFT_ENGINE="fused"),  # no record verifies it on a device
        mock.patch.object(fused, "supports", lambda *_: True),
        mock.patch.object(fused, "is_watched", lambda: False),
        mock.patch.object(dense, "supports", lambda factors, _: len(factors.circulants) == 1),
        mock.patch.object(operators, "launch", launch),
        mock.patch.object(native, "supports", lambda *_: False),
        mock.patch.object(linear, "select", lambda *_, **__: Selection("fused", PLANS[way])),
        mock.patch.object(linear, "product_dtype", lambda x, _: x.dtype),
        mock.patch.object(autograd_ops, "product_dtype", lambda x, _: x.dtype),
    ):
        yield kernels


def counted(case: Case) -> dict[str, int]:
    """Operators of a pass forward and backward, by method; those of the frozen layer among them."""
    candidates = layers.candidates(case, "cpu", torch.bfloat16)
    cdvft = candidates.pop("cdvft")
    found = {}
    for name, run in candidates.items():
        run()  # what is decided or worked out once
        found[name] = _count(run)
    for way in ("transforms", "merged"):
        with as_on_a_gpu(way) as kernels:
            cdvft()
            kernels.clear()
            found[f"cdvft, {way}"] = _count(cdvft) + len(kernels)
    return found


def _count(run: Callable[[], None]) -> int:
    with Operators() as operators:
        run()
    return operators.count


def main() -> None:
    record = {"layers": {case.title: counted(case) for case in CASES}}
    write_record(RESULTS / "operators.json", record)
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
