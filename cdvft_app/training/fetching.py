"""Everything that a run loads, loaded once beside the page: so that a lent GPU waits for no download."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator

from cdvft_app.events import Preparing
from cdvft_app.settings import RunSettings
from cdvft_app.training.children import messages

EVERY = 1.0  # seconds after which one looks whether to go on, though nothing is told

Fetch = Callable[[str, RunSettings], Generator[Preparing | None]]


def fetch(root: str, settings: RunSettings) -> Generator[Preparing | None]:
    """Load model and data in a process of its own, which leaves what it fetched in the caches.

    Args:
        root: the store's folder, where data of one's own lies.
        settings: of the run.

    Raises:
        DownloadFailed, InvalidInput: as in training, in a sentence for the run's owner.
        ChildEnded: the process was killed.
    """
    return messages(_load, root, settings, every=EVERY)


def _load(send: Callable[[Preparing], None], root: str, settings: RunSettings) -> None:
    os.environ["RUNS_DIR"] = root

    from cdvft_app.catalog import resolve
    from cdvft_app.catalog.download import never
    from cdvft_app.tasks.prepare import prepare

    prepare(resolve(settings), lambda fraction, text: send(Preparing(text, fraction)), never)
