"""The memory of a training step, measured beside the formula that the Compare tab shows.

    python -m benchmarks.step_memory [--batch 8] [--sequence 128] [--note TEXT]

SmolLM2-135M-Instruct with its own weights (the offline recipe's), loaded as the app loads it in float32,
bfloat16, 8 and 4 bits, with and without gradient checkpointing, adapted by CDVFT and LoRA on q and v, and
trained for three steps by AdamW. Each case has a process of its own. `tensors` are the bytes of all tensors
that stood at once, by torch's profiler, which is what the formula counts and what a GPU would hold; `process`
is what the process grew by, with the scratch and the holes of its allocator. 8 and 4 bits need bitsandbytes.
Writes results/step_memory.json.
"""

from __future__ import annotations

import argparse
import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from itertools import accumulate, product
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.machine import machine, write_record
from cdvft_app.catalog import get_model, resolve
from cdvft_app.catalog.backbones import load_language_model, open_language_model
from cdvft_app.costs.request import PRECISIONS, parse_cost
from cdvft_app.costs.table import cost_table
from cdvft_app.measuring.measure import PeakMemory
from cdvft_app.settings import RunSettings
from cdvft_app.training import trainable

RESULTS = Path(__file__).parent / "results" / "step_memory.json"
METHODS = ("cdvft", "lora")
SHAPES = "smollm2"
STEPS = 3
MEGABYTE = 2**20


def counted(method: str, precision: str, checkpointing: bool, batch: int, sequence: int) -> int:
    """Bytes by formula."""
    step = {"batch": batch, "sequence": sequence, "precision": precision}
    asked = {"model": SHAPES, "methods": [method], "gradient_checkpointing": checkpointing, **step}
    return cost_table(parse_cost(asked))[0]["step_bytes"]


def measured(method: str, precision: str, checkpointing: bool, batch: int, sequence: int) -> dict[str, int]:
    """Bytes of the tensors that stood at once in a step, and those that the process grew by."""
    how = PRECISIONS[precision]
    settings = resolve(RunSettings(recipe="addresses", method=method)).settings  # type: ignore[arg-type]
    entry = get_model("smollm2")
    bits = how.bits if how.bits in (4, 8) else None
    model: Any = load_language_model(entry, open_language_model(entry), bits=bits, half=how.half)
    weights = sum(one.nbytes for one in _stored(model))
    model.config.use_cache = False
    adapted = trainable.build(settings, model, None).train()
    if checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    trained = [one for one in adapted.parameters() if one.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4)

    def step(batch: int, sequence: int) -> None:
        tokens = torch.randint(10, model.config.vocab_size, (batch, sequence))
        with torch.autocast("cpu", torch.bfloat16) if how.half else nullcontext():
            loss = adapted(input_ids=tokens, labels=tokens).loss
        loss.backward()
        optimizer.step()

    step(1, 16)  # what libraries take once is no step's; gradients and moments stand from here on
    memory = PeakMemory(torch.device("cpu"))
    for _ in range(STEPS):
        step(batch, sequence)
    grown = memory.peak()
    lasting = weights + 4 * sum(one.nbytes for one in trained)
    return {
        "tensors": lasting + highest_of_tensors(lambda: step(batch, sequence)),
        "process": lasting + grown,
    }


def highest_of_tensors(work: Callable[[], None]) -> int:
    """Bytes of the tensors that `work` makes, when they are most."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        work()
    assert profiler.profiler
    events = profiler.profiler.kineto_results.events()
    changes = sorted((one.start_ns(), one.nbytes()) for one in events if one.name() == "[memory]")
    return max(accumulate(change for _, change in changes))


def _stored(model: torch.nn.Module) -> Iterator[torch.Tensor]:
    """A model's weights, each once, and what belongs to rounded ones: their blocks' scales."""
    for one in model.parameters():
        yield one
        for belonging in (getattr(one, "quant_state", None), getattr(one, "SCB", None)):
            if isinstance(belonging, torch.Tensor):
                yield belonging
            elif belonging is not None:
                yield from belonging.as_dict(packed=True).values()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--sequence", type=int, default=128)
    parser.add_argument("--note", default="", help="how the machine was, for the record")
    chosen = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for case in product(METHODS, PRECISIONS, (False, True)):
        step = (*case, chosen.batch, chosen.sequence)
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as own_process:
            found = own_process.submit(measured, *step).result() | {"formula": counted(*step)}
        rows.append(
            dict(zip(("method", "precision", "gradient_checkpointing"), case, strict=True))
            | {f"{name}_mb": round(value / MEGABYTE) for name, value in found.items()}
            | {"formula_by_tensors": round(found["formula"] / found["tensors"], 3)}
        )
        print(rows[-1], flush=True)
        record = {
            "command": "python -m benchmarks.step_memory",
            "machine": machine(),
            "note": chosen.note,
            "batch": chosen.batch,
            "sequence": chosen.sequence,
            "steps": rows,
        }
        write_record(RESULTS, record)


if __name__ == "__main__":
    main()
