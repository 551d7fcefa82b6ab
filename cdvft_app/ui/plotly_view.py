"""Charts without gr.Plot: drawn in place, zoom kept, colours from the page's CSS variables."""

from __future__ import annotations

from typing import Any

import gradio as gr

from cdvft_app.ui.shared.component import component


def plotly_view(
    figure: dict[str, Any] | None = None,
    *,
    description: str,
    chart_height: int = 340,
    with_table: bool = True,
    **arguments: Any,
) -> gr.HTML:
    """A component whose value is a plotly figure as a plain dict with `data` and `layout`.

    Colours may be CSS variables ("var(--method-cdvft)"). Set `layout.uirevision` to a value that stays the
    same while zoom and pan shall stay too. `description` says in words what is drawn. A table of every x and
    y is offered under the chart unless `with_table` is false.
    """
    return component(
        "plotly_view.js",
        figure,
        description=description,
        chart_height=chart_height,
        with_table=with_table,
        **arguments,
    )
