"""Trains a tiny causal model on rounded bases (method:bits ...) and prints what came of it: for a test."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

from cdvft_app.catalog import get_model, libraries, resolve
from cdvft_app.catalog.dataset_readers import Rows
from cdvft_app.events import Started
from cdvft_app.settings import RunSettings

with libraries.uncollected():
    import tiny_models
    from listening import run
    from peft.tuners.tuners_utils import BaseTunerLayer

    from cdvft_app.training import trainable


def moved(plan, folder: Path) -> float:
    """The norms of all updates together, which start at zero."""
    _, model = trainable.load_trained(plan, folder)
    layers = [module for module in model.modules() if isinstance(module, BaseTunerLayer)]
    return sum(float(layer.get_delta_weight("default").norm()) for layer in layers)


def main(folder: Path, cases: list[str]) -> None:
    (folder / "model").mkdir()
    model = tiny_models.causal(folder / "model", hidden=64)  # bitsandbytes rounds blocks of 64 weights
    entry = dataclasses.replace(get_model("smollm2"), source="local", location=str(model))
    rows = Rows(tiny_models.numbers(24, seed=1), tiny_models.numbers(8, seed=2), (), None)
    told = {}
    for method, bits in ((case.partition(":")[0], int(case.partition(":")[2])) for case in cases):
        chosen = {"max_steps": 3, "batch_size": 8, "max_length": 128, "fourierft_n": 40, "lora_r": 2}
        plan = resolve(RunSettings(recipe="addresses", method=method, bits=bits, **chosen))
        plan = dataclasses.replace(plan, model=entry)
        heard, done = run(plan, rows, folder / f"{method}{bits}")
        (answer,) = trainable.load_trained(plan, done.adapter_folder)[0].predict(["go go 1"])
        told[f"{method} {bits}"] = {
            "losses": list(heard.losses().values()),
            "base": heard.of(Started)[0].base_parameters,
            "answer": answer.text,
            "moved": moved(plan, done.adapter_folder),
        }
    print(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
