"""Record finished runs of the store as those that the Factors tab shows before anybody has run one.

    python -m benchmarks.record_factors cdvft=RUN_ID:9 lora=RUN_ID:2 ... blocks=RUN_ID:3:attention
    python -m benchmarks.record_factors digits=RUN_ID:3:qkv
    python -m benchmarks.record_factors effects [KEY ...]
    python -m benchmarks.record_factors seeds

KEY=RUN_ID:COUNT[:PART] keeps COUNT snapshots of a run, evenly spaced, first and last included, without the
layers that have PART in their names. Runs that were recorded before stay, and stand before new ones. Vectors
are rounded to float16 (three digits), and every number that is recorded is computed from the rounded ones.

`effects` writes what the recorded runs do to inputs and answers, or these of them, with the spread over seeds
that benchmarks/effects.py measured; `seeds` only the latter, anew. The weights of one race ship with the
program; the other runs are trained again by their settings, and recorded anew.
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
import torch
from safetensors.numpy import save_file

from benchmarks.machine import rounded, write_compact
from benchmarks.trained import train_into
from cdvft_app import catalog
from cdvft_app.catalog.backbones import load_text_backbone
from cdvft_app.inspection import effects, examples, frozen, layers, numbers
from cdvft_app.inspection.sources import EFFECTS, RECORDED, LiveRun, RecordedRun, find, recorded_keys
from cdvft_app.payloads.factors import SeedEffects, Together, WalkAnswers
from cdvft_app.results import finished_run
from cdvft_app.settings import RunSettings
from cdvft_app.store.runs import RunStore

SENTENCES = ("a gripping, funny and deeply human film", "the plot is dull and no joke lands")
SHORT = "dull, but funny"
"""For layers with wide inputs."""
WIDE = 768
WALKED = ("cdvft", "lora")  # whose layers the page goes through stage by stage
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


def record_inputs(model: str, keys: list[str]) -> None:
    """Write what the layers of all recorded runs receive for the sentences, and their weights' norms."""
    backbone = load_text_backbone(catalog.get_model(model))
    every = {layer.module: layer for key in keys for layer in layers.layers(RecordedRun(key))}
    arrays: dict[str, np.ndarray] = {}
    found = []
    for place, text in enumerate((*SENTENCES, SHORT)):
        wide = text == SHORT
        modules = [m for m, layer in every.items() if (max(layer.d_in, layer.d_out) >= WIDE) == wide]
        if not modules:
            continue
        encoded = dict(backbone.tokenizer(text, return_tensors="pt"))
        seen = frozen.run(backbone.model, modules, encoded)
        keys_by_content: dict[bytes, str] = {}
        inputs = {}
        for module, (x, _) in seen.items():  # query, key and value receive the same
            content = half(x.numpy())
            inputs[module] = keys_by_content.setdefault(content.tobytes(), f"{place}.{len(keys_by_content)}")
            arrays[inputs[module]] = content
        tokens = backbone.tokenizer.convert_ids_to_tokens(encoded["input_ids"][0])
        outputs = {module: y.norm(dim=-1).tolist() for module, (_, y) in seen.items()}
        found.append({"text": text, "tokens": list(tokens), "inputs": inputs, "outputs": outputs})
    weights = {
        module: float(torch.linalg.matrix_norm(frozen.find_submodule(backbone.model, module).weight.detach()))
        for module in every
    }
    save_file(arrays, RECORDED / f"{model}.inputs.safetensors")
    file = RECORDED / f"{model}.inputs.json"
    write_compact(file, rounded({"weights": weights, "examples": found}))


def record_image(model: str, keys: list[str]) -> None:
    """Write what layers of recorded runs receive for the first image, and their weights' norms.

    It is every fourth layer, the last included, and those that are shown first: the files are to stay small.
    """
    run = RecordedRun(keys[0])
    modules = sorted(
        {layer.module for key in keys for layer in layers.layers(RecordedRun(key))}, key=layers.natural_order
    )
    recorded_images = frozen.images(run)
    chosen = {*modules[::-4], *(RecordedRun(key).first() for key in keys)}
    received = {module: frozen.patch_inputs(run, module, 0) for module in modules if module in chosen}
    known = {
        "weights": frozen.weight_norms(run, modules),
        "examples": [],
        "images": recorded_images | {"images": recorded_images["images"][:1]},
        "patches": {
            "tokens": received[modules[-1]]["tokens"],
            "outputs": {module: one["output_norms"] for module, one in received.items()},
        },
    }
    arrays = {
        module: half(np.frombuffer(base64.b64decode(one["data"]), "<f4").reshape(-1, one["width"]))
        for module, one in received.items()
    }
    save_file(arrays, RECORDED / f"{model}.inputs.safetensors")
    file = RECORDED / f"{model}.inputs.json"
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
            "seeds": {key: measured_seeds(RecordedRun(key)) for key in runs},
            "together": together,
            "walk": {
                key: _walks(_opened(key, one), key)
                for key, one in runs.items()
                if RecordedRun(key).settings.method.key in WALKED
            },
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


def record_seeds() -> None:
    """Write the spread over seeds anew, and leave the rest of effects.json.gz as it is."""
    known = _read_effects()
    _write_effects(known | {"seeds": {key: measured_seeds(RecordedRun(key)) for key in known["effects"]}})


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


def _walks(runs: effects.OpenedRuns, key: str) -> dict[str, dict[str, WalkAnswers]]:
    """By layer, and by the recorded sentence, or the recorded image's number."""
    run = RecordedRun(key)
    return {
        module: {text: effects.walk(runs, module, text) for text in examples.texts(run, module)}
        | (
            {"0": effects.walk(runs, module, frozen.image(run, 0))}
            if examples.patches(run, module, 0)
            else {}
        )
        for module in runs.measured
    }


def measured_seeds(run: RecordedRun) -> SeedEffects:
    """The spread over the seeds that are measured of runs like it, which are its recipe's own."""
    file = Path(__file__).parent / "results" / "effects.json"
    runs = json.loads(file.read_text(encoding="utf-8"))["runs"] if file.is_file() else []
    settings, asked = run.settings, RunSettings(recipe=run.settings.recipe, method=run.settings.method.key)
    usual = catalog.resolve(asked).settings
    alike = [
        one["summary"]
        for one in runs
        if (one["recipe"], one["method"]) == (settings.recipe, settings.method.key)
        and (settings.method, settings.target_modules) == (usual.method, usual.target_modules)
    ]
    return {"summaries": alike, "next": None, "sentence": effects.over_seeds(alike)}


def main(arguments: list[str]) -> None:
    store = RunStore.default()
    RECORDED.mkdir(exist_ok=True)
    if arguments[:1] == ["effects"]:
        return record_effects(store, arguments[1:] or list(recorded_keys()))
    if arguments == ["seeds"]:
        return record_seeds()
    keys, models = list(recorded_keys()), {}
    for argument in arguments:
        key, _, rest = argument.partition("=")
        run_id, count, left_out, *_ = [*rest.split(":"), "", ""]
        run = find(store, run_id)
        if not isinstance(run, LiveRun) or run.record.state != "finished":
            sys.exit(f"{argument}: only finished runs of the store are recorded.")
        record(key, run, int(count), left_out)
        if key not in keys:
            keys.append(key)
        models[run.settings.model] = record_inputs if run.settings.image_size is None else record_image
    (RECORDED / "index.json").write_text(json.dumps(keys) + "\n")
    for model, write in models.items():
        write(model, [key for key in keys if RecordedRun(key).settings.model == model])
    sizes = {file.name: file.stat().st_size for file in sorted(Path(RECORDED).iterdir())}
    for name, size in sizes.items():
        print(f"{size:10,}  {name}")
    print(f"{sum(sizes.values()):10,}  together")


if __name__ == "__main__":
    main(sys.argv[1:])
