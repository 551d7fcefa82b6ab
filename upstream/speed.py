"""Time a layer of the patched PEFT beside LoRA's, the bare layer's and its own left to autograd:

    python -m upstream.speed

One thread, float32, forward and backward with the gradient of the input, in turns (`benchmarks.rounds`);
medians of the rounds' ratios to the bare layer. Prints the table in README.md.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from upstream.check import HERE, apply, unpack

MEASURE = """
import torch
from benchmarks.rounds import interleave
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

def pass_through(layer, x, grad):
    def run():
        layer(x).backward(grad)
        for tensor in (x, *layer.parameters()):
            tensor.grad = None

    return run

torch.set_num_threads(1)
print("| width, tokens | LoRA r = 8 | CDVFT m = 2 | left to autograd |\\n|---|---|---|---|")
for width, tokens in ((768, 128), (768, 2048), (2048, 128), (2048, 2048)):
    layers = {"bare": nn.Linear(width, width).requires_grad_(False)}
    for name, config in (
        ("lora", LoraConfig(r=8, target_modules=["0"])), ("cdvft", CDVFTConfig(target_modules=["0"])),
        ("autograd", CDVFTConfig(target_modules=["0"])),
    ):
        layers[name] = get_peft_model(nn.Sequential(nn.Linear(width, width)), config).base_model.model[0]
    left_to_autograd(layers["autograd"])
    x = torch.randn(tokens, width, requires_grad=True)
    grad = torch.randn(tokens, width)
    runs = {name: pass_through(layer, x, grad) for name, layer in layers.items()}
    rounds = interleave(runs, seconds=20, least=7)
    others = (rounds.ratio(name, "bare").median for name in layers if name != "bare")
    print(f"| {width}, {tokens:,} |", *(f"{other:.2f} |" for other in others), flush=True)
"""


def main() -> int:
    """Exit status of the measurement."""
    with tempfile.TemporaryDirectory() as scratch:
        tree = unpack(Path(scratch))
        apply(tree)
        path = os.pathsep.join([str(tree / "src"), str(HERE.parent)])  # the patched PEFT first
        environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
        return subprocess.run([sys.executable, "-P", "-c", MEASURE], env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
