"""Time a layer of the patched PEFT beside LoRA's, the bare layer's and its own left to autograd:

    python -m upstream.speed

One thread, float32, forward and backward with the gradient of the input; medians of interleaved rounds, as
ratios to the bare layer. Prints the table in README.md.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from upstream.check import apply, unpack

MEASURE = """
import statistics, time
import torch
from peft import CDVFTConfig, LoraConfig, get_peft_model
from peft.tuners.cdvft.layer import _block_circulant_matmul
from torch import nn

def left_to_autograd(layer):
    def get_update(x, name):
        diagonals, circulants = layer._get_factors(name)
        x = x * diagonals[0]
        for c, a in zip(circulants, diagonals[1:]):
            x = _block_circulant_matmul(x, c, a.numel()) * a
        return layer.cdvft_alpha[name] * x

    layer._get_update = get_update

torch.set_num_threads(1)
print("| width, tokens | LoRA r = 8 | CDVFT m = 2 | left to autograd |\\n|---|---|---|---|")
for width, tokens, rounds in ((768, 128, 200), (768, 2048, 20), (2048, 128, 60), (2048, 2048, 7)):
    layers = {"bare": nn.Linear(width, width).requires_grad_(False)}
    for name, config in (
        ("lora", LoraConfig(r=8, target_modules=["0"])), ("cdvft", CDVFTConfig(target_modules=["0"])),
        ("autograd", CDVFTConfig(target_modules=["0"])),
    ):
        layers[name] = get_peft_model(nn.Sequential(nn.Linear(width, width)), config).base_model.model[0]
    left_to_autograd(layers["autograd"])
    x = torch.randn(tokens, width, requires_grad=True)
    grad = torch.randn(tokens, width)
    seconds = {name: [] for name in layers}
    for _ in range(rounds):
        for name, layer in layers.items():
            start = time.process_time()
            layer(x).backward(grad)
            seconds[name].append(time.process_time() - start)
    bare, *others = (statistics.median(found) for found in seconds.values())
    print(f"| {width}, {tokens:,} |", *(f"{other / bare:.2f} |" for other in others), flush=True)
"""


def main() -> int:
    """Exit status of the measurement."""
    with tempfile.TemporaryDirectory() as scratch:
        tree = unpack(Path(scratch))
        apply(tree)
        environment = {**os.environ, "PYTHONPATH": str(tree / "src"), "OMP_NUM_THREADS": "1"}
        return subprocess.run([sys.executable, "-P", "-c", MEASURE], env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
