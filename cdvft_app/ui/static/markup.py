"""A tab's layout as plain HTML: rows, columns, Markdown, and places for the parts that scripts draw."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

import gradio as gr
from gradio.blocks import Block, BlockContext

from cdvft_app.ui.shared.component import Part, part_of
from cdvft_app.ui.static import markdown


class Markup:
    """`html(block)` is a block's HTML; `parts` are those met so far, by the ids of their elements."""

    def __init__(self) -> None:
        self.parts: dict[str, Part] = {}

    def html(self, block: Block) -> str:
        """The HTML of a block and all that it holds.

        Raises:
            TypeError: the block is a control or another component that needs Gradio.
        """
        if isinstance(block, gr.Markdown):
            text = markdown.html(str(block.value))
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
