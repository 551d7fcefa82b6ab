"""What the kernels would take on a GPU by published rates: bytes and FLOPs counted, nothing measured.

    python -m benchmarks.roofline [--tokens 8192]

Forward and backward take at least as long as their bytes take to pass memory, and as their products take on
tensor cores. Inputs and outputs count, and the shares of the vectors' gradients, written and read again;
tables and vectors lie in the caches. LoRA's are the tensors that PEFT's layer passes through memory. Merged,
W + dW is written twice, and g^T x is one product more.
Writes benchmarks/results/fused_roofline.md.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from benchmarks.tables import table
from cdvft.blocks import Partition
from cdvft.cost.roofline import Work, frozen, fused
from cdvft.kernels.fused.plan import plan_for
from cdvft_app.costs.request import device as published

RESULT = Path(__file__).parent / "results" / "fused_roofline.md"
WIDTHS = (256, 512, 768, 896, 1024, 1536, 2048, 3072, 4096)
LORA_BYTES = 30
"""A token and entry of the width, forward 14 and backward 16, in bfloat16."""
MERGED_BYTES = 4 + 4 + 3.1
"""An entry of the weight: W read and W + dW written, forward and backward; g^T x read, and the shares of the
vectors' gradients written and read again, at 768, where they are the largest."""


@dataclass(frozen=True)
class Device:
    """Published rates, times the shares of them that large kernels reach.

    bandwidth: bytes a second
    half: FLOPs a second of large products of half precision
    share: what products of 16 rows reach of it
    """

    name: str
    multiprocessors: int
    bandwidth: float
    half: float
    share: float = 0.45


def _reached(name: str, key: str, multiprocessors: int, half: float) -> Device:
    bandwidth = published(key).bandwidth
    assert bandwidth is not None
    return Device(name, multiprocessors, 0.85 * bandwidth, half)


DEVICES = (_reached("H100", "h100-sxm", 132, 600e12), _reached("A100", "a100-80", 108, 220e12))


def update(width: int, tokens: int, device: Device) -> Work:
    """The work of the update of a whole circulant, forward and backward, on top of the frozen layer.

    Its output and gradient by x are what the frozen products start from, which read them again.
    """
    plan = plan_for(width)
    assert plan is not None
    work = fused(Partition(width, width, width), tokens, plan.flops)
    programs = min(tokens, device.multiprocessors * plan.resident)
    shares = 2 * 4 * programs * (2 * width + 2 * plan.parts * plan.tile)  # of two diagonals, and c's spectrum
    return Work(work.bytes + shares, work.flops)


def frozen_seconds(width: int, tokens: int, device: Device) -> float:
    """Seconds of W x and W^T g in bfloat16."""
    return max(frozen(width, width, tokens).seconds(device.bandwidth, device.half))


def merged_seconds(width: int, tokens: int, device: Device) -> float:
    """What "merged" adds to W x and W^T g, in bfloat16: the product g^T x, and what `fused.dense` moves."""
    entries = width**2
    moved = 2 * (2 * tokens * width + entries)
    product = max(2 * tokens * entries / device.half, moved / device.bandwidth)
    return product + MERGED_BYTES * entries / device.bandwidth


def row(width: int, tokens: int, device: Device) -> list[str]:
    """A width's row of the table."""
    plan, work = plan_for(width), update(width, tokens, device)
    assert plan is not None
    memory, products = work.seconds(device.bandwidth, device.share * device.half)
    added, alone = max(memory, products), frozen_seconds(width, tokens, device)
    lora = LORA_BYTES * tokens * width / device.bandwidth
    merged = merged_seconds(width, tokens, device)
    return [
        device.name,
        str(width),
        f"{plan.waste:.0%}",
        f"{work.bytes / tokens:,.0f}",
        f"{work.flops / tokens / 1e3:,.0f}",
        "products" if products > memory else "bytes",
        f"{1e6 * alone:.0f}",
        f"+{added / alone:.0%}",
        f"+{lora / alone:.0%}",
        f"{added / lora:.2f}",
        f"+{merged / alone:.0%}",
        f"{merged / lora:.2f}",
    ]


def markdown(tokens: int) -> str:
    head = [
        "device", "width", "masked", "bytes a token", "kFLOP a token", "limit", "frozen, us", "fused adds",
        "LoRA r = 8 adds", "over LoRA", "merged adds", "over LoRA",
    ]  # fmt: skip
    lines = [
        "# The kernels by published rates",
        "",
        f"**Estimates for {tokens:,} tokens in bfloat16, not measurements: no GPU has run a kernel.** "
        "Bytes and FLOPs are counted (`python -m benchmarks.roofline`), forward and backward; "
        "rates are the data sheets' times 0.85 for memory and 0.45 for products of 16 rows in fp16, which is "
        "a guess. Launches are not in it.",
        "",
        *table(head, [row(width, tokens, device) for device in DEVICES for width in WIDTHS]),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tokens", type=int, default=8192)
    text = markdown(parser.parse_args().tokens)
    RESULT.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
