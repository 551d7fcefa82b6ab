"""The parts of Gradio that are not public, each with the reason; only here submodules of it are imported.

Any release may change one: `tests/cdvft_app/ui/test_gradio_adapter.py` tells which is gone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
from gradio import http_server
from gradio.blocks import Block, BlockContext, BlockFunction, BlocksConfig
from gradio.components.api_component import Api
from gradio.context import Context, LocalContext
from gradio.exceptions import ServerFailedToStartError
from gradio.processing_utils import hash_file
from gradio.state_holder import SessionState, StateHolder
from gradio.utils import get_upload_folder

__all__ = [
    "Api",
    "Block",
    "BlockContext",
    "BlockFunction",
    "BlocksConfig",
    "ServerFailedToStartError",
    "SessionState",
    "StateHolder",
    "get_upload_folder",
    "hash_file",
    "http_server",
]
NAMES = {
    "gradio.context:Context.root_block": "which page is being built",
    "gradio.context:LocalContext.request": "who asks, where a function is handed no request (#4401, #5625)",
    "gradio.blocks:Blocks.validate_inputs": "what a plain HTTP call leaves out has its default",
    "gradio.blocks:Blocks.process_api": "every call ends in an answer or in a sentence",
    "gradio.blocks:Blocks.default_config": "sessions share the page's components",
    "gradio.blocks:Blocks._queue": "how many events of one visitor wait; max_size is for all (#2036)",
    "gradio.blocks:BlocksConfig.config_for_block": "300 kB that Gradio keeps of each session (#8030, #11602)",
    "gradio.blocks:BlockFunction.fn": "listeners that wait in no queue run in a pool of their own",
    "gradio.state_holder:StateHolder.session_data": "a visitor evicts its own sessions",
    "gradio.state_holder:StateHolder.time_last_used": "with what Gradio knows of them",
    "gradio.state_holder:StateHolder.set_blocks": "what sessions are copies of",
    "gradio.state_holder:SessionState.config_values": "emptied: see config_for_block",
    "gradio.queueing:Queue.event_queue_per_concurrency_id": "events that wait",
    "gradio.queueing:Queue.pending_event_ids_session": "sessions whose events are all answered are forgotten",
    "gradio.queueing:Queue.pending_messages_per_session": "with their messages",
    "gradio.queueing:Queue.compute_analytics_summary": "calculated after each event, of 10,000",
    "gradio.queueing:Queue.sleep_when_free": "an idle server rests",
    "gradio.queueing:Queue.progress_update_sleep_when_free": "the same",
    "gradio.routes:App.state_holder": "where Gradio keeps sessions",
    "gradio.routes:App.tokens": "who is logged in, for a route of our own",
    "gradio.routes:App.cookie_id": "the login's cookie",
    "gradio.routes:App.uploaded_file_dir": "how much is uploaded",
    "gradio.http_server:Server.run_in_thread": "a busy machine is waited for, longer than 5 seconds (#4624)",
    "gradio.components.api_component:Api": "a named endpoint is told from an event of the page",
    "gradio.processing_utils:hash_file": "the folder of Gradio's copy of a file, which goes with it",
    "gradio.utils:get_upload_folder": "where that folder is",
}
"""As "module:path"; a number is that of a public issue or pull request of gradio-app/gradio."""
SELECTORS = {
    "main": "the page's width and margins", "fillable": "the same", "tabitem": "the same, of a tab",
    "tab-wrapper": "the row of tabs", "tab-container": "the same",
    "wrap": "an input beside its label", "container": "the same", "input-container": "the same",
    "info-text": "the same", "html-container": "the same",
    "block-info": "an input's label, to mark the one that an error names",
    "form": "inputs without Gradio's frame", "block": "the same", "styler": "the same", "gap": "the same",
    "column": "the same",
    "prose": "sizes of text in Markdown", "katex": "sizes of formulas",
    "katex-display": "formulas too wide for a phone",
    "wrap-inner": "a dropdown as high as other inputs", "secondary-wrap": "the same",
    "icon-wrap": "its arrow", "remove-all": "its cross", "token": "its chosen items",
    "token-remove": "the name of their crosses, for screen readers",
    "checkbox-group": "the methods as chips", "selected": "the chosen one", "accordion-content": "folds",
    "icon": "their arrows", "open": "an open one",
}  # fmt: skip
"""Classes and test ids of Gradio's components that styles and scripts in `assets` select, and for what."""


def frontend_assets() -> Path:
    """Return the folder of the scripts and styles of Gradio's own page."""
    return Path(gr.__file__).parent / "templates" / "frontend" / "assets"


def page_being_built() -> gr.Blocks | None:
    """Return the Blocks that components are being added to; None outside."""
    return Context.root_block


def current_request() -> Any:
    """Return the request that is being answered; None outside of one. gr.Request is for arguments alone."""
    return LocalContext.request.get(None)


def answer_request(request: Any) -> None:
    """Let `current_request` be this one, for the task that answers it, as Gradio does for its own routes."""
    LocalContext.request.set(request)
