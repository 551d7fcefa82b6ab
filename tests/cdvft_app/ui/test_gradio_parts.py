"""Gradio's own parts, handed to the browser at once: which files, and where their imports lead."""

from __future__ import annotations

import re

import pytest

from cdvft_app.ui.shared.gradio_parts import ASSETS, PARTS, GradioParts


@pytest.mark.parametrize("part", PARTS)
def test_each_part_of_the_page_is_found_in_this_gradio(part: str) -> None:
    found = GradioParts.read([part])
    assert [name for name in found.modules if name.startswith("Index-")], found.modules.keys()


def test_imports_lead_to_gradios_files_from_wherever_a_module_came() -> None:
    modules = GradioParts.read().modules
    assert len(modules) > 20
    imported = re.compile(r'from"([^"]+)"')
    leads = {place for source in modules.values() for place in imported.findall(source)}
    assert leads and all(place.startswith(ASSETS) for place in leads), leads
    assert not [name for name in modules if name.startswith(("index-", "core-"))]  # these have begun already


def test_a_part_that_gradio_does_not_have_is_left_to_it() -> None:
    assert GradioParts.read(["teapot"]) == GradioParts({}, {})
