"""Insides of Gradio: all in one file, and each still there. Fails first where a new Gradio is tried."""

from __future__ import annotations

import ast
import inspect
import re
from importlib import import_module
from pathlib import Path

import pytest
from sources import imports, sources

import cdvft_app
from cdvft_app.ui.shared import gradio_adapter

PACKAGE = Path(cdvft_app.__file__).parent
ASSETS = PACKAGE.parent / "assets"
PLOTLY = {"modebar", "modebar-btn", "modebar-group", "scatterlayer"}  # of the charts' toolbar and lines
COMPUTED = ("on-", "role-")  # beginnings of classes whose end is a value: `role-${chosen}`


@pytest.mark.parametrize("name", gradio_adapter.NAMES)
def test_a_name_that_is_gone_is_named(name: str) -> None:
    module, path = name.split(":")
    owner, *attribute = path.split(".")
    found = getattr(import_module(module), owner, None)
    # Attributes of instances are only in the source.
    there = found is not None and (
        not attribute or hasattr(found, attribute[0]) or f"self.{attribute[0]}" in inspect.getsource(found)
    )
    assert there, f"{name} is gone, which the page needs: {gradio_adapter.NAMES[name]}"


def test_no_other_module_imports_a_part_of_gradio() -> None:
    known = sources()
    elsewhere = [
        f"{name} imports {part}"
        for name, text in known.items()
        for part in imports(name, ast.parse(text), {*known})
        if part.startswith("gradio.") and name != gradio_adapter.__name__
    ]
    assert elsewhere == []


@pytest.fixture(scope="module")
def front_end() -> str:
    """Gradio's stylesheets and scripts."""
    files = [file for file in gradio_adapter.frontend_assets().rglob("*") if file.suffix in (".css", ".js")]
    return "\n".join(file.read_text(encoding="utf-8", errors="ignore") for file in files)


@pytest.mark.parametrize("name", gradio_adapter.SELECTORS)
def test_a_selector_that_selects_nothing_any_more_is_named(name: str, front_end: str) -> None:
    there = re.search(rf"""["'` .]{re.escape(name)}(?![\w-])""", front_end)
    assert there, f"Gradio has no {name} any more, selected for: {gradio_adapter.SELECTORS[name]}"


def test_each_class_in_a_stylesheet_is_given_to_something_by_the_page_or_by_gradio() -> None:
    styles = {}
    for file in ASSETS.glob("css/**/*.css"):
        text = re.sub(r"/\*.*?\*/", "", file.read_text("utf-8"), flags=re.DOTALL)
        for selector in re.findall(r"([^{}]+)\{", text):
            found = re.findall(r"""\.([a-zA-Z_][\w-]*)|data-testid="([^"]+)""", selector)
            styles |= {name or test_id: file.name for name, test_id in found}
    files = [*ASSETS.glob("js/**/*.js"), *PACKAGE.rglob("*.py")]
    ours = "\n".join(file.read_text("utf-8") for file in files if file.stem != "gradio_adapter")
    words = set(re.findall(r"[a-zA-Z_][\w-]*", ours))
    unknown = {
        f".{name} in {file}"
        for name, file in styles.items()
        if name not in words | PLOTLY | gradio_adapter.SELECTORS.keys() and not name.startswith(COMPUTED)
    }
    assert unknown == set()
