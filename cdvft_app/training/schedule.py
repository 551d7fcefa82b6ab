"""How many steps, evaluations and processes a run has: said before anything is loaded, and without torch."""

from __future__ import annotations

import math
import os

from cdvft_app.settings import RunSettings

EVALUATIONS = 5
"""How often a run is evaluated, the final time included."""


def processes() -> int:
    """How many processes a launcher such as `accelerate launch` started for this run."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def batch_per_process(settings: RunSettings) -> int:
    """Examples that each process takes of a step; the settings' batch is that of all together."""
    assert settings.batch_size  # settings are a plan's, and so complete
    return max(1, settings.batch_size // processes())


def total_steps(settings: RunSettings, examples: int) -> int:
    """Optimizer steps of a run on so many training examples."""
    assert settings.epochs
    steps_per_epoch = math.ceil(math.ceil(examples / batch_per_process(settings)) / processes())
    return settings.max_steps or math.ceil(settings.epochs * steps_per_epoch)


def evaluation_every(steps: int) -> int:
    """Steps from one evaluation to the next; one more follows the last step."""
    return math.ceil(steps / EVALUATIONS)


def evaluations(steps: int) -> int:
    """How often a run of so many steps is evaluated."""
    return math.ceil(steps / evaluation_every(steps))
