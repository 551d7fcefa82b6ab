"""A function as a named endpoint, which is also a tool for agents, and what every call is answered with."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

import gradio as gr

from cdvft_app.errors import UserError
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


def named_endpoint(call: Callable[..., Any], *bound: Any, **limits: Any) -> None:
    """Add `call` to the Blocks that are being built, by its name; a `UserError` of it is a refusal.

    Callers do not give its first arguments, which are `bound`. Gradio describes endpoint, tool and parameters
    by the docstring, of which it takes one line a parameter, and by the annotations.
    """
    lines: list[str] = []
    for line in (inspect.getdoc(call) or "").splitlines():
        if lines and len(line) - len(line.lstrip()) > _OF_A_PARAMETER:
            lines[-1] += f" {line.strip()}"
        else:
            lines.append(line)
    signature = inspect.signature(call, eval_str=True)
    given = list(signature.parameters.values())[len(bound) :]

    @wraps(call)
    def answer(*values: Any) -> Any:
        try:
            return call(*bound, *values)
        except UserError as error:
            raise refusal(str(error)) from None

    described: Any = answer
    described.__doc__ = "\n".join(lines)
    # Answers are described as any JSON: fields may be added to them.
    described.__signature__ = signature.replace(parameters=given, return_annotation=Any)
    described.__annotations__ = {one.name: one.annotation for one in given}
    gr.api(answer, api_name=call.__name__, **limits)
