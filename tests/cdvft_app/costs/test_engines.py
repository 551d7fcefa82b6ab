"""One layer by engine: what is counted, which limit holds, and what is said where nothing was measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from cdvft.blocks import Partition
from cdvft.cost.roofline import Work, frozen, fused, merged
from cdvft.kernels.fused.plan import plan_for
from cdvft_app.costs import roofline
from cdvft_app.costs.request import device, named, parse_cost

TOKENS = 8192


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """The view of a request with these changes, as long as no GPU was measured."""
    monkeypatch.setattr(roofline, "FILE", tmp_path / "none.json")
    base = {"model": "roberta-base", "methods": ["cdvft"], "batch": 64, "sequence": 128}
    return lambda **changes: roofline.roofline(parse_cost({**base, **changes}))


def test_the_frozen_layer_is_two_products_and_the_merged_one_three() -> None:
    assert frozen(768, 768, TOKENS).flops == 2 * 2 * TOKENS * 768**2
    assert merged(768, 768, TOKENS).flops == 3 * 2 * TOKENS * 768**2
    # x, y and their gradients, and the weight twice, two bytes each
    assert frozen(768, 3072, TOKENS).bytes == 2 * 2 * (TOKENS * (768 + 3072) + 768 * 3072)
    # For both passes W is read and W + dW written; x and g are read for g^T x, which is written and read.
    more = merged(2, 3, 5).bytes - frozen(2, 3, 5).bytes
    assert more == 2 * (2 * 2 * 6 + 5 * (2 + 3) + 2 * 6)


def test_the_fused_kernel_adds_transforms_and_what_it_reads_and_writes() -> None:
    plan = plan_for(768)
    assert plan is not None
    whole = fused(Partition(768, 768, 768), TOKENS, plan.flops)
    assert whole.flops == 8 * TOKENS * plan.flops  # two forward, six backward
    # forward x, the update twice; backward thrice x and g, by x twice
    assert whole.bytes == 2 * 11 * TOKENS * 768
    blocks = fused(Partition(3072, 768, 768), TOKENS, plan.flops)
    assert blocks.flops == ((4 + 4) + (4 + 1) + (4 + 4) + 2 * 4) * TOKENS * plan.flops
    # Of 3 rows of 2 blocks: in and out, the gradient the other way round, in and out, both for each block.
    assert fused(Partition(12, 8, 4), 1, 1).flops == (6 + 3) + (6 + 2) + (6 + 3) + 2 * 6


def test_the_longer_of_both_is_the_limit() -> None:
    assert Work(100, 35).seconds(bandwidth=10, half=5) == (10, 7)


def test_without_a_record_the_times_are_missing_and_the_reason_is_said(asked) -> None:
    shown = asked()
    assert shown["title"] == "768 → 768, 8,192 tokens, bfloat16"
    assert [engine["measured"] for engine in shown["engines"]] == [None] * 3
    assert [engine["texts"][-1] for engine in shown["engines"]] == ["–"] * 3
    assert shown["measured_on"] == ""
    assert "no GPU has run these kernels" in shown["unmeasured"]
    assert all(len(engine["texts"]) == len(shown["columns"]) for engine in shown["engines"])


@pytest.mark.parametrize(
    "changes",
    [{"model": "gpt2", "methods": ["c3a", "dora"]}, {"methods": ["lora"], "match": "seconds_per_step"}],
    ids=str,
)
def test_the_step_is_known_whatever_the_first_method_is(asked, changes: dict) -> None:
    """C3A does not fit GPT-2, and what takes as long as CDVFT nobody has measured."""
    sizes = "768 → 2304" if "model" in changes else "768 → 768"
    assert asked(**changes)["title"] == f"{sizes}, 8,192 tokens, bfloat16"


def test_the_limit_is_the_chosen_devices(asked) -> None:
    slow, fast = asked(device="l4"), asked(device="h100-sxm")
    assert "L4 (24 GB)" in slow["rates"] and "121\xa0TFLOP/s" in slow["rates"]
    for a, b in zip(slow["engines"], fast["engines"], strict=True):
        assert a["least"] > b["least"]
        assert a["texts"][1:3] == b["texts"][1:3]
    assert fast["engines"][0]["least"] == pytest.approx(2 * 2 * TOKENS * 768**2 / 989e12, rel=0.6)


@pytest.mark.parametrize("changes", [{"device": "t4"}, {"block_size": 757}, {"block_size": 64}], ids=str)
def test_where_the_kernel_cannot_serve_it_says_so(asked, changes: dict) -> None:
    engine = asked(**changes)["engines"][1]
    assert engine["texts"][4] == "cannot serve"
    assert engine["least"] is None


DRIVERS = {
    "Tesla T4": "t4", "NVIDIA L4": "l4", "NVIDIA L40S": None, "NVIDIA GeForce RTX 4090": "rtx4090",
    "NVIDIA GeForce RTX 4090 Laptop GPU": None, "NVIDIA A100-PCIE-40GB": "a100-40",
    "NVIDIA A100 80GB PCIe": "a100-80", "NVIDIA A100-SXM4-80GB": "a100-80", "NVIDIA H100 PCIe": "h100",
    "NVIDIA H100 80GB HBM3": "h100-sxm", "NVIDIA H100 NVL": None, "Apple MPS": None,
}  # fmt: skip


@pytest.mark.parametrize("name", DRIVERS)
def test_a_gpu_is_known_by_what_its_driver_calls_it(name: str) -> None:
    found = named(name)
    assert (found and found.key) == DRIVERS[name]


def test_an_sxm_is_not_held_to_the_rates_of_pcie() -> None:
    """Else the least time is longer than what was measured: its memory is faster by two thirds."""
    pcie, sxm = device("h100"), device("h100-sxm")
    assert (pcie.bandwidth, pcie.half) == (2.0e12, 756e12)
    assert (sxm.bandwidth, sxm.half) == (3.35e12, 989e12)
