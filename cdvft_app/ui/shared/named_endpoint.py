"""A function as a named endpoint, which is also a tool for agents."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import gradio as gr

_OF_A_PARAMETER = 4  # spaces, below "Args:"


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
