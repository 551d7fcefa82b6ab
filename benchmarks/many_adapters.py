"""What a batch costs whose rows each name an adapter of their own, and how many adapters fit beside one base.

    OMP_NUM_THREADS=1 python -m benchmarks.many_adapters [--seconds 60] [--adapters 1000]

First one layer with 64 adapters, a row each: all of CDVFT's at once, the same adapters in a loop as PEFT
writes it, and LoRA's loop. Then a server: a Llama of SmolLM2-135M's shape with random weights holds 1,000
adapters of q and v and answers batches of random requests. Methods take turns in one process. Writes
benchmarks/results/many_adapters.json.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import torch
from peft import LoraConfig, PeftConfig, get_peft_model
from torch import Tensor, nn

from benchmarks.decoding import model
from benchmarks.machine import machine, write_record
from benchmarks.rounds import interleave
from cdvft import CDVFTConfig, CDVFTLayer
from cdvft.kernels import cd_linear

RESULTS = Path(__file__).parent / "results" / "many_adapters.json"
AT_ONCE = 64
KINDS: list[dict[str, int]] = [{"m": 2}, {"m": 3}, {"m": 2, "block_size": 64}]
CASES = [
    *((width, tokens, KINDS[:1]) for width, tokens in [(768, 1), (768, 16), (2048, 1)]),
    *((768, 1, kinds) for kinds in [KINDS, KINDS[2:]]),
]
"""Width, tokens a row, and the kinds of adapters that take turns."""
TARGETS = ["q_proj", "v_proj"]
REQUESTS, PROMPT, NEW_TOKENS = 32, 16, 8


def adapted(width: int, configurations: list[PeftConfig]) -> nn.Module:
    """A linear layer with one adapter for each configuration, named by its number."""
    torch.manual_seed(0)
    base = nn.Sequential(nn.Linear(width, width, bias=False))
    layers = get_peft_model(base, configurations[0], adapter_name="0")
    for number, configuration in enumerate(configurations[1:], 1):
        layers.add_adapter(str(number), configuration)
    return layers.eval().base_model.model[0]


def in_a_loop(layer: Any, x: Tensor, names: list[str]) -> Tensor:
    """The same rows adapter by adapter, as PEFT's LoRA does it, and CDVFT did before rows were gathered."""
    result = layer.base_layer(x)
    for adapter in sorted(set(names)):
        rows = torch.tensor([name == adapter for name in names])
        shifted = result[rows] + cd_linear(x[rows], *layer.factors(adapter))
        result = result.masked_scatter(rows.view(-1, *[1] * (x.dim() - 1)), shifted)
    return result


def _discard(call: Callable[[], Any]) -> None:
    call()  # `interleave` takes what comes back for seconds


def measure_layer(width: int, tokens: int, kinds: list[dict[str, int]], seconds: float) -> dict[str, Any]:
    alike = [CDVFTConfig(target_modules=["0"], init_weights=False, **kind) for kind in kinds]
    ours = adapted(width, [alike[n % len(alike)] for n in range(AT_ONCE)])
    lora = adapted(width, [LoraConfig(target_modules=["0"], r=8, init_lora_weights=False)] * AT_ONCE)
    x, names = torch.randn(AT_ONCE, tokens, width), [str(n) for n in range(AT_ONCE)]
    calls: dict[str, Callable[[], Any]] = {
        "no adapter": lambda: ours.base_layer(x),
        "CDVFT": lambda: ours(x, adapter_names=names),
        "CDVFT in a loop": lambda: in_a_loop(ours, x, names),
        "LoRA r = 8": lambda: lora(x, adapter_names=names),
    }
    with torch.no_grad():
        torch.testing.assert_close(calls["CDVFT"](), calls["CDVFT in a loop"](), rtol=1e-4, atol=1e-4)
        rounds = interleave({name: partial(_discard, call) for name, call in calls.items()}, seconds, least=7)
    return {
        "width": width,
        "tokens a row": tokens,
        "kinds": kinds,
        "rounds": rounds.count,
        "milliseconds": {name: round(1e3 * rounds.median(name), 3) for name in calls},
        "loop by gathered": rounds.ratio("CDVFT in a loop", "CDVFT").__dict__,
        "LoRA by gathered": rounds.ratio("LoRA r = 8", "CDVFT").__dict__,
    }


def hold(tuner: Any, configuration: CDVFTConfig, adapters: int) -> None:
    """Add random adapters layer by layer.

    PEFT's `add_adapter` looks at every vector of every adapter that is there already.
    """
    layers = [layer for layer in tuner.modules() if isinstance(layer, CDVFTLayer)]
    for number in range(1, adapters):
        tuner.peft_config[str(number)] = configuration
        for layer in layers:
            layer.update_layer(str(number), configuration)


def answers(one: Any, names: Callable[[], list[str] | None]) -> Callable[[], None]:
    """A batch of prompts, each continued by a few tokens, for the adapters that are drawn at every call."""
    prompts = torch.randint(1, 49152, (REQUESTS, PROMPT), generator=torch.Generator().manual_seed(0))
    options = {"min_new_tokens": NEW_TOKENS, "max_new_tokens": NEW_TOKENS, "do_sample": False}

    def call() -> None:
        chosen = names()
        given = {"adapter_names": chosen} if chosen else {}
        one.generate(input_ids=prompts, attention_mask=torch.ones_like(prompts), **options, **given)

    return call


def measure_server(adapters: int, seconds: float) -> dict[str, Any]:
    configuration = CDVFTConfig(target_modules=TARGETS, init_weights=False, inference_mode=True)
    ours = get_peft_model(model(), configuration, adapter_name="0").eval()
    before = psutil.Process().memory_info().rss
    hold(ours.base_model, configuration, adapters)
    resident = psutil.Process().memory_info().rss - before
    configuration = LoraConfig(target_modules=TARGETS, r=8, init_lora_weights=False)
    lora = get_peft_model(model(), configuration, adapter_name="0").eval()
    for number in range(1, REQUESTS):
        lora.add_adapter(str(number), configuration)
    everyone, draw = [str(number) for number in range(adapters)], random.Random(0)
    candidates = {
        "no adapter": answers(model(), lambda: None),
        "one CDVFT adapter": answers(ours, lambda: None),
        f"CDVFT, {REQUESTS} of {adapters}": answers(ours, lambda: draw.sample(everyone, REQUESTS)),
        f"LoRA r = 8, {REQUESTS} of {REQUESTS}": answers(lora, lambda: everyone[:REQUESTS]),
    }
    rounds = interleave(candidates, seconds, least=3)
    return {
        "requests a batch": REQUESTS,
        "tokens of a prompt": PROMPT,
        "new tokens of a request": NEW_TOKENS,
        "rounds": rounds.count,
        "new tokens a second": {
            name: round(REQUESTS * NEW_TOKENS / rounds.median(name), 1) for name in candidates
        },
        "adapters": adapters,
        "bytes of one CDVFT adapter": size(ours, "cdvft_") // adapters,
        "bytes of one LoRA adapter": size(lora, "lora_") // REQUESTS,
        "bytes of all CDVFT adapters": size(ours, "cdvft_"),
        "resident bytes of all CDVFT adapters": resident,
        "bytes of the base": size(lora, "") - size(lora, "lora_"),
    }


def size(one: nn.Module, part: str) -> int:
    return sum(p.nbytes for name, p in one.named_parameters() if part in name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60, help="of every measurement")
    parser.add_argument("--adapters", type=int, default=1000)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    record = {
        "command": f"OMP_NUM_THREADS=1 python -m benchmarks.many_adapters --seconds {chosen.seconds:g}",
        "machine": machine(),
        "adapters at once": AT_ONCE,
        "layers": [measure_layer(*case, chosen.seconds / 4) for case in CASES],
        "server": measure_server(chosen.adapters, chosen.seconds),
    }
    write_record(RESULTS, record)
    print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
