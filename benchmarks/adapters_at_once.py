"""Do small adapters matter when all are small? 1, 100 and 10,000 of one base, on disk and in memory.

    OMP_NUM_THREADS=1 python -m benchmarks.adapters_at_once [--most 10000]

The base is a BERT of MiniLM's shape with random weights, adapted on query and value as in the recipe
`sentiment`. An adapter is saved by PEFT as many times as are counted; the bytes are those of its folders,
and those that the disk sets apart for them; the memory is what the process grew by when all were read.
Reading one (safetensors, files in the page cache) and switching the model to one that is in memory are timed
in turns, in one process and on one thread, by its CPU time, so that their ratios are comparable; the seconds
are of the machine that is recorded. Writes benchmarks/results/adapters_at_once.json.
"""

from __future__ import annotations

import argparse
import gc
import json
import shutil
import tempfile
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import psutil
import torch
from peft import C3AConfig, FourierFTConfig, LoraConfig, PeftModel, get_peft_model, set_peft_model_state_dict
from safetensors.torch import load_file
from torch import Tensor
from transformers import BertConfig, BertModel

from benchmarks.machine import machine, write_record
from benchmarks.rounds import interleave
from cdvft import CDVFTConfig

RESULTS = Path(__file__).parent / "results" / "adapters_at_once.json"
COUNTS = (1, 100, 10_000)
TIMED = 100  # adapters of each method that are read and switched in turns
TARGETS = ["query", "value"]
METHODS: dict[str, tuple[str, Callable[[], Any]]] = {
    "cdvft": ("CDVFT m = 2", lambda: CDVFTConfig(target_modules=TARGETS, init_weights=False)),
    "lora": ("LoRA r = 8", lambda: LoraConfig(target_modules=TARGETS, r=8, init_lora_weights=False)),
    "fourierft": ("FourierFT n = 1000", lambda: FourierFTConfig(target_modules=TARGETS, n_frequency=1000)),
    "c3a": ("C3A b = 384", lambda: C3AConfig(target_modules=TARGETS, block_size=384)),
}
WEIGHTS = "adapter_model.safetensors"


def base() -> BertModel:
    torch.manual_seed(0)
    shape = {"num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536}
    return BertModel(BertConfig(hidden_size=384, **shape)).eval()


def copies(model: PeftModel, folder: Path, count: int) -> list[Path]:
    """The adapter saved once by PEFT and copied; a server has as many different ones."""
    first = folder / "0"
    model.save_pretrained(first)
    (first / "README.md").unlink(missing_ok=True)  # an empty model card
    for place in range(1, count):
        shutil.copytree(first, folder / str(place))
    return [folder / str(place) / WEIGHTS for place in range(count)]


def on_disk(files: list[Path]) -> dict[str, int]:
    """Bytes of all files in the adapters' folders, and of the blocks that hold them."""
    found = [one.stat() for file in files for one in file.parent.iterdir()]
    return {
        "bytes": sum(one.st_size for one in found),
        "disk_bytes": sum(512 * one.st_blocks for one in found),
    }


def in_memory(files: list[Path]) -> dict[str, float]:
    """The bytes that the process grows by when all are read, and the CPU seconds that reading takes."""
    process = psutil.Process()
    load_file(files[0])  # the reader's own memory, which is none of the adapters'
    gc.collect()
    before, began = process.memory_info().rss, time.process_time()
    held = [{name: one.clone() for name, one in load_file(file).items()} for file in files]
    return {
        "memory_bytes": process.memory_info().rss - before,
        "tensor_bytes": sum(one.nbytes for state in held for one in state.values()),
        "load_cpu_seconds": round(time.process_time() - began, 3),
    }


def counted(model: PeftModel, most: int) -> dict[str, dict[str, float]]:
    """The bytes on disk and in memory for each count up to `most`."""
    found = {}
    for count in COUNTS:
        if count <= most:
            folder = Path(tempfile.mkdtemp())
            try:
                files = copies(model, folder, count)
                with get_context("fork").Pool(1) as alone:  # whose memory holds nothing of those before
                    found[str(count)] = on_disk(files) | alone.apply(in_memory, [files])
            finally:
                shutil.rmtree(folder)
    return found


def reader(files: list[Path], turn: list[int]) -> Callable[[], None]:
    def read() -> None:
        turn[0] = (turn[0] + 1) % len(files)
        load_file(files[turn[0]])

    return read


def switcher(model: PeftModel, states: list[dict[str, Tensor]], turn: list[int]) -> Callable[[], None]:
    def switch() -> None:
        turn[0] = (turn[0] + 1) % len(states)
        set_peft_model_state_dict(model, states[turn[0]])

    return switch


def timed(models: dict[str, PeftModel], seconds: float) -> dict[str, Any]:
    """Medians of reading and of switching, and their ratios within rounds to CDVFT's."""
    folder = Path(tempfile.mkdtemp())
    found: dict[str, Any] = {}
    try:
        files = {name: copies(model, folder / name, TIMED) for name, model in models.items()}
        states = {name: [load_file(file) for file in own] for name, own in files.items()}
        turns = {
            "load": {name: reader(own, [0]) for name, own in files.items()},
            "switch": {name: switcher(models[name], own, [0]) for name, own in states.items()},
        }
        for what, candidates in turns.items():
            rounds = interleave(candidates, seconds)
            found[what] = {
                "rounds": rounds.count,
                "seconds": {name: round(rounds.median(name), 7) for name in candidates},
                "over_cdvft": {name: vars(rounds.ratio(name, "cdvft")) for name in candidates},
            }
    finally:
        shutil.rmtree(folder)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--most", type=int, default=COUNTS[-1], help="the largest count that is written")
    parser.add_argument("--seconds", type=float, default=20, help="of reading, and of switching")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    models = {name: get_peft_model(base(), make()).eval() for name, (_, make) in METHODS.items()}
    record = {
        "command": "OMP_NUM_THREADS=1 python -m benchmarks.adapters_at_once",
        "date": time.strftime("%Y-%m-%d"),
        "machine": machine(),
        "base": "BERT of MiniLM's shape (384 wide, 6 layers), query and value",
        "base_bytes": sum(one.nbytes for one in base().parameters()),
        "methods": {},
        **timed(models, chosen.seconds),
    }
    for name, model in models.items():
        record["methods"][name] = {
            "label": METHODS[name][0],
            "parameters": model.get_nb_trainable_parameters()[0],
            "counts": counted(model, chosen.most),
        }
        print(name, json.dumps(record["methods"][name]), flush=True)
    write_record(RESULTS, record)
    print(f"Wrote {RESULTS.name}.")


if __name__ == "__main__":
    main()
