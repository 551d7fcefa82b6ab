"""How much an adapter slows decoding, one token at a time with a cache of keys and values.

    OMP_NUM_THREADS=1 python -m benchmarks.decoding [--seconds 60]

A Llama of SmolLM2-135M's shape (Allal et al., 2025: width 576, 30 layers, 9 heads, 3 of keys and values) with
random weights writes the token that follows 32 others; every method is timed once a round, in another order
every round, and compared with the bare model of the same round. Writes benchmarks/results/decoding.json.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from peft import C3AConfig, FourierFTConfig, LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

from benchmarks.machine import machine, write_record
from benchmarks.rounds import interleave
from cdvft import CDVFTConfig

RESULTS = Path(__file__).parent / "results" / "decoding.json"
TARGETS: dict[str, Any] = {"q, v": ["q_proj", "v_proj"], "all linear": "all-linear"}
METHODS: dict[str, Callable[[Any], Any]] = {
    "LoRA r = 8": lambda targets: LoraConfig(target_modules=targets, r=8, init_lora_weights=False),
    "CDVFT m = 2": lambda targets: CDVFTConfig(target_modules=targets, init_weights=False),
    "CDVFT m = 3": lambda targets: CDVFTConfig(target_modules=targets, init_weights=False, m=3),
    "CDVFT m = 2, p = 64": lambda targets: CDVFTConfig(
        target_modules=targets, init_weights=False, block_size=64
    ),
    "C3A b = 64": lambda targets: C3AConfig(target_modules=targets, block_size=64),
    "FourierFT n = 1000": lambda targets: FourierFTConfig(target_modules=targets, n_frequency=1000),
}
PROMPT = 32


def model(layers: int = 30, vocabulary: int = 49152) -> LlamaForCausalLM:
    torch.manual_seed(0)
    shape = {"num_hidden_layers": layers, "num_attention_heads": 9, "num_key_value_heads": 3}
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocabulary, hidden_size=576, intermediate_size=1536, tie_word_embeddings=True, **shape
        )
    ).eval()


def decoder(one: Any, device: torch.device | str = "cpu") -> Callable[[], None]:
    """One token at each call, always the first after the same prompt, so that every call costs alike."""
    token = torch.tensor([[7]], device=device)
    with torch.no_grad():
        prompt = torch.arange(PROMPT, device=device)[None]
        cache = one(input_ids=prompt, use_cache=True).past_key_values

    @torch.no_grad()
    def step() -> None:
        one(input_ids=token, past_key_values=cache, use_cache=True)
        cache.crop(-1)

    return step


def decoders(targets: Any, device: torch.device | str = "cpu", **size: int) -> dict[str, Callable[[], None]]:
    """The bare model and every method, each with a token behind it."""
    models = {"no adapter": model(**size)}
    models |= {name: get_peft_model(model(**size), make(targets)).eval() for name, make in METHODS.items()}
    steps = {name: decoder(one.to(device), device) for name, one in models.items()}
    for step in steps.values():
        step()
    return steps


def measure(targets: Any, seconds: float) -> dict[str, Any]:
    rounds = interleave(decoders(targets), seconds, least=15)
    return {
        "rounds": rounds.count,
        "milliseconds_without": round(1e3 * rounds.median("no adapter"), 2),
        "ratios": {name: rounds.ratio(name, "no adapter").__dict__ for name in METHODS},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    record = {
        "command": "OMP_NUM_THREADS=1 python -m benchmarks.decoding",
        "machine": machine(),
        "targets": {name: measure(targets, chosen.seconds) for name, targets in TARGETS.items()},
    }
    write_record(RESULTS, record)
    for name, found in record["targets"].items():
        print(f"{name}: {found['milliseconds_without']} ms a token without an adapter")
        for method, ratio in found["ratios"].items():
            print(f"  {method:20s} {ratio['median']:.2f} ({ratio['low']:.2f} to {ratio['high']:.2f})")


if __name__ == "__main__":
    main()
