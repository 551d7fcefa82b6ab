"""The page: the header, the tabs, the API."""

from __future__ import annotations

import inspect
from types import ModuleType

import gradio as gr

from cdvft_app.ui import api
from cdvft_app.ui.compare import tab as compare
from cdvft_app.ui.factors import tab as factors
from cdvft_app.ui.header import TITLE, header
from cdvft_app.ui.learn import tab as learn
from cdvft_app.ui.shared import server_functions
from cdvft_app.ui.shared.listeners import LATEST
from cdvft_app.ui.shared.named_endpoint import AnsweringBlocks
from cdvft_app.ui.shared.pool import Pool
from cdvft_app.ui.shared.state import AppState
from cdvft_app.ui.train import tab as train
from cdvft_app.ui.use import tab as use

# A tab is a module with TITLE and build(app), which lays it out, connects it, and may return an OnVisit.
# Its place in the address is its folder's name: ?tab=train. Tabs know nothing of each other.
TABS: tuple[ModuleType, ...] = (train, compare, use, factors, learn)

# Keeps the address in step with the tab that is looked at. What it returns, the value of the tab's part of
# `seen`, changes when the tab is to be filled: when it is first seen, and when a link of the page led to it.
_SELECTED = """
() => import("cdvft/shared/router.js").then(({{ tabSelected }}) => {unseen} + tabSelected("{tab}"))
"""


def build(app: AppState) -> gr.Blocks:
    """Return the page over this store and queue; `launch` it with `launching.launch_arguments()`."""
    names = [_name(tab) for tab in TABS]
    with AnsweringBlocks(
        title=TITLE, analytics_enabled=False, fill_width=True, delete_cache=(3600, 86400)
    ) as page:
        header(app)
        seen = {name: gr.Number(0, visible=False) for name in names}
        with gr.Tabs(elem_id="tabs", selected=names[0]):
            visits = []
            for tab, name in zip(TABS, names, strict=True):
                with gr.Tab(tab.TITLE, id=name, elem_id=f"tab-{name}") as item:
                    visit = tab.build(app)
                # Every event costs the browser time for each field that one before it filled, so that tabs
                # are filled when they are first seen, but for the one that a page begins with.
                at_load = [page.load] if name == names[0] else []
                js = _SELECTED.format(unseen=0 if at_load else 1, tab=name)
                item.select(None, None, seen[name], js=js)
                visits.append(([*at_load, seen[name].change], visit))

        for begins, visit in visits:
            if visit is None:
                continue
            # Also a link that is followed while the first answer is under way.
            filled = gr.on(begins, visit.call, visit.inputs, visit.outputs, js=visit.js, **LATEST)
            if visit.then:
                visit.then(filled)
        api.register(app)
    page.studio = app
    _share_threads(page)
    return page


def _share_threads(page: gr.Blocks) -> None:
    """Let the events that wait in no queue, such as a form's while one types, run in a pool of their own."""
    pool = Pool(12, 600, server_functions.BUSY, share=(4, 200))
    for handler in page.fns.values():
        if handler.fn is not None and not handler.queue and not inspect.iscoroutinefunction(handler.fn):
            handler.fn = pool.handling(handler.fn)


def _name(tab: ModuleType) -> str:
    return str(tab.__package__).rpartition(".")[2]
