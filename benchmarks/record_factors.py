"""Record finished runs of the store as those that the Factors tab shows before anybody has run one.

    python -m benchmarks.record_factors cdvft=RUN_ID:9 lora=RUN_ID:2 ... blocks=RUN_ID:3:attention
    python -m benchmarks.record_factors digits=RUN_ID:3:qkv
    python -m benchmarks.record_factors effects [KEY ...]

KEY=RUN_ID:COUNT[:PART] keeps COUNT snapshots of a run, evenly spaced, first and last included, without the
layers that have PART in their names. Runs that were recorded before stay, and stand before new ones. Vectors
are rounded to float16 (three digits), and every number that is recorded is computed from the rounded ones.

`effects` records what the recorded runs, or those named, do to inputs and predictions. The weights of one
race ship with the program. The other runs are retrained from their settings and recorded again.
"""

from __future__ import annotations

import base64
import gzip
import itertools
import json
import math
import os
import platform
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from benchmarks.machine import rounded, write_compact
from benchmarks.trained import train_into
from cdvft_app import catalog
from cdvft_app.inspection import effects, frozen, layers, numbers
from cdvft_app.inspection.sources import EFFECTS, RECORDED, LiveRun, RecordedRun, find, recorded_keys
from cdvft_app.payloads.factors import Together
from cdvft_app.results import finished_run
from cdvft_app.store.runs import RunStore

LEFT_OUT = {"blocks": "attention", "digits": "qkv"}  # layers of these runs that are not recorded


def half(array: np.ndarray) -> np.ndarray:
    """float16, and FourierFT's places as int16."""
    return array.astype(np.float16 if array.dtype.kind == "f" else np.int16)


def unless_zero(array: np.ndarray) -> np.ndarray:
    """The array; without entries if they are all zero, as at the start."""
    return array if array.any() else array.ravel()[:0]


def record(key: str, run: LiveRun, count: int, left_out: str) -> None:
    """Write one run's two files."""
    every = run.steps()
    steps = sorted({every[round(part * (len(every) - 1) / (count - 1))] for part in range(count)})
    tensors = {
        f"{step}/{name}": half(array) if step == steps[-1] else unless_zero(half(array))
        for step in steps
        for name, array in run.read(step).items()
        if not (left_out and left_out in name)
        and (step == steps[-1] or name.rpartition("/")[2] not in run.settings.method.fixed_vectors)
    }
    day = time.strftime("%d %B %Y", time.localtime(run.record.created))
    device = f"{run.record.device} ({platform.machine()}, {os.cpu_count()} CPU cores)"
    known = {
        "facts": run.facts()
        | {
            "name": catalog.get_recipe(run.settings.recipe).title,
            "group": f"recorded-{run.settings.recipe}",
            "recorded": f"{day} on {device}" + (f", without its {left_out} layers" if left_out else ""),
        },
        "settings": run.settings.model_dump(mode="json", exclude_none=True),
        "steps": steps,
        "losses": run.losses(),
    }
    file = RECORDED / f"{key}.json"
    save_file(tensors, RECORDED / f"{key}.safetensors")
    file.write_text(json.dumps(known))
    written = RecordedRun(key)
    found = layers.layers(written)
    singular = {layer.module: numbers.singular(written, layer) for layer in found}
    known["numbers"] = [numbers.numbers(written, layer, all_norms=True) for layer in found]
    known["effective_rank"] = {module: one["effective_rank"] for module, one in singular.items()}
    for module, one in singular.items():
        values = np.frombuffer(base64.b64decode(one["values"]), "<f4").reshape(-1, one["count"])
        tensors[f"singular/{module}"] = values.astype(np.float16)
    save_file(tensors, RECORDED / f"{key}.safetensors")
    write_compact(file, rounded(known))


def record_effects(store: RunStore, keys: list[str]) -> None:
    """Write effects.json.gz: of each of these recorded runs, and of those that changed the same layers for
    one task; what is known of others stays."""
    with tempfile.TemporaryDirectory() as folder, closing(RunStore(folder)) as own:
        runs = {}
        for key in keys:
            shipped = store.get(f"recorded-sentiment-{key}")
            runs[key] = finished_run.find(store, shipped.id) if shipped else trained_again(own, key)
        together = {key: _layers(_opened(key, one)) for key, one in runs.items()}
        for (key, one), (other_key, other) in itertools.combinations(runs.items(), 2):
            same_task = one.record.settings.recipe == other.record.settings.recipe
            if same_task and together[key].keys() == together[other_key].keys():
                together[f"{key} {other_key}"] = _layers(_opened(key, one, other))
        found: dict[str, dict[str, Any]] = {
            "effects": {
                key: effects.effects(_opened(key, one), seconds=math.inf) for key, one in runs.items()
            },
            "together": together,
        }
        known = _read_effects()
        _write_effects({part: known.get(part, {}) | own for part, own in found.items()})


def trained_again(store: RunStore, key: str) -> finished_run.FinishedRun:
    """A recorded run whose weights do not ship, trained by its settings and recorded anew."""
    before = RecordedRun(key)
    run_id = train_into(store, before.settings)
    live = find(store, run_id)
    assert isinstance(live, LiveRun)
    record(key, live, len(before.steps()), LEFT_OUT.get(key, ""))
    return finished_run.find(store, run_id)


def _read_effects() -> dict[str, Any]:
    file = RECORDED / EFFECTS
    return json.loads(gzip.decompress(file.read_bytes())) if file.is_file() else {}


def _write_effects(known: dict[str, Any]) -> None:
    text = json.dumps(rounded(known), separators=(",", ":"), ensure_ascii=False)
    (RECORDED / EFFECTS).write_bytes(gzip.compress(text.encode(), 9, mtime=0))


def _opened(key: str, *runs: finished_run.FinishedRun) -> effects.OpenedRuns:
    recorded = [layer.module for layer in layers.layers(RecordedRun(key))]
    return effects.OpenedRuns(runs, shown=recorded)


def _layers(runs: effects.OpenedRuns) -> dict[str, Together]:
    return {module: effects.together(runs, module) for module in runs.measured}


def main(arguments: list[str]) -> None:
    store = RunStore.default()
    RECORDED.mkdir(exist_ok=True)
    if arguments[:1] == ["effects"]:
        return record_effects(store, arguments[1:] or list(recorded_keys()))
    keys, runs = list(recorded_keys()), {}
    for argument in arguments:
        key, _, rest = argument.partition("=")
        run_id, count, left_out, *_ = [*rest.split(":"), "", ""]
        run = find(store, run_id)
        if not isinstance(run, LiveRun) or run.record.state != "finished":
            sys.exit(f"{argument}: only finished runs of the store are recorded.")
        record(key, run, int(count), left_out)
        if key not in keys:
            keys.append(key)
        runs[run.settings.model] = run
    (RECORDED / "index.json").write_text(json.dumps(keys) + "\n")
    for model, run in runs.items():
        modules = {
            layer.module
            for key in keys
            if RecordedRun(key).settings.model == model
            for layer in layers.layers(RecordedRun(key))
        }
        write_compact(RECORDED / f"{model}.weights.json", rounded(frozen.weight_norms(run, sorted(modules))))
    sizes = {file.name: file.stat().st_size for file in sorted(Path(RECORDED).iterdir())}
    for name, size in sizes.items():
        print(f"{size:10,}  {name}")
    print(f"{sum(sizes.values()):10,}  together")


if __name__ == "__main__":
    main(sys.argv[1:])
