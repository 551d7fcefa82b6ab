"""The one page of the folder: head, tabs and texts as HTML, and what its script needs to mount the parts."""

from __future__ import annotations

from html import escape

import gradio as gr

from cdvft_app.payloads.page import StaticPage, StaticPart
from cdvft_app.ui.shared import texts
from cdvft_app.ui.shared.scripts import PREFIX
from cdvft_app.ui.shared.state import AppState
from cdvft_app.ui.static.answers import Kept
from cdvft_app.ui.static.markup import Markup
from cdvft_app.ui.static.scripts import PAGE
from cdvft_app.ui.static.tabs import StaticTab

ABOUT = (
    "A folder of plain files: lessons, fits, factors and races that were recorded. No server runs behind it, "
    "so nothing trains here; runs, texts, pictures and matrices of your own need the studio."
)
_STUDIO = '<a href="{}" target="_blank" rel="noopener">Train in Studio</a>'
_HTML = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<meta name="description" content="{about}">
<meta name="plotly" content="plotly.min.js">
<link rel="icon" href="logo.svg">
<link rel="stylesheet" href="style.css">
</head>
<body>
<div class="gradio-container"><div class="main fillable">
<header class="masthead">
<img src="logo.svg" alt="" width="28" height="28">
<div class="masthead-name"><h1>{title}</h1><p>{tagline}</p></div>
{studio}<a href="{paper}" target="_blank" rel="noopener">Paper</a><span class="theme-place"></span>
</header>
<nav class="tab-wrapper static-tabs" aria-label="Tabs">{links}</nav>
<main>
<noscript><p class="problem">Scripts draw the lessons and figures; this browser runs none.</p></noscript>
{sections}
</main>
<footer class="quiet static-about"><p>{about}</p></footer>
</div></div>
<script src="scripts.js"></script>
<script type="module">import "{script}";</script>
</body>
</html>
"""


def lay_out(
    app: AppState, tabs: tuple[StaticTab, ...], kept: Kept, studio: str | None
) -> tuple[str, StaticPage]:
    """The page's HTML, and what its script reads; the links to `studio` are left out where that is None."""
    sections: list[str] = []
    parts: list[StaticPart] = []
    for place, tab in enumerate(tabs):
        markup = Markup()
        with gr.Blocks(analytics_enabled=False) as blocks:
            tab.lay_out(app)
        inner = "".join(markup.html(block) for block in blocks.children)
        hidden = " hidden" if place else ""
        name = escape(tab.title)
        sections.append(
            f'<section id="tab-{tab.key}" class="tabitem" aria-label="{name}"{hidden}>{inner}</section>'
        )
        parts += [
            {
                "id": name,
                "tab": tab.key,
                "module": part.module,
                "value": part.value,
                "fixed": {**part.fixed},
                "answers": kept.of.get(name, {}),
                "links": [*tab.links.get(name, ())],
            }
            for name, part in markup.parts.items()
        ]
    page = _HTML.format(
        title=escape(texts.TITLE),
        tagline=escape(texts.TAGLINE),
        about=escape(ABOUT),
        paper=escape(texts.PAPER),
        studio=_STUDIO.format(escape(studio)) if studio else "",
        links="".join(f'<a href="?tab={tab.key}">{escape(tab.title)}</a>' for tab in tabs),
        sections="\n".join(sections),
        script=PREFIX + PAGE,
    )
    return page, {"studio": studio, "tabs": [tab.key for tab in tabs], "parts": parts}
