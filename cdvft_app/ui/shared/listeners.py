"""Options of listeners that no queue holds back, and answers while somebody types."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr

_NUMBERED = (
    "(...values) => [...values.slice(0, -1), (window.cdvftRequests = (window.cdvftRequests ?? 0) + 1)]"
)
NUMBER = "newest request"
QUIET: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
"""Nobody's API, and no spinner over a field."""
LATEST: dict[str, Any] = {**QUIET, "trigger_mode": "always_last"}
"""`QUIET`, and the last event that comes while an answer is under way is answered after it."""
OF_THE_ADDRESS = "(token) => ({ group: null, token })"
"""JavaScript: the value of a view that shows the sweep or search in the address, for this token."""


class DropStaleAnswers:
    """`answer(*inputs)` for `outputs`, as Gradio takes it; skipped where the same page has asked meanwhile.

    Gradio's trigger mode "always_last" holds a request back once the one before it is on its way. Those that
    come while the values of that one are gathered go out beside it, are begun and are answered in any order:
    the page numbers them.
    """

    def __init__(self, answer: Callable[..., Any], inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
        self._answer = answer
        self._inputs = [*inputs, gr.State({NUMBER: 0}), gr.Number(visible=False)]
        self._outputs = [*outputs]

    def listen(self, event: Callable[..., Any], **options: Any) -> Any:
        """Let a listener such as `field.change` ask."""
        return event(self.answered, self._inputs, self._outputs, js=_NUMBERED, **options)

    def answered(self, *values: Any) -> Any:
        """The answer to inputs, after which come what the page's session keeps and this request's number."""
        *inputs, page, number = values
        page[NUMBER] = max(page[NUMBER], number or 0)
        answer = self._answer(*inputs)
        if (number or 0) >= page[NUMBER]:
            return answer
        return [gr.skip()] * len(self._outputs) if len(self._outputs) > 1 else gr.skip()
