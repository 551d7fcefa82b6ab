"""How many steps, evaluations and processes a run has: said before anything is loaded, and without torch."""

from __future__ import annotations

import math
import os
from pathlib import Path

from cdvft_app.settings import RunSettings
from cdvft_app.settings.environment import environment

DRIVER = Path("/proc/driver/nvidia/gpus")


def processes() -> int:
    """Return how many processes a launcher such as `accelerate launch` started for this run."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def planned_processes(settings: RunSettings) -> int:
    """Return how many processes the page starts for a run: CDVFT_PROCESSES, else one, or one a GPU."""
    return environment().processes or (max(1, visible_gpus()) if settings.all_gpus else 1)


def gpus_to_choose() -> int:
    """Return how many GPUs a visitor may ask for together; 0 where there is no choice."""
    return 0 if environment().processes or visible_gpus() < 2 else visible_gpus()


def visible_gpus() -> int:
    """Return how many GPUs CUDA would find, as NVIDIA's driver lists them."""
    listed = len(list(DRIVER.iterdir())) if DRIVER.is_dir() else 0
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    return listed if chosen is None else min(listed, len([one for one in chosen.split(",") if one.strip()]))


def batch_per_process(settings: RunSettings, many: int | None = None) -> int:
    """Return how many examples each process takes of a step; the settings' batch is that of all together.

    `many` processes; None: as many as a launcher started.
    """
    assert settings.batch_size  # settings are a plan's, and so complete
    return max(1, settings.batch_size // (many or processes()))


def examples_at_once(settings: RunSettings, many: int | None = None) -> int:
    """Return how many examples each process reads together: a step's batch comes in `gradient_accumulation`
    parts."""
    return max(1, batch_per_process(settings, many) // (settings.gradient_accumulation or 1))


def total_steps(settings: RunSettings, examples: int, many: int | None = None) -> int:
    """Optimizer steps of a run on so many training examples; `many` as for `batch_per_process`."""
    assert settings.epochs
    per_process = math.ceil(examples / batch_per_process(settings, many))
    steps_per_epoch = math.ceil(per_process / (many or processes()))
    return settings.max_steps or math.ceil(settings.epochs * steps_per_epoch)


def evaluation_every(settings: RunSettings, steps: int) -> int:
    """Return the number of steps from one evaluation to the next; one more follows the last step."""
    return math.ceil(steps / settings.evaluations)


def evaluations(settings: RunSettings, steps: int) -> int:
    """Return how often a run of so many steps is evaluated, at most `settings.evaluations` times."""
    return math.ceil(steps / evaluation_every(settings, steps))
