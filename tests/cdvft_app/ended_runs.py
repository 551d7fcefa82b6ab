"""A run as it is once it has ended, with all that its folder holds."""

from __future__ import annotations

from cdvft_app.events import Done, Evaluation, Note, Snapshot, Started, Step
from cdvft_app.settings import RunSettings
from cdvft_app.store.processes import this_process
from cdvft_app.store.runs import RunStore

EVENTS = (
    Started(2, 13_824, 770, 22_000_000, "CPU, 2 threads", "float32", 16, 8, "accuracy"),
    Step(1, 0.1, 0.5, 1e-3, 0.9, 1000.0),
    Snapshot(1, 0.1, "snapshots/step-000001.safetensors"),
    Step(2, 0.2, float("nan"), 1e-3, None, None),
    Evaluation(2, 0.2, 0.6, "accuracy", 0.5),
    Note("It went well."),
)


def trained(store: RunStore, token: str = "secret") -> str:
    """Its id."""
    (run,) = store.create([RunSettings(method="lora", seed=3)], token, "Films", this_process())
    store.make_folder(run.id)
    folder = store.folder(run.id)
    for name in ("adapter/adapter_model.safetensors", "snapshots/step-000001.safetensors"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"weights")
    for event in EVENTS:
        store.append(run.id, event)
    done = Done("finished", 2, 0.3, "accuracy", 0.5, 0.7, 9.0, 64, None, folder / "adapter")
    store.append(run.id, done)
    return run.id
