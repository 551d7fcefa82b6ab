"""A part of the page that a JavaScript module of assets/js draws: the only way this page uses custom HTML."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import gradio as gr

from cdvft_app.ui.shared.scripts import PREFIX
from cdvft_app.ui.shared.viewing import looking

_ON_LOAD = """/* {events} */
const fixed = {fixed};
const both = new Proxy(props, {{ get: (given, name) => fixed[name] ?? given[name] }});
import("{module}").then(
  (part) => part.mount({{element, props: both, server, trigger, watch}}),
  () => {{ element.textContent = "A part of the page could not be loaded; reload the page."; }});
"""


@dataclass(frozen=True)
class Part:
    """What a component was made of: its script, value, unchanging props, and the markup around `.mount`."""

    module: str
    value: Any
    fixed: Mapping[str, Any]
    html: str


_parts: WeakKeyDictionary[gr.HTML, Part] = WeakKeyDictionary()


def plotly_script() -> Path:
    """plotly.js as the plotly package brings it; found without importing the package."""
    spec = find_spec("plotly")
    if spec is None or spec.origin is None:
        raise RuntimeError("The package plotly is missing: pip install -r requirements.txt")
    return Path(spec.origin).parent / "package_data" / "plotly.min.js"


def address(file: Path) -> str:
    """Where the page finds a static file, relative to the page, so that any root path works."""
    return f"gradio_api/file={file}"


def component(
    module: str,
    value: Any = None,
    *,
    html: str = '<div class="mount"></div>',
    events: tuple[str, ...] = (),
    server_functions: dict[str, Callable[[object], Any]] | None = None,
    elem_classes: tuple[str, ...] = (),
    **props: Any,
) -> gr.HTML:
    """A `gr.HTML` drawn by the module's `mount({element, props, server, trigger, watch})` into `.mount`.

    `props` are the further keyword arguments, which never change, and `value`, any JSON.
    `server.name(argument)` in the module calls the server function of that name; its argument is untrusted
    and must be checked; by a "token" in it the visitor sees runs of its own; one that takes long runs in a
    `Pool`. `events` are the names that `trigger` may send; each is a listener of the component.
    (A subclass of gr.HTML would do the same, but Gradio writes a .pyi file beside the source of every one.)
    """
    # They go into the script: Gradio loses those of a part whose value is set before its tab is first seen.
    own = inspect.signature(gr.HTML.__init__).parameters
    fixed = {name: value for name, value in props.items() if name not in own}
    made = gr.HTML(
        value,
        html_template=html,
        # Gradio knows an event of one's own by its quoted name in this text.
        js_on_load=_ON_LOAD.format(
            events=" ".join(f"'{name}'" for name in events),
            module=PREFIX + module,
            fixed=json.dumps(fixed),
        ),
        apply_default_css=False,
        server_functions=[_named(name, call) for name, call in (server_functions or {}).items()],
        elem_classes=["part", *elem_classes],
        **{name: value for name, value in props.items() if name in own},
    )
    _parts[made] = Part(module, value, fixed, html)
    return made


def part_of(made: gr.HTML) -> Part | None:
    """What `component` made it of; None for other HTML."""
    return _parts.get(made)


def _named(name: str, call: Callable[[object], Any]) -> Callable[[object], Any]:
    def server_function(argument: object) -> Any:
        with looking(_token(argument)):
            return call(argument)

    async def awaited(argument: object) -> Any:
        with looking(_token(argument)):
            return await call(argument)

    named = awaited if inspect.iscoroutinefunction(call) else server_function
    named.__name__ = name
    return named


def _token(argument: object) -> object:
    return argument.get("token") if isinstance(argument, dict) else None
