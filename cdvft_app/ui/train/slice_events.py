"""Events by which a page trains its runs a slice at a time, so that the GPU's time is its visitor's."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from anyio import to_thread

from cdvft_app.store.runs import RunStore
from cdvft_app.training.slices import Slices
from cdvft_app.ui.shared.component import telling
from cdvft_app.ui.shared.state import AppState

AT_ONCE = 16  # each holds one of the page's 40 threads


def connect(app: AppState, view: Any, token: Any, run_ids_of: Callable[[Any], list[str]]) -> None:
    """Let the view's event `next_slice` train one; does nothing where runs train by themselves."""
    slices = app.queue.slices
    if slices is None:
        return

    async def train_slice(shown_value: Any, mine: str) -> AsyncIterator[None]:
        run_id = due(app.store, slices, run_ids_of(shown_value), mine)
        if run_id is None:
            return
        news = slices.drive(run_id)
        try:
            # Gradio closes this generator at a yield when the page is closed.
            while await to_thread.run_sync(next, news, None) is not None:
                yield
        finally:
            await to_thread.run_sync(news.close)

    view.next_slice(
        train_slice,
        [view, token],
        None,
        show_progress="hidden",
        trigger_mode="once",
        concurrency_limit=AT_ONCE,
        api_visibility="private",
    ).then(None, None, None, js=telling("slice-ended"))


def due(store: RunStore, slices: Slices, run_ids: Sequence[str], token: object) -> str | None:
    """The run whose next slice the page of this token is to ask for, of those that it shows and owns."""
    return slices.due(run_id for run_id in run_ids if store.owner(run_id, token))
