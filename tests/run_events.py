"""What a run tells the store, with the usual facts; a test names those that it is about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cdvft_app.events import Done, Started, Step


def started(steps: int = 4, **facts: Any) -> Started:
    """`steps` are to be made."""
    usual = {
        "trainable_parameters": 10, "head_parameters": 5, "base_parameters": 100, "device": "CPU, 2 threads",
        "precision": "float32", "train_examples": 8, "evaluation_examples": 8, "metric_name": "accuracy",
    }  # fmt: skip
    return Started(steps, **{**usual, **facts})


def step(number: int, loss: float = 0.5, **facts: Any) -> Step:
    """The step of that number, each of which takes a tenth of a second."""
    usual = {"seconds": number / 10, "learning_rate": 1e-3, "gradient_norm": None, "throughput": None}
    return Step(number, loss=loss, **{**usual, **facts})


def done(steps: int = 4, adapter: Path = Path("adapter"), **facts: Any) -> Done:
    """The end after so many steps."""
    usual = {
        "state": "finished", "seconds": steps / 10, "metric_name": "accuracy", "metric": 0.75,
        "train_loss": 0.5, "examples_per_second": 9.0, "adapter_bytes": 40, "peak_memory_bytes": None,
    }  # fmt: skip
    return Done(step=steps, adapter_folder=adapter, **{**usual, **facts})
