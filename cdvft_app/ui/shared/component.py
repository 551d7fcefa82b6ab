"""A part of the page that a JavaScript module of assets/js draws: the only way this page uses custom HTML."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gradio as gr

from cdvft_app import ASSETS
from cdvft_app.ui.shared import server_functions as asked
from cdvft_app.ui.shared.scripts import PREFIX

RUNTIME = "shared/part.js"  # by which every part is mounted
# Of traces it has scatter, bar and pie alone, and a quarter of the bytes of that in the package plotly.
PLOTLY = ASSETS / "plotly" / "plotly-basic.min.js"
_ON_LOAD = """/* {events} */
const fixed = {fixed};
const both = new Proxy(props, {{ get: (given, name) => fixed[name] ?? given[name] }});
import("{runtime}").then(
  ({{ start, serverFunctions }}) => {{
    const server = serverFunctions("{part}", ...JSON.parse({functions}));
    start({{name: "{part}", element, props: both, server, trigger, watch}});
  }},
  () => {{ element.textContent = "A part of the page could not be loaded; reload the page."; }});
"""


def file_address(file: Path) -> str:
    """Return the address of a static file relative to the page, so that any root path works."""
    return f"gradio_api/file={file}"


def component(
    module: str,
    value: Any = None,
    *,
    html: str = '<div class="mount"></div>',
    events: tuple[str, ...] = (),
    server_functions: Mapping[str, asked.ServerFunction] | None = None,
    slow_functions: Mapping[str, asked.ServerFunction] | None = None,
    elem_classes: tuple[str, ...] = (),
    **props: Any,
) -> gr.HTML:
    """Return a `gr.HTML` drawn into `.mount` by `mount({element, props, server, trigger, life})`.

    `mount` may return `update`, which is called when the value has changed, and `destroy`, at the part's end.
    `props` are the further keyword arguments, which never change, and `value`, any JSON.
    `server.name(argument)` in the module calls the server function of that name; its argument is of the type
    that the function says, and its values are untrusted; by a "token" in it the visitor sees runs of its own.
    One that may take longer than
    some milliseconds is one of `slow_functions`, or a coroutine that runs in a `Pool` of its own.
    `events` are the names that `trigger` may send; each is a listener of the component.
    (A subclass of gr.HTML would do the same, but Gradio writes a .pyi file beside the source of every one.)
    """
    # They go into the script: Gradio loses those of a part whose value is set before its tab is first seen.
    own = inspect.signature(gr.HTML.__init__).parameters
    fixed = {name: value for name, value in props.items() if name not in own}
    quick, slow, part = server_functions or {}, slow_functions or {}, module.removesuffix(".js")
    asked.register(part, quick, slow)
    return gr.HTML(
        value,
        html_template=html,
        # Gradio knows an event of one's own by its quoted name in this text.
        js_on_load=_ON_LOAD.format(
            events=" ".join(f"'{name}'" for name in events),
            runtime=PREFIX + RUNTIME,
            part=part,
            # JSON in a string has no name in quotes: Gradio took the function "inputs" for an event, which is
            # HTML's argument `inputs` then, and copied it, which leads to the whole app, at every visit.
            functions=json.dumps(json.dumps([[*quick], [*slow]])),
            fixed=json.dumps(fixed),
        ),
        apply_default_css=False,
        elem_classes=["part", *elem_classes],
        **{name: value for name, value in props.items() if name in own},
    )


def telling(event: str) -> str:
    """The `js` of a listener that tells the page's scripts of an event of assets/js/shared/events.js."""
    return f"(...given) => {{ document.dispatchEvent(new CustomEvent({json.dumps(event)})); return given; }}"
