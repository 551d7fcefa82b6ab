"""The one page of the folder: head, tabs and texts as HTML, and the data by which its script mounts parts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape

import gradio as gr
from markdown_it import MarkdownIt

from cdvft_app.payloads.page import StaticPage, StaticPart
from cdvft_app.ui.header import TITLE, masthead
from cdvft_app.ui.shared.component import PLOTLY, Part, part_of
from cdvft_app.ui.shared.gradio_adapter import Block, BlockContext
from cdvft_app.ui.shared.scripts import PREFIX
from cdvft_app.ui.shared.state import AppState
from cdvft_app.ui.static.answers import Kept
from cdvft_app.ui.static.tabs import StaticTab

PAGE = "static/page.js"
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
<meta name="plotly" content="{plotly}">
<link rel="icon" href="logo.svg">
<link rel="stylesheet" href="style.css">
</head>
<body>
<div class="gradio-container"><div class="main fillable">
{masthead}
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
        title=TITLE,
        masthead=masthead("logo.svg", _STUDIO.format(escape(studio)) if studio else ""),
        about=escape(ABOUT),
        plotly=PLOTLY.name,
        links="".join(f'<a href="?tab={tab.key}">{escape(tab.title)}</a>' for tab in tabs),
        sections="\n".join(sections),
        script=PREFIX + PAGE,
    )
    return page, {"studio": studio, "tabs": [tab.key for tab in tabs], "parts": parts}


_FORMULA = re.compile(r"\$\$(?P<display>.+?)\$\$|\$(?P<inline>.+?)\$", re.S)
_PLACE = re.compile("\ue000(\\d+)\ue001")
_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")


def markdown(text: str) -> str:
    """Tables and what CommonMark knows; $...$ and $$...$$ become elements that hold the formula's LaTeX."""
    formulas: list[str] = []

    def keep(found: re.Match[str]) -> str:
        kind = "display" if found["display"] else "inline"
        formulas.append(f'<span class="formula {kind}">{escape(found[kind].strip())}</span>')
        return f"\ue000{len(formulas) - 1}\ue001"  # which Markdown leaves alone

    rendered: str = _MARKDOWN.render(_FORMULA.sub(keep, text))
    return _PLACE.sub(lambda found: formulas[int(found[1])], rendered)


class Markup:
    """`html(block)` is a block's HTML; `parts` are those met so far, by the ids of their elements."""

    def __init__(self) -> None:
        self.parts: dict[str, Part] = {}

    def html(self, block: Block) -> str:
        """Return the HTML of a block and all that it holds.

        Raises:
            TypeError: the block is a control or another component that needs Gradio.
        """
        if isinstance(block, gr.Markdown):
            text = markdown(str(block.value))
            return _element(block, "block", f'<div class="prose">{text}</div>')
        if isinstance(block, gr.HTML):
            return _element(block, "block", self._own(block))
        if isinstance(block, gr.Row | gr.Column | gr.Blocks):
            kind = "laid-row" if isinstance(block, gr.Row) else "laid-column"
            return _element(block, kind, "".join(self._children(block)))
        raise TypeError(
            f"A page of plain files cannot show Gradio's {type(block).__name__} (elem_id {block.elem_id!r}): "
            "lay out Row, Column, Markdown, HTML and component() only."
        )

    def _children(self, block: BlockContext) -> Iterator[str]:
        for child in block.children:
            yield self.html(child)

    def _own(self, block: gr.HTML) -> str:
        part = part_of(block)
        if part is None:
            return str(block.value)
        element = str(block.elem_id or f"part-{len(self.parts)}")
        self.parts[element] = part
        return f'<div id="{element}-part" data-part="{element}">{part.html}</div>'


def _element(block: Block, kind: str, inner: str) -> str:
    classes = " ".join([kind, *(block.elem_classes or [])])
    named = f' id="{escape(str(block.elem_id))}"' if block.elem_id else ""
    hidden = "" if getattr(block, "visible", True) else " hidden"
    return f'<div{named} class="{escape(classes)}"{hidden}>{inner}</div>'
