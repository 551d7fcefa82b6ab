"""The tables of this tab as data, which assets/js/use/sections.js draws."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import gradio as gr

from cdvft_app.payloads.use import Line, Section, Sections, Sheet, SheetCell
from cdvft_app.ui.shared.component import component
from cdvft_app.ui.shared.problem import without_paths

NOTHING: Sections = {"sections": []}


def sections(elem_id: str) -> gr.HTML:
    """Return the component whose value is a list of sections."""
    return component("use/sections.js", NOTHING, elem_id=elem_id)


def refused(sentence: str) -> Sections:
    """Return a refusal in place of sections."""
    return {"sections": [{"problem": without_paths(sentence)}]}


def cell(text: object, **more: Any) -> SheetCell:
    """Return a cell of one text, whose lines stand one under the other; `more` as in `SheetCell`."""
    return cast("SheetCell", {"lines": [line(one) for one in str(text).splitlines() or [""]], **more})


def line(text: str, **more: Any) -> Line:
    """`more` as in `Line`."""
    return cast("Line", {"text": text, **more})


def sheet(kind: str, label: str, heads: Iterable[str], rows: Iterable[list[SheetCell]], **more: Any) -> Sheet:
    """Return a table; `more` as in `Sheet`."""
    made = {"kind": kind, "label": label, "above": [], "heads": list(heads), "rows": list(rows), **more}
    return cast("Sheet", made)


def quiet(sentence: str) -> Section:
    return {"quiet": sentence}
