"""The state of every tab: store, queue, and the browser's token, by which it owns its runs."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from cdvft_app.catalog import Plan
from cdvft_app.executors.queue import RunQueue
from cdvft_app.prediction import Prediction, predict
from cdvft_app.store.replication import SECRET
from cdvft_app.store.runs import RunStore
from cdvft_app.ui.shared.gradio_adapter import page_being_built
from cdvft_app.ui.shared.viewing import viewer

LEARNED_FROM = 200  # finished runs
_TOKEN_KEY = "cdvft-token"  # of a browser's storage


@dataclass(frozen=True)
class AppState:
    """Shared by all visitors; everything that belongs to one visitor comes with each call.

    `store` finds what the visitor of the moment sees, see `viewing`.
    """

    store: RunStore
    queue: RunQueue
    secret: str

    @classmethod
    def make(cls, store: RunStore, queue: RunQueue) -> AppState:
        return cls(store.seen_by(viewer), queue, _load_secret(store.root))

    def predict(self, plans: Sequence[Plan]) -> list[Prediction | None]:
        """Return a prediction of each run, made from the latest runs and the steps measured here.

        It is made once for runs that differ in seed and rate alone, as theirs is the same.
        """
        finished, measured = self.store.finished(LEARNED_FROM), self.store.measurements.all()
        made: dict[str, Prediction | None] = {}
        promised = []
        for plan in plans:
            method = plan.settings.method.model_copy(update={"learning_rate": None})
            alike = plan.settings.model_copy(update={"seed": 0, "method": method}).model_dump_json()
            if alike not in made:
                made[alike] = predict(plan, finished, measured)
            promised.append(made[alike])
        return promised


@dataclass(frozen=True)
class OnVisit:
    """The listener of a tab that is first seen: `call(*inputs)` fills `outputs`; `then` gets the event.

    `js` runs in the browser before it asks.
    """

    call: Callable[..., Any]
    inputs: Sequence[Any]
    outputs: Sequence[Any]
    then: Callable[[Any], None] | None = None
    js: str | None = None


def _load_secret(folder: Path) -> str:
    """The key to what browsers remember. It is kept with the runs, so that a restart forgets no owner."""
    file = folder / SECRET
    if file.is_file() and not file.stat().st_size:
        file.unlink()  # its writer was killed, or its disk full
    unfinished = folder / f"{SECRET}.{secrets.token_hex(4)}"
    with os.fdopen(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as new:
        new.write(secrets.token_hex(16))
    with suppress(FileExistsError):
        os.link(unfinished, file)  # whole, and only if no other program was first
    unfinished.unlink()
    return file.read_text()


def visitor_token(app: AppState) -> gr.BrowserState:
    """Return the page's one component with the browser's token; every tab that asks gets the same."""
    page = page_being_built()
    for block in page.blocks.values() if page else ():
        if isinstance(block, gr.BrowserState) and block.storage_key == _TOKEN_KEY:
            return block
    return gr.BrowserState("", storage_key=_TOKEN_KEY, secret=app.secret)


def token_of(kept: object) -> str:
    """Return the token that a browser kept, or a new one where it kept none."""
    return kept if isinstance(kept, str) and kept else secrets.token_urlsafe(32)
