"""Number of steps, evaluations, and processes of a run, computed without torch."""

from __future__ import annotations

import math
import os

from cdvft_app.settings import RunSettings


def processes() -> int:
    """Return how many processes `accelerate launch` or `torchrun` started for this run."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def batch_per_process(settings: RunSettings) -> int:
    """Return the examples per process and step; `batch_size` is the total of all processes."""
    assert settings.batch_size  # settings are a plan's, and so complete
    return max(1, settings.batch_size // processes())


def examples_at_once(settings: RunSettings) -> int:
    """Return the examples per process and micro-batch."""
    return max(1, batch_per_process(settings) // (settings.gradient_accumulation or 1))


def total_steps(settings: RunSettings, examples: int) -> int:
    """Return the optimizer steps of a run on so many training examples."""
    assert settings.epochs
    per_process = math.ceil(examples / batch_per_process(settings))
    steps_per_epoch = math.ceil(per_process / processes())
    return settings.max_steps or math.ceil(settings.epochs * steps_per_epoch)


def evaluation_every(settings: RunSettings, steps: int) -> int:
    """Return the number of steps from one evaluation to the next; one more follows the last step."""
    return math.ceil(steps / settings.evaluations)


def evaluations(settings: RunSettings, steps: int) -> int:
    """Return how often a run of so many steps is evaluated, at most `settings.evaluations` times."""
    return math.ceil(steps / evaluation_every(settings, steps))
