"""Expected errors of a run (downloads, input, memory) as sentences for the person who started it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from cdvft_app.catalog.download import DownloadFailed, DownloadStopped
from cdvft_app.events import Halt, TrainingFailed, TrainingPaused, TrainingStopped
from cdvft_app.settings import RunSettings
from cdvft_app.tasks.base import InvalidInput

OUT_OF_MEMORY_PHRASES = ("out of memory", "not enough memory", "can't allocate memory")


def halt_exception(should_stop: Callable[[], Halt]) -> Exception:
    """What ends a run that is asked to stop or pause before its first step."""
    return TrainingPaused() if should_stop() is Halt.PAUSE else TrainingStopped()


@contextmanager
def explained(settings: RunSettings, should_stop: Callable[[], Halt]) -> Iterator[None]:
    """Turn what can be expected to go wrong into a sentence for the person who started the run."""
    try:
        yield
    except DownloadStopped:
        raise halt_exception(should_stop) from None
    except (DownloadFailed, InvalidInput) as error:
        raise TrainingFailed(str(error)) from error
    except (MemoryError, RuntimeError) as error:
        known = isinstance(error, MemoryError | torch.OutOfMemoryError)
        if not known and not any(words in str(error).lower() for words in OUT_OF_MEMORY_PHRASES):
            raise
        images = settings.image_size is not None
        size = f"{settings.image_size} pixels" if images else f"{settings.max_length} tokens"
        raise TrainingFailed(
            f"Out of memory with batches of {settings.batch_size} examples of up to {size}. "
            f"Try batches of {max(1, (settings.batch_size or 2) // 2)}, "
            f"a smaller {'image_size' if images else 'max_length'}, or fewer target modules."
        ) from error
