"""A function as a named endpoint, which is also a tool for agents, and what every call is answered with."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import gradio as gr

from cdvft_app.ui.shared.gradio_adapter import Api, BlockFunction
from cdvft_app.ui.shared.problem import refusal

if TYPE_CHECKING:
    from cdvft_app.ui.shared.state import AppState

_OF_A_PARAMETER = 4  # spaces, below "Args:"
FAILED = "Something went wrong in this program, and nothing was done; its log says what."

log = logging.getLogger(__name__)


class AnsweringBlocks(gr.Blocks):
    """Blocks whose calls end in an answer or in a sentence, and never in Gradio's {"error": null}.

    `studio` is what they are the page of.
    """

    studio: AppState | None = None

    def validate_inputs(self, block_fn: BlockFunction, inputs: list[Any]) -> None:
        """Fills in what a plain HTTP call leaves out and a named endpoint has a default for.

        Raises:
            gr.Error: values are too few or, for a named endpoint, too many; it says which are taken.
        """
        taken = list(inspect.signature(block_fn.fn).parameters.values()) if block_fn.fn else []
        is_named = bool(block_fn.inputs) and all(isinstance(one, Api) for one in block_fn.inputs)
        if is_named:
            for parameter in taken[len(inputs) :]:
                if parameter.default is inspect.Parameter.empty:
                    break
                inputs.append(parameter.default)
        if len(inputs) < len(block_fn.inputs) or (is_named and len(inputs) > len(block_fn.inputs)):
            values = ", ".join(one.name for one in taken) if is_named else f"{len(block_fn.inputs)} values"
            raise refusal(f"data: got a list of {len(inputs)}; {block_fn.name or 'this'} takes {values}.")

    async def process_api(self, *arguments: Any, **named: Any) -> dict[str, Any]:
        try:
            return await super().process_api(*arguments, **named)
        except gr.Error:
            raise
        except Exception:
            log.exception("A call ended in an error.")
            raise refusal(FAILED) from None


def named_endpoint(call: Callable[..., Any], of: Callable[..., Any] | None = None, **limits: Any) -> None:
    """Add it to the Blocks that are being built, by name and docstring of the function `of`, or its own.

    Gradio reads both: it describes endpoint, tool and parameters by them, and takes one line a parameter.
    """
    named = of or call
    lines: list[str] = []
    for line in (inspect.getdoc(named) or "").splitlines():
        if lines and len(line) - len(line.lstrip()) > _OF_A_PARAMETER:
            lines[-1] += f" {line.strip()}"
        else:
            lines.append(line)
    call.__name__, call.__doc__ = named.__name__, "\n".join(lines)
    gr.api(call, api_name=named.__name__, **limits)
